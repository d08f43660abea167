"""What a service map says of a mesh, case by case."""

from __future__ import annotations

import pytest

from kuma_core.builtin.services import picture
from kuma_core.builtin.services.mesh_map import Maps
from kuma_core.builtin.services.picture import DEGRADED, NEVER, OFFLINE
from kuma_core.testing.builders import dataplane, inbound, outbound

from .support import CATALOG, ENCRYPTED, PLAIN, Frozen, edges, mapped, online

LEDGER = [dataplane(f"ledger-{n}", inbound(f"127.0.0.{n}:9000:1", "ledger", version=str(n))) for n in (1, 2)]
WEB = dataplane("web-1", inbound("127.0.0.9:8000:1", "web"), outbounds=[outbound(":7100", "ledger")])
EDGE = ("web", "ledger")


def policy(kind, name, source="web", destination="ledger", **more):
    ends = {
        "sources": [{"match": {"service": source}}],
        "destinations": [{"match": {"service": destination}}],
    }
    return {"type": kind, "mesh": "default", "name": name, **ends, **more}


def shares(*items):
    return [{"weight": weight, "destination": {"service": "ledger", **tags}} for weight, tags in items]


def test_in_a_mesh_without_mtls_everybody_may_call_in_plain_text():
    edge = edges(PLAIN, WEB, *LEDGER)[EDGE]
    assert (edge["verdict"], edge["access"]) == ("plaintext", "plaintext")
    assert edge["endpoints"] == {"total": 2, "healthy": 2}
    assert edge["clients"] == {"total": 1, "healthy": 1}


def test_with_mtls_nobody_may_until_a_permission_says_so():
    denied = edges(ENCRYPTED, WEB, *LEDGER, policy("TrafficPermission", "other", source="mailer"))[EDGE]
    assert denied["verdict"] == "denied"
    assert denied["reason"] == 'the mesh has mTLS on, and no policy lets "web" in at "ledger"'
    allowed = edges(ENCRYPTED, WEB, *LEDGER, policy("TrafficPermission", "p"))[EDGE]
    assert allowed["verdict"] == "allowed"
    assert allowed["permittedBy"] == [{"kind": "TrafficPermission", "name": "p"}]
    assert allowed["reason"] == 'TrafficPermission "p" lets them in'


def test_everybody_includes_a_service_of_any_name():
    assert (
        edges(ENCRYPTED, WEB, *LEDGER, policy("TrafficPermission", "p", "*", "*"))[EDGE]["verdict"]
        == "allowed"
    )


def test_a_split_over_two_services_of_which_one_is_closed_is_allowed_in_part():
    route = policy(
        "TrafficRoute",
        "r",
        conf=[
            {"weight": 90, "destination": {"service": "ledger"}},
            {"weight": 10, "destination": {"service": "archive"}},
        ],
    )
    archive = dataplane("archive-1", inbound("127.0.0.7:9000:1", "archive"))
    edge = edges(ENCRYPTED, WEB, *LEDGER, archive, route, policy("TrafficPermission", "p"))[EDGE]
    assert edge["verdict"] == "partly"
    (flow,) = edge["flows"]
    assert flow["routedBy"] == [{"kind": "TrafficRoute", "name": "r"}]
    assert [(item["tags"], item["share"]) for item in flow["shares"]] == [
        ({"service": "ledger"}, 0.9),
        ({"service": "archive"}, 0.1),
    ]


def test_a_share_counts_the_instances_that_have_its_tags():
    route = policy("TrafficRoute", "r", conf=shares((1, {"version": "1"}), (3, {"version": "2"}), (0, {})))
    (flow,) = edges(PLAIN, WEB, *LEDGER, route, ledger_2=OFFLINE)[EDGE]["flows"]
    assert [(item["weight"], item["share"], item["endpoints"]) for item in flow["shares"]] == [
        (1, 0.25, {"total": 1, "healthy": 1}),
        (3, 0.75, {"total": 1, "healthy": 0}),
    ]


@pytest.mark.parametrize(
    ("documents", "statuses", "reason"),
    [
        ([], {}, 'no dataplane offers "ledger"'),
        (LEDGER, {"ledger_1": OFFLINE, "ledger_2": NEVER}, 'every proxy of "ledger" is away'),
        (
            [*LEDGER, policy("TrafficRoute", "r", conf=shares((0, {})))],
            {},
            'TrafficRoute "r" gives nobody a share',
        ),
        (
            [*LEDGER, policy("TrafficRoute", "r", conf=shares((1, {"version": "3"})))],
            {},
            'no dataplane offers "ledger" with version=3',
        ),
    ],
)
def test_calls_that_reach_nobody_healthy_say_why(documents, statuses, reason):
    edge = edges(PLAIN, WEB, *documents, **statuses)[EDGE]
    assert (edge["verdict"], edge["reason"]) == ("noEndpoint", reason)


