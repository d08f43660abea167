"""Why a policy applies, and what a change would do, over REST."""

from __future__ import annotations

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import LISTENER


def policy(kind, name, source, destination, **conf):
    return {
        "type": kind,
        "mesh": "default",
        "name": name,
        "sources": [{"match": source}],
        "destinations": [{"match": {"service": destination}}],
        **conf,
    }


def route(name, source, destination, **tags):
    conf = [{"weight": 1, "destination": {"service": "ledger", **tags}}]
    return policy("TrafficRoute", name, source, destination, conf=conf)


@pytest.fixture
def cp():
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as found:
        found.apply(
            dataplane("ledger-1", inbound("127.0.0.1:9001:1", "ledger", version="1")),
            dataplane("ledger-2", inbound("127.0.0.1:9002:1", "ledger", version="2")),
            dataplane(
                "web-1",
                inbound("127.0.0.1:8001:1", "web", zone="z1"),
                outbounds=[outbound(":7100", "ledger")],
            ),
            dataplane("api-1", inbound("127.0.0.1:8002:1", "api"), outbounds=[outbound(":7100", "ledger")]),
            route("exact", {"service": "web", "zone": "z1"}, "ledger", version="2"),
            route("broad", {"service": "*"}, "*"),
            route("api", {"service": "api"}, "ledger"),
            policy(
                "HealthCheck",
                "check",
                {"service": "web"},
                "ledger",
                conf={"passiveChecks": {"unhealthyThreshold": 1, "penaltyInterval": "1s"}},
            ),
            policy("TrafficPermission", "all", {"service": "*"}, "*"),
        )
        yield found


def kinds(answer):
    return {item["kind"]: {c["name"]: c for c in item["candidates"]} for item in answer.body["policies"]}


def test_a_connection_is_explained_with_every_candidate(cp):
    answer = cp.get("/meshes/default/explain?source=web-1&destination=ledger")
    assert answer.status == 200
    assert (answer.body["source"], answer.body["destination"]) == ("dataplane:web-1", "service:ledger")
    assert answer.body["routed"] == [{"tags": {"service": "ledger", "version": "2"}, "weight": 1}]
    routes = kinds(answer)["TrafficRoute"]
    assert routes["exact"]["applies"]
    assert routes["exact"]["rank"] == {"total": 3, "exact": 3}
    assert not routes["broad"]["applies"]
    assert (
        routes["broad"]["reason"]
        == '"exact" ranks higher: 3 tags, 3 of them exact against 2 tags, 0 of them exact'
    )
    assert routes["api"] == {
        "name": "api",
        "applies": False,
        "rank": None,
        "reason": "no source selector matches",
    }
    assert kinds(answer)["HealthCheck"]["check"]["applies"]


def test_equal_ranks_are_told_apart_by_name(cp):
    cp.apply(route("a-twin", {"service": "web", "zone": "z1"}, "ledger"))
    routes = kinds(cp.get("/meshes/default/explain?source=web-1&destination=ledger"))["TrafficRoute"]
    assert routes["a-twin"]["applies"]
    assert routes["exact"]["reason"] == '"a-twin" has the same rank, and its name comes first'


def test_a_service_can_stand_for_either_end(cp):
    answer = cp.get("/meshes/default/explain?source=service:web&destination=dataplane:ledger-1")
    assert (answer.body["source"], answer.body["destination"]) == ("service:web", "dataplane:ledger-1")
    assert kinds(answer)["TrafficRoute"]["broad"]["applies"], "a bare service has no zone"


def test_a_proxy_alone_is_explained_by_what_is_chosen_for_proxies(cp):
    answer = cp.get("/meshes/default/explain?source=web-1")
    assert [item["kind"] for item in answer.body["policies"]] == ["ProxyTemplate"]
    assert "destination" not in answer.body


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("source=dataplane:", 400),
        ("source=dataplane:nobody&destination=ledger", 404),
        ("source=web-1&destination=", 400),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(cp, query, status):
    answer = cp.get(f"/meshes/default/explain?{query}")
    assert answer.status == status
    assert answer.body["title"] == "Could not explain"


def test_a_dataplane_that_does_not_exist_is_named(cp):
    answer = cp.get("/meshes/default/explain?source=dataplane:nobody&destination=ledger")
    assert answer.body["details"] == 'There is no Dataplane "nobody" in mesh "default"'


def test_a_mesh_that_does_not_exist_is_404(cp):
    assert cp.get("/meshes/nowhere/explain?source=a&destination=b").status == 404


