"""What an operator sees of instances that join and leave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kuma_core.builtin.presence.contract import Presence
from kuma_core.kumactl.inspect_commands import row, troubles
from kuma_core.kumactl.services import service_view
from kuma_core.testing.events_client import following
from kuma_core.testing.fake_envoy import Fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import LISTENER

from .support import CALLER, control_plane, envoy, tell, web

OVERVIEW = "/meshes/default/dataplanes+insights/web-1"


@pytest.fixture
def joining() -> Iterator[tuple[RunningPlatform, Fleet]]:
    """A service whose only instance is connected, and nobody told yet that it serves."""
    with control_plane() as (cp, envoys):
        cp.apply(CALLER, web(1))
        instance, caller = envoy("web-1", tells=True), envoy("caller")
        envoys.connect(instance)
        envoys.connect(caller)
        eventually(lambda: instance.count(LISTENER) and caller.count(LISTENER))
        eventually(lambda: cp.get(OVERVIEW).body["status"]["state"] == "Online")
        yield cp, envoys


def shown(cp: RunningPlatform) -> tuple[str, list[str]]:
    """The status of web-1 in kumactl's table, and the lines below it."""
    items = cp.get("/meshes/default/dataplanes+insights").body["items"]
    (mine,) = [item for item in items if item["name"] == "web-1"]
    return row(mine, datetime.now(UTC))[3], troubles([mine])


def counted(cp: RunningPlatform) -> dict[str, int]:
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    found = re.findall(r'^kuma_dataplane_presences\{state="(\w+)"\} (\d+)', text, re.MULTILINE)
    return {state: int(count) for state, count in found}


def verdict(cp: RunningPlatform) -> tuple[str, str]:
    (edge,) = cp.get("/meshes/default/service-map").body["edges"]
    return edge["verdict"], edge["reason"]


def findings(cp: RunningPlatform) -> dict[str, str]:
    items = cp.get("/meshes/default/findings").body["items"]
    return {item["id"]: item["subject"]["name"] for item in items if item["id"] != "memory-store"}


def test_an_instance_that_joins_and_one_that_leaves_are_told_with_the_reason(
    joining: tuple[RunningPlatform, Fleet],
) -> None:
    cp, _ = joining
    why = "nobody told yet that it serves, so others do not call it"
    assert cp.get(OVERVIEW).body["presence"] == {"state": "Joining", "reason": why}
    assert shown(cp) == ("Online (joining)", [f"web-1 is joining: {why}"])
    eventually(lambda: counted(cp) == {"Serving": 1, "Joining": 1, "Leaving": 0})
    tell(cp, "web-1", True)
    eventually(lambda: cp.get(OVERVIEW).body["presence"]["state"] == "Serving")
    assert cp.get(OVERVIEW).body["presence"]["by"] == "kuma-dp"
    assert shown(cp) == ("Online", [])
    tell(cp, "web-1", False)
    why = "its kuma-dp told that it leaves, so others do not call it"
    assert shown(cp) == ("Online (leaving)", [f"web-1 is leaving: {why}"])
    cp.offer("builtin.presence", Presence).set_serving("default", "web-1", True)
    eventually(lambda: shown(cp) == ("Online", []))


def test_followers_hear_of_it(joining: tuple[RunningPlatform, Fleet]) -> None:
    cp, _ = joining
    with following(cp, "kind=Dataplane") as events:
        tell(cp, "web-1", True)
        events.wait_for("presence", name="web-1", mesh="default", state="Serving")
        tell(cp, "web-1", True)
        tell(cp, "web-1", False)
        events.wait_for("presence", name="web-1", mesh="default", state="Leaving")
        assert len(events.of("presence", name="web-1")) == 2, "what was told already is no news"


def test_a_service_of_which_nobody_serves_is_told_from_one_that_nobody_offers(
    joining: tuple[RunningPlatform, Fleet],
) -> None:
    cp, _ = joining
    reason = 'no instance of "web" serves: those that are connected are joining or leaving'
    eventually(lambda: verdict(cp) == ("noEndpoint", reason))
    eventually(lambda: findings(cp) == {"service-without-serving-instance": "web"})
    service = cp.get("/meshes/default/services/web").body
    assert service["dataplanes"][0]["serves"] is False
    assert "Online (does not serve)" in service_view(service)
    tell(cp, "web-1", True)
    eventually(lambda: verdict(cp)[0] == "plaintext")
    eventually(lambda: findings(cp) == {})
    assert cp.get("/meshes/default/services/web").body["dataplanes"][0]["serves"] is True


def test_no_export_and_no_list_of_kinds_has_what_was_told(joining: tuple[RunningPlatform, Fleet]) -> None:
    cp, _ = joining
    tell(cp, "web-1", True)
    assert "DataplanePresence" not in str(cp.get("/kinds").body)
    assert cp.get("/meshes/default/dataplane-presences").status == 404