def test_a_degraded_proxy_still_serves():
    assert edges(PLAIN, WEB, *LEDGER, ledger_1=DEGRADED, ledger_2=OFFLINE)[EDGE]["verdict"] == "plaintext"


def test_a_share_without_a_healthy_instance_is_told_beside_the_verdict():
    route = policy("TrafficRoute", "r", conf=shares((1, {"version": "1"}), (1, {"version": "2"})))
    edge = edges(PLAIN, WEB, *LEDGER, route, ledger_2=OFFLINE)[EDGE]
    assert edge["verdict"] == "plaintext"
    assert edge["reason"].endswith('; nobody healthy is behind "ledger" with version=2')


def test_policies_that_follow_the_calls_are_named():
    check = policy(
        "HealthCheck", "check", conf={"passiveChecks": {"unhealthyThreshold": 1, "penaltyInterval": "1s"}}
    )
    log = policy("TrafficLog", "log", conf={"backend": ""})
    followed = edges(PLAIN, WEB, *LEDGER, check, log)[EDGE]["followedBy"]
    assert followed == [{"kind": "HealthCheck", "name": "check"}, {"kind": "TrafficLog", "name": "log"}]


def test_nodes_count_their_instances_and_ghosts_have_none():
    found = mapped(
        PLAIN,
        WEB,
        *LEDGER,
        dataplane("gate", gateway={"service": "gate"}, outbounds=[outbound(":1", "ghost")]),
    )
    statuses = {**online(found), "ledger-1": picture.OFFLINE, "ledger-2": picture.DEGRADED}
    nodes = {node["name"]: node for node in picture.nodes(found.traits, found.edges, statuses)}
    assert list(nodes) == ["gate", "ghost", "ledger", "web"]
    assert nodes["ledger"]["instances"] == {
        "total": 2, "online": 0, "degraded": 1, "offline": 1, "neverConnected": 0,
    }  # fmt: skip
    assert nodes["ledger"]["tags"] == {"version": ["1", "2"]}
    assert nodes["ghost"]["isGhost"]
    assert not nodes["ledger"]["isGhost"]
    assert nodes["gate"]["isGateway"]


def test_a_proxy_with_two_services_is_let_in_by_a_permission_for_either():
    both = dataplane(
        "both", inbound("127.0.0.9:8000:1", "web"), inbound("127.0.0.9:8001:1", "admin"),
        outbounds=[outbound(":7100", "ledger")],
    )  # fmt: skip
    found = edges(ENCRYPTED, both, *LEDGER, policy("TrafficPermission", "p", source="admin"))
    assert {ends: edge["verdict"] for ends, edge in found.items()} == {
        ("admin", "ledger"): "allowed",
        ("web", "ledger"): "allowed",
    }


def test_clients_of_one_service_may_be_led_in_different_ways():
    other = dataplane(
        "web-2", inbound("127.0.0.8:8000:1", "web", zone="east"), outbounds=[outbound(":7100", "ledger")]
    )
    route = policy("TrafficRoute", "r", conf=shares((1, {"version": "2"})))
    route["sources"] = [{"match": {"service": "web", "zone": "east"}}]
    flows = edges(PLAIN, WEB, other, *LEDGER, route)[EDGE]["flows"]
    assert sorted((len(flow["routedBy"]), flow["clients"]) for flow in flows) == [(0, 1), (1, 1)]


def test_a_map_is_kept_until_something_changes_and_then_for_a_second():
    now = [0.0]
    views = Frozen([PLAIN, WEB])
    maps = Maps(views, CATALOG.policies, lambda: now[0])
    first = maps.of("default")
    now[0] = 5.0
    assert maps.of("default") is first
    views.context = Frozen([PLAIN, WEB, *LEDGER]).context
    second = maps.of("default")
    assert second is not first
    views.context = Frozen([PLAIN, WEB]).context
    assert maps.of("default") is second
    assert not maps.is_current(second)
    now[0] = 6.1
    third = maps.of("default")
    assert third is not second
    assert maps.is_current(third)


def test_there_is_no_map_of_no_mesh():
    assert Maps(Frozen([PLAIN]), CATALOG.policies).of("other") is None


def test_a_map_is_not_current_while_a_change_waits_to_be_looked_at():
    frozen = Frozen([PLAIN, WEB])
    maps = Maps(frozen, CATALOG.policies)
    found = maps.of("default")
    assert found
    assert maps.is_current(found)
    frozen.are_behind = lambda: True
    assert not maps.is_current(found)
