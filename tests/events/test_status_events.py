"""Transitions of proxies and of leadership, told by each of two control planes over one store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import kuma_store_memory
from kuma_core.builtin.cluster import components as cluster
from kuma_core.builtin.cluster.kinds import INSTANCE
from kuma_core.builtin.cluster.specs import InstanceSpec
from kuma_core.builtin.insights.writer import NO_TROUBLE, UNWANTED, merged
from kuma_core.builtin.status.watch import StatusWatch
from kuma_core.model import Resource, ResourceKey
from kuma_core.sdk import LISTENER, Config
from kuma_core.specs.insight import CertificateStatus, InsightSpec, Subscription
from kuma_core.specs.proxy_status import status_of
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.events_client import following
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import CertificateTrouble

OVERVIEW = "/meshes/default/dataplanes+insights/web-1"
WEB = dataplane("web-1", inbound("10.0.0.5:80:80", "web"))
OPEN = Subscription(id="1", connect_time=datetime(2020, 1, 1, tzinfo=UTC))
WITHIN = 3.0
"""Seconds in which a transition is told; what the issue of this feature promises."""


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[RunningPlatform, RunningPlatform]]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as store:
        shared = SharedStore(store)
        with running_platform([shared]) as one, running_platform([shared]) as two:
            yield one, two


def state(cp: RunningPlatform) -> str:
    found: str = cp.get(OVERVIEW).body["status"]["state"]
    return found


def rested(pair: tuple[RunningPlatform, RunningPlatform]) -> tuple[RunningPlatform, RunningPlatform]:
    """The two, once the end of what was connected before is told: who is back within a second was not away."""
    eventually(lambda: state(pair[1]) in ("Never connected", "Offline"))
    return pair


def test_a_proxy_comes_and_goes_on_one_and_both_tell(pair: tuple[RunningPlatform, RunningPlatform]) -> None:
    one, two = pair
    one.apply(WEB)
    assert state(two) == "Never connected"
    with following(one, "kind=Dataplane") as first, following(two, "kind=Dataplane") as second:
        with fleet(one) as envoys:
            envoys.connect(DeltaClient("default.web-1"))
            for client in (first, second):
                online = client.wait_for("status", WITHIN, name="web-1", state="Online")
                assert "since" in online.data
                assert "reason" not in online.data
            assert state(two) == "Online"
        for client in (first, second):
            offline = client.wait_for("status", WITHIN, name="web-1", state="Offline")
            assert offline.data["reason"] == "the last stream to a control plane ended"
            assert [item.data["state"] for item in client.of("status")] == ["Online", "Offline"]
    assert one.get(OVERVIEW).body["status"] == two.get(OVERVIEW).body["status"]


def test_what_a_proxy_rejects_degrades_it_until_it_takes_it(
    pair: tuple[RunningPlatform, RunningPlatform],
) -> None:
    one, two = pair
    one.apply(WEB)
    rested(pair)
    with fleet(one) as envoys, following(two, "mesh=default") as client:
        envoy = DeltaClient("default.web-1")
        envoys.connect(envoy)
        client.wait_for("status", state="Online")
        envoy.reject[LISTENER] = "cannot bind"
        one.apply(dataplane("web-1", inbound("10.0.0.5:82:80", "web")))
        told = client.wait_for("status", WITHIN, state="Degraded")
        assert told.data["reason"] == "a configuration was rejected: lds: cannot bind"
        assert client.wait_for("rejection", name="web-1").data["reason"] == "lds: cannot bind"
        status = two.get(OVERVIEW).body["status"]
        assert (status["state"], status["since"]) == ("Degraded", told.data["since"])
        del envoy.reject[LISTENER]
        one.apply(dataplane("web-1", inbound("10.0.0.5:83:80", "web")))
        eventually(lambda: len(client.of("status", state="Online")) == 2, WITHIN)


def test_a_certificate_that_cannot_be_issued_degrades_until_one_is_or_none_is_wanted() -> None:
    refused = merged(InsightSpec(), [OPEN], trouble=CertificateTrouble(2, "the CA is away"))
    status = status_of(refused)
    assert (status.state, status.reason) == ("Degraded", "a certificate cannot be issued: the CA is away")
    assert status.since is not None
    assert merged(refused, [OPEN], trouble=NO_TROUBLE).degraded_since == refused.degraded_since
    issued = merged(refused, [OPEN], trouble=UNWANTED)
    assert status_of(issued).state == "Online"
    assert issued.certificates == CertificateStatus(refused=2)
    assert issued.degraded_since is None


def test_the_newest_certificate_is_told_whoever_writes_last() -> None:
    """A proxy that goes to another control plane gets a new one there while the first one notes that it went."""
    day = timedelta(days=1)
    now = datetime(2020, 1, 2, tzinfo=UTC)
    older, newer = ((now - day, now), (now, now + day))
    known = merged(InsightSpec(), [OPEN], trouble=CertificateTrouble(0, "", True, *newer))
    for made in (older, newer):
        told = merged(known, [OPEN], trouble=CertificateTrouble(0, "", True, *made)).certificates
        assert told == CertificateStatus(issued=newer[0], ends=newer[1])
    refused = merged(known, [OPEN], trouble=CertificateTrouble(1, "the CA is away")).certificates
    assert refused == CertificateStatus(refused=1, problem="the CA is away", issued=newer[0], ends=newer[1])
    assert merged(known, [OPEN], trouble=UNWANTED).certificates is None, "mTLS is off"


def test_what_a_dead_control_plane_left_open_is_told_once_it_is_taken_for_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A killed one says nothing: its record stands still, and the leader closes its streams."""
    for name, seconds in (("DEAD_SECONDS", 0.5), ("LOOK_SECONDS", 0.1)):
        monkeypatch.setattr(cluster, name, seconds)
    with running_platform([kuma_store_memory]) as cp, following(cp, "kind=Dataplane") as client:
        resources = cp.platform.core.resources
        resources.ensure(Resource(INSTANCE.key("", "dead"), InstanceSpec(beats=1)))
        cp.apply(WEB)
        left_open = Subscription(id="1", control_plane_instance_id="dead", connect_time=OPEN.connect_time)
        insight = ResourceKey("DataplaneInsight", "default", "web-1")
        resources.put(Resource(insight, InsightSpec(subscriptions=(left_open,))))
        client.wait_for("status", name="web-1", state="Online")
        client.wait_for("status", name="web-1", state="Offline")
        assert cp.get(OVERVIEW).body["status"]["reason"] == "the last stream to a control plane ended"


