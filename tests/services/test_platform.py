"""Services, the map and findings over REST, and the events that tell of other findings."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.clocks import http_date
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.events_client import following
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

WEB = dataplane("web-1", inbound("127.0.0.1:8000:1", "web"), outbounds=[outbound(":7100", "ledger")])


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as found:
        found.apply(WEB)
        eventually(lambda: len(found.get("/meshes/default/services").body["items"]) == 2)
        yield found


def findings(cp: RunningPlatform) -> dict[str, str]:
    items = cp.get("/meshes/default/findings").body["items"]
    return {item["id"]: item["subject"]["name"] for item in items}


def test_services_are_derived_from_dataplanes(cp: RunningPlatform) -> None:
    listed = cp.get("/meshes/default/services").body
    assert [item["name"] for item in listed["items"]] == ["ledger", "web"]
    one = cp.get("/meshes/default/services/web").body
    assert one["dataplanes"] == [
        {"dataplane": "web-1", "status": "Never connected", "serves": True, "tags": [{"service": "web"}]}
    ]
    assert [edge["verdict"] for edge in one["calls"]] == ["noEndpoint"]
    assert cp.get("/meshes/default/services/ledger").body["calledBy"] == one["calls"]


@pytest.mark.parametrize("path", ["services", "services/web", "service-map", "findings"])
def test_a_mesh_that_is_not_there_is_told(cp: RunningPlatform, path: str) -> None:
    answer = cp.get(f"/meshes/nowhere/{path}")
    assert (answer.status, answer.body["details"]) == (404, 'There is no Mesh "nowhere"')


def test_a_service_that_nobody_knows_is_told(cp: RunningPlatform) -> None:
    answer = cp.get("/meshes/default/services/nobody")
    assert (answer.status, '"nobody"' in answer.body["details"]) == (404, True)


def test_pages_of_services(cp: RunningPlatform) -> None:
    page = cp.get("/meshes/default/services?size=1").body
    assert ([item["name"] for item in page["items"]], page["total"]) == (["ledger"], 2)
    rest = cp.get(page["next"].partition(cp.api_url)[2]).body
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["web"], None)
    found = cp.get("/meshes/default/services?q=we&sort=-name").body
    assert [item["name"] for item in found["items"]] == ["web"]
    assert cp.get("/meshes/default/services?size=-1").status == 400
    assert cp.get("/meshes/default/services?sort=nonsense").status == 400


def test_findings_follow_what_happens_and_events_tell_so(cp: RunningPlatform) -> None:
    assert findings(cp) == {
        "memory-store": "default",
        "outbound-to-unknown-service": "web-1",
        "service-without-healthy-instance": "web",
    }
    with following(cp) as events, fleet(cp) as envoys:
        envoys.connect(DeltaClient("default.web-1"))
        told = events.wait_for("findings", mesh="default")
        assert told.data["warning"] == 1
        eventually(lambda: "service-without-healthy-instance" not in findings(cp))


def test_a_clock_that_is_apart_is_found_until_it_is_right(cp: RunningPlatform) -> None:
    for seconds, expected in ((7200, "web-1"), (0, None)):
        request = {"mesh": "default", "name": "web-1"}
        headers = {"Date": http_date(time.time() + seconds)}
        answer = cp.request("POST", "/bootstrap", request, port=cp.bootstrap, **headers)
        assert answer.status == 200
        assert findings(cp).get("clocks-apart") == expected