def changed(answer):
    return {item["name"]: item["changes"] for item in answer.body["proxies"]}


def test_a_dry_run_tells_which_proxies_change_and_how_and_stores_nothing(cp):
    document = route("exact", {"service": "web", "zone": "z1"}, "ledger", version="1")
    before = cp.get("/meshes/default/traffic-routes/exact").body
    answer = cp.put("/meshes/default/traffic-routes/exact?dry-run=xds", document)
    assert answer.status == 200
    assert changed(answer).keys() == {"web-1"}
    changes = {(item["type"], item["name"], item["op"]) for item in changed(answer)["web-1"]}
    assert changes == {
        ("cds", "ledger{version=1}", "add"),
        ("cds", "ledger{version=2}", "remove"),
        ("eds", "ledger{version=1}", "add"),
        ("eds", "ledger{version=2}", "remove"),
        ("lds", "outbound:127.0.0.1:7100", "change"),
    }
    diff = next(item["diff"] for item in changed(answer)["web-1"] if item["type"] == "lds")
    assert "-" in diff
    assert "ledger{version=1}" in diff
    assert "ledger{version=2}" in diff
    assert cp.get("/meshes/default/traffic-routes/exact").body == before


def test_a_dry_run_of_what_is_stored_changes_nobody(cp):
    document = route("exact", {"service": "web", "zone": "z1"}, "ledger", version="2")
    assert cp.put("/meshes/default/traffic-routes/exact?dry-run=xds", document).body == {
        "proxies": [],
        "warnings": [],
        "examined": {"dataplanes": 4, "of": 4, "detailed": 0},
    }


def test_a_dry_run_of_a_deletion(cp):
    answer = cp.delete("/meshes/default/dataplanes/ledger-2?dry-run=xds")
    assert answer.status == 200
    assert changed(answer).keys() == {"ledger-2", "web-1", "api-1"}
    assert {item["op"] for item in changed(answer)["ledger-2"]} == {"remove"}
    assert [item["type"] for item in changed(answer)["api-1"]] == ["eds"]
    assert cp.get("/meshes/default/dataplanes/ledger-2").status == 200
    assert cp.delete("/meshes/default/dataplanes/nobody?dry-run=xds").status == 404


def test_a_dry_run_checks_as_a_write_does(cp):
    broken = route("exact", {"service": "web"}, "ledger")
    broken["conf"] = []
    answer = cp.put("/meshes/default/traffic-routes/exact?dry-run=xds", broken)
    assert answer.status == 400
    assert answer.body["causes"] == [{"field": "conf", "message": "must have at least one element"}]
    warned = {**route("exact", {"service": "web"}, "ledger"), "colour": "red"}
    answer = cp.put("/meshes/default/traffic-routes/exact?dry-run=xds", warned)
    assert answer.body["warnings"] == ['unknown field "colour" is ignored']
    assert cp.put("/meshes/default/traffic-routes/exact?dry-run=maybe", warned).status == 400


def test_a_proxys_configuration_is_shown_with_what_it_acknowledged_and_rejected(cp):
    path = "/meshes/default/dataplanes/web-1/xds"
    (alone,) = cp.get(path).body["proxies"]
    assert alone["streams"] == []
    names = {item["name"] for item in alone["types"]["cds"]["resources"]}
    assert names == {"ledger{version=2}", "localhost:1"}
    with fleet(cp) as envoys:
        client = DeltaClient("default.web-1")
        envoys.connect(client)
        eventually(lambda: client.resources[LISTENER])

        def settled():
            (proxy,) = cp.get(path).body["proxies"]
            (stream,) = proxy["streams"]
            assert all(stream["types"][kind]["upToDate"] for kind in ("cds", "eds", "lds"))
            return proxy

        proxy = eventually(settled)
        assert proxy["streams"][0]["types"]["cds"]["acknowledged"] == proxy["types"]["cds"]["version"]
        client.reject[LISTENER] = "cannot bind"
        moved = dataplane(
            "web-1", inbound("127.0.0.1:8001:1", "web", zone="z1"), outbounds=[outbound(":7199", "ledger")]
        )
        cp.apply(moved)

        def rejected():
            (found,) = cp.get(path).body["proxies"]
            return found["streams"][0]["types"]["lds"]["rejection"]

        assert eventually(rejected) == "cannot bind"
    assert cp.get("/meshes/default/dataplanes/nobody/xds").status == 404