def test_counters_are_told_to_nobody(
    pair: tuple[RunningPlatform, RunningPlatform], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    one.apply(WEB)
    rested(pair)
    with fleet(one) as envoys, following(two, "kind=Dataplane") as client:
        envoy = envoys.connect(DeltaClient("default.web-1"))
        client.wait_for("status", name="web-1", state="Online")
        looks: list[object] = []
        real = StatusWatch.look
        monkeypatch.setattr(
            StatusWatch, "look", lambda self, hints: (looks.extend(hints), real(self, hints))[1]
        )
        received = len(envoy.client.received)
        one.apply(dataplane("web-1", inbound("10.0.0.5:81:80", "web")))
        eventually(lambda: len(envoy.client.received) > received)

        def counted() -> bool:
            insight = one.get(OVERVIEW).body["dataplaneInsight"]
            total = insight["subscriptions"][-1]["status"]["total"]
            return bool(
                total["responsesAcknowledged"] == total["responsesSent"] == str(len(envoy.client.received))
            )

        eventually(counted, what="an insight with the new counters")
        assert all("DataplaneInsight" not in str(hint) for hint in looks)
        assert len(client.of("status")) == 1


def test_the_leader_says_so_to_all(pair: tuple[RunningPlatform, RunningPlatform]) -> None:
    """The last test of the file: it ends one of the two."""
    one, two = rested(pair)
    with following(two) as client, fleet(one) as envoys:
        envoys.connect(DeltaClient("default.web-1"))
        online = client.wait_for("status", name="web-1", state="Online")
        one.platform.stop()
        offline = client.wait_for("status", name="web-1", state="Offline")
        assert offline.at > online.at
        told = client.wait_for("leadership", instance=two.platform.instance_id)
        assert told.data == {"instance": two.platform.instance_id}
