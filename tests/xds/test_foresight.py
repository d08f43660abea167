"""A dry run builds only what differs, tells how far it came, and shows the first differences in full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.xds import foresight, preview
from kuma_core.xds.differences import Differences
from kuma_core.xds.fields import Fields

from .simulation import cluster

CALLERS = 12


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as platform:
        platform.apply(echo("echo-1", 9000))
        for number in range(CALLERS):
            own = inbound(f"127.0.0.1:{8000 + number}:{7000 + number}", "web")
            platform.apply(dataplane(f"web-{number:02}", own, outbounds=[outbound(":7100", "echo")]))
        yield platform


def echo(name: str, port: int) -> dict[str, Any]:
    return dataplane(name, inbound(f"127.0.0.1:{port}:80", "echo"))


def tried(cp: RunningPlatform, document: dict[str, Any]) -> Any:
    answer = cp.put(f"/meshes/default/dataplanes/{document['name']}?dry-run=xds", document)
    assert answer.status == 200, answer
    return answer.body


def test_it_builds_only_what_differs(cp: RunningPlatform) -> None:
    cp.catch_up()
    memo = cp.platform.core.proxies.reconciler.maker.memo
    before = memo.misses
    found = tried(cp, echo("echo-2", 9100))
    own = found["proxies"][0]
    assert (own["name"], {change["op"] for change in own["changes"]}) == ("echo-2", {"add"})
    assert [proxy["changes"][0]["name"] for proxy in found["proxies"][1:]] == ["echo"] * CALLERS
    assert memo.misses - before <= 2 + len(own["changes"]), (
        "the endpoints before and after, once for all callers"
    )


def test_a_dry_run_without_time_says_what_it_did_not_look_at(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(100))
    real = foresight.time.monotonic
    monkeypatch.setattr(preview, "DEADLINE_SECONDS", 3.0)

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return real() if next(ticks) < 5 else real() + 100

    monkeypatch.setattr(foresight, "time", Clock)
    found = tried(cp, echo("echo-1", 9200))
    assert found["examined"] == {"dataplanes": 5, "of": CALLERS + 1, "detailed": 5}
    assert len(found["proxies"]) == 5


def test_the_first_differences_are_shown_in_full(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresight, "DETAILED_PROXIES", 3)
    found = tried(cp, echo("echo-1", 9200))
    assert found["examined"]["detailed"] == 3
    shown = ["diff" in proxy["changes"][0] for proxy in found["proxies"]]
    assert shown == [True] * 3 + [False] * (CALLERS - 2)
    assert all(
        change["type"] and change["name"] and change["op"] for change in found["proxies"][-1]["changes"]
    )
    monkeypatch.setattr(foresight, "DETAILED_CHARACTERS", 1)
    assert tried(cp, echo("echo-1", 9200))["examined"]["detailed"] == 1


def test_too_many_questions_are_answered_at_once_and_clearly(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cp.platform.core.proxies.preview._bench, "_most", 0)
    answer = cp.get("/meshes/default/dataplanes/web-00/xds")
    assert answer.status == 503
    assert "ask again in some seconds" in answer.body["details"]


def test_a_resource_that_is_not_sent_to_proxies_is_left_out_with_a_warning(cp: RunningPlatform) -> None:
    """A Secret of a ProxyTemplate ended the reconciler."""
    secret = (
        '{"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name": "own"}'
    )
    conf = {"imports": ["default-proxy"], "resources": [{"name": "a", "version": "1", "resource": secret}]}
    selectors = [{"match": {"service": "echo"}}]
    cp.apply({"type": "ProxyTemplate", "mesh": "default", "name": "s", "selectors": selectors, "conf": conf})
    (proxy,) = cp.get("/meshes/default/dataplanes/echo-1/xds").body["proxies"]
    assert proxy["warnings"] == [
        'plugin "kuma_policy_traffic": policy ProxyTemplate "s": Secret "own" is left out: '
        "resources of this type are not sent to proxies"
    ]
    assert proxy["types"]["lds"]["resources"]
    cp.delete("/meshes/default/proxytemplates/s")


def test_differences_are_written_once_and_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(
        "kuma_core.xds.differences.Fields", lambda packed: parsed.append(packed) or Fields(packed)
    )
    known = Differences(most_characters=10_000)
    old, new = cluster("echo", 5), cluster("echo", 6)
    assert known.between(old, new) == known.between(old, new)
    assert len(parsed) == 2
    assert '-  "connectTimeout": "5s"' in known.between(old, new)
    for number in range(100):
        known.between(None, cluster(f"c-{number}"))
    assert known._characters <= 10_000
