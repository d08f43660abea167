"""What two control planes with connected proxies ask of the database while nothing changes: counted by its own log."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import kuma_store_postgres
from kuma_core.builtin.cluster import components as instances
from kuma_core.resources import changes
from kuma_core.runtime import leadership
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from .server import OwnServer

SECONDS, TICK = 12.0, 3.0
"""How long it is counted, and how often the counter is read meanwhile; outside of this test, once a minute."""

VERBS = {"SELECT resources.spec": "get", "SELECT resources.mesh": "list", "WITH written AS": "write"}


def classified(statement: str) -> str:
    """What a statement is about: a verb and a kind, the counter, or the statement itself."""
    if "resources_told AS told" in statement:
        return "counter"
    verb = next((verb for begin, verb in VERBS.items() if statement.startswith(begin)), "")
    kind = re.search(r"'(Lease|Instance|MeshDeletion)'", statement)
    told = "pg_notify" in statement or "nextval('resources_told')" in statement
    return f"{verb} {kind[1]}" if verb and kind and not told else statement


@pytest.fixture
def pair(
    mortal_server: OwnServer, mortal_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[RunningPlatform, RunningPlatform]]:
    monkeypatch.setattr(changes, "RESYNC_SECONDS", TICK)
    with mortal_server.connect() as admin:
        admin.execute(f"ALTER DATABASE {mortal_database} SET log_statement = 'all'".encode())
    environ = mortal_server.environ(mortal_database)
    with (
        running_platform([kuma_store_postgres], environ) as one,
        running_platform([kuma_store_postgres], environ) as two,
    ):
        yield one, two


def test_at_rest_there_are_lease_heartbeat_and_counter_alone(
    mortal_server: OwnServer, mortal_database: str, pair: tuple[RunningPlatform, RunningPlatform]
) -> None:
    one, two = pair
    one.apply(
        dataplane("orders-1", inbound("10.0.0.1:80:80", "orders")),
        *(_client(name) for name in ("web-1", "web-2")),
    )
    with fleet(one) as first, fleet(two) as second:
        for envoys, name in ((first, "web-1"), (second, "web-2")):
            envoys.connect(DeltaClient(f"default.{name}"))
            eventually(lambda name=name: _acknowledged(one, name))  # type: ignore[misc]

        def counted() -> Counter[str]:
            return Counter(map(classified, mortal_server.statements(mortal_database)))

        eventually(_Quiet(counted), 60, "two control planes at rest")
        begun, before = time.monotonic(), counted()
        time.sleep(SECONDS)
        asked, seconds = counted() - before, time.monotonic() - begun
    print(f"two control planes, {seconds:.1f} s at rest:", dict(asked))
    most = {
        "counter": 2 * (seconds / TICK + 1),
        "get Lease": 2 * (seconds / leadership.RENEW_SECONDS + 1),
        "write Lease": seconds / leadership.RENEW_SECONDS + 1,
        "get Instance": 2 * (seconds / instances.BEAT_SECONDS + 1),
        "write Instance": 2 * (seconds / instances.BEAT_SECONDS + 1),
        "list Instance": seconds / instances.LOOK_SECONDS + 1,
        "list MeshDeletion": seconds / instances.FINISH_SECONDS + 1,
    }
    assert set(asked) <= set(most)
    assert {kind: count for kind, count in asked.items() if count > most[kind]} == {}
    assert asked["counter"] >= 2 * (SECONDS / TICK - 1)
    assert asked["write Lease"]
    assert asked["write Instance"]


class _Quiet:
    """Whether each of two control planes has read the counter twice since anything that the writes and arrivals before
    it brought: a read that finds it moved is followed by others."""

    def __init__(self, counted: Callable[[], Counter[str]]) -> None:
        self._counted, self._known, self._since = counted, Counter[str](), 0

    def __call__(self) -> bool:
        counted = self._counted()
        others = Counter({kind: count for kind, count in counted.items() if not _of_rest(kind)})
        if others != self._known:
            self._known, self._since = others, counted["counter"]
        return counted["counter"] - self._since > 2 * 2


def _of_rest(kind: str) -> bool:
    return kind == "counter" or kind.split()[-1] in ("Lease", "Instance", "MeshDeletion")


def _client(name: str) -> dict[str, object]:
    web = inbound("10.0.0.5:80:80", "web")
    return dict(dataplane(name, web, outbounds=[outbound("127.0.0.1:9000", "orders")]))


def _acknowledged(cp: RunningPlatform, name: str) -> bool:
    """Whether the insight tells what the proxy acknowledged: nothing is left to be stored."""
    insight = cp.get(f"/meshes/default/dataplanes+insights/{name}").body["dataplaneInsight"]
    total = insight["subscriptions"][-1]["status"]["total"]
    return bool(total["responsesSent"] == total["responsesAcknowledged"])
