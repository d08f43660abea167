"""The rules of the protocol, each seen with a real Envoy, in both variants."""

from __future__ import annotations

import time

from structlog.testing import capture_logs

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Sidecar, fetch
from .test_traffic import client, instance, tagged

WARMING_TIMEOUT = 15
"""How long Envoy waits for endpoints that do not come; every rule here exists so that it never has to."""


def subscriptions(cp: RunningPlatform, name: str) -> list[dict]:
    insight = cp.get(f"/meshes/default/dataplane-insights/{name}").body
    return insight.get("subscriptions", [])


def status(cp: RunningPlatform, name: str) -> dict:
    return subscriptions(cp, name)[-1]["status"]


def test_scenarios_12_13_14_20_what_a_sidecar_has(machine):
    ip, first, second, workload = "127.0.0.1", free_port(), free_port(), free_port()
    out_1, out_2 = free_port(), free_port()
    machine.cp.apply(
        instance(machine, "ledger-1", "ledger", region="eu"),
        instance(machine, "ledger-2", "ledger", region="us"),
        dataplane(
            "orders-1",
            inbound(f"{ip}:{first}:{workload}", "orders"),
            inbound(f"{ip}:{second}:{workload}", "orders-admin"),
            outbounds=[outbound(f":{out_1}", "ledger"), outbound(f":{out_2}", "ledger")],
        ),
    )
    machine.say_serving("ledger-1", "ledger-2")
    orders = machine.sidecar("orders-1")
    assert orders.listeners() == {
        f"inbound:{ip}:{first}",
        f"inbound:{ip}:{second}",
        f"outbound:{ip}:{out_1}",
        f"outbound:{ip}:{out_2}",
    }
    clusters = orders.clusters()
    assert clusters.keys() == {f"localhost:{workload}", "ledger"}
    (local,) = clusters[f"localhost:{workload}"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert local["endpoint"]["address"]["socket_address"] == {"address": ip, "port_value": workload}
    assert clusters["ledger"]["type"] == "EDS"
    assert clusters["ledger"]["connect_timeout"] == "5s"
    assert proxied_to(orders, f"inbound:{ip}:{first}") == f"localhost:{workload}"
    assert proxied_to(orders, f"outbound:{ip}:{out_1}") == "ledger"
    assert len(orders.endpoints()["ledger"]) == 2
    assignments = orders.config()["EndpointsConfigDump"]["dynamic_endpoint_configs"]
    (ledger,) = [
        item["endpoint_config"]["endpoints"]
        for item in assignments
        if item["endpoint_config"]["cluster_name"] == "ledger"
    ]
    assert len(ledger) == 1, "one locality"
    metadata = [item["metadata"]["filter_metadata"]["envoy.lb"] for item in ledger[0]["lb_endpoints"]]
    assert {tuple(sorted(tags.items())) for tags in metadata} == {
        (("region", "eu"), ("service", "ledger")),
        (("region", "us"), ("service", "ledger")),
    }


def proxied_to(sidecar: Sidecar, name: str) -> str:
    """The cluster of a plain listener: nothing but a tcp_proxy, without TLS."""
    listeners = sidecar.config()["ListenersConfigDump"]["dynamic_listeners"]
    (listener,) = (item["active_state"]["listener"] for item in listeners if item["name"] == name)
    (chain,) = listener["filter_chains"]
    (tcp_proxy,) = chain["filters"]
    assert "transport_socket" not in chain
    return tcp_proxy["typed_config"]["cluster"]


def test_scenarios_43_and_51_the_counters_of_an_envoy_that_tells_its_node_once(machine):
    machine.cp.apply(instance(machine, "echo-1", "echo"), client("web", outbound(f":{free_port()}", "echo")))
    web = machine.sidecar("web")
    sources = web.config()["BootstrapConfigDump"]["bootstrap"]["dynamic_resources"]
    assert sources["ads_config"]["set_node_on_first_message_only"] is True

    def settled() -> dict:
        found = status(machine.cp, "web")
        assert found["total"] == {"responsesSent": "3", "responsesAcknowledged": "3"}
        return found

    found = eventually(settled)
    for group in ("cds", "eds", "lds"):
        assert found[group] == {"responsesSent": "1", "responsesAcknowledged": "1"}
    assert found["rds"] == {}
    overview = machine.cp.get("/meshes/default/dataplanes+insights/web").body
    (subscription,) = overview["dataplaneInsight"]["subscriptions"]
    assert "connectTime" in subscription
    assert "disconnectTime" not in subscription


def test_scenario_26_an_unrelated_field_leaves_the_endpoints_alone(machine):
    echo = instance(machine, "echo-1", "echo")
    machine.cp.apply(echo, client("web", outbound(f":{free_port()}", "echo")))
    machine.say_serving("echo-1")
    machine.sidecar("web")
    eventually(lambda: status(machine.cp, "web")["total"]["responsesAcknowledged"] == "3")
    changed = {**echo, "networking": {**echo["networking"], "outbound": [outbound(":19999", "web")]}}
    machine.cp.apply(changed)
    machine.cp.apply(tagged(echo, extra="1"))  # this one does change them, and shows that the first did not
    eventually(lambda: status(machine.cp, "web")["eds"]["responsesSent"] == "2")
    assert status(machine.cp, "web")["total"]["responsesSent"] == "4"


def test_scenario_47_a_deleted_dataplane_empties_its_proxy_and_comes_back(machine):
    port = free_port()
    web = client("web", outbound(f":{port}", "echo"))
    machine.cp.apply(web)
    sidecar = machine.sidecar("web")
    before = sidecar.listeners()
    assert len(before) == 2
    machine.cp.delete("/meshes/default/dataplanes/web")
    eventually(lambda: not sidecar.listeners() and not sidecar.clusters(), what="an empty Envoy")
    assert machine.cp.get("/meshes/default/dataplane-insights/web").status == 404
    machine.cp.apply(web)
    eventually(lambda: sidecar.listeners() == before)
    assert sidecar.process.poll() is None


def test_scenario_52_a_gateway_without_outbounds_is_live_at_once(machine):
    machine.cp.apply(dataplane("edge", gateway={"service": "edge"}))
    sidecar = machine.sidecar("edge", wait=False)
    eventually(sidecar.is_live, WARMING_TIMEOUT - 1, "a live Envoy that has nothing to do")


def test_a_changed_cluster_is_warm_at_once_and_listeners_follow(machine):
    port, other = free_port(), free_port()
    web = client("web", outbound(f":{port}", "echo"), timeout="3")
    machine.cp.apply(instance(machine, "echo-1", "echo"), web)
    machine.sidecar("echo-1")
    sidecar = machine.sidecar("web")
    eventually(lambda: fetch(port))
    changed = tagged(web, timeout="4")
    changed["networking"]["outbound"] = [outbound(f":{port}", "echo"), outbound(f":{other}", "echo")]
    began = time.monotonic()
    machine.cp.apply(changed)
    eventually(lambda: sidecar.clusters()["echo"]["connect_timeout"] == "4s", WARMING_TIMEOUT - 1)
    eventually(lambda: fetch(other), WARMING_TIMEOUT - 1)
    assert time.monotonic() - began < WARMING_TIMEOUT / 3


def test_scenario_45_a_refused_cluster_is_told_once_offered_again_and_holds_back_nothing(
    machine,
):
    port = free_port()
    web = client("web", outbound(f":{port}", "echo"), refused="not-an-address")
    with capture_logs() as log:
        machine.cp.apply(instance(machine, "echo-1", "echo"), web)
        machine.sidecar("echo-1")
        sidecar = machine.sidecar("web", wait=False)
        assert "not-an-address.invalid" in eventually(lambda: status(machine.cp, "web")["lastRejection"])
        eventually(lambda: fetch(port), what="traffic beside the bad cluster")
        machine.cp.apply(instance(machine, "echo-2", "echo"))  # other types go on
        machine.say_serving("echo-2")
        eventually(lambda: len(sidecar.endpoints()["echo"]) == 2)
        rejected = int(status(machine.cp, "web")["cds"]["responsesRejected"])
        eventually(lambda: int(status(machine.cp, "web")["cds"]["responsesRejected"]) > rejected + 1)
        machine.cp.apply(tagged(web))
        eventually(lambda: "lastRejection" not in status(machine.cp, "web"))
    told = [item["event"] for item in log if "reject" in item["event"]]
    assert told == [
        "a proxy rejected its configuration",
        "a proxy took what it had rejected, or what came in its place",
    ]
    assert sidecar.clusters().keys() & {"echo", "refused"} == {"echo"}


def test_a_draft_of_wrong_types_is_named_and_costs_nobody_else(machine):
    port = free_port()
    machine.cp.apply(
        instance(machine, "echo-1", "echo"),
        web := client("web", outbound(f":{port}", "echo")),
    )
    machine.sidecar("echo-1")
    machine.sidecar("web")
    eventually(lambda: fetch(port))
    machine.cp.apply(tagged(web, invalid="yes"))
    machine.cp.apply(instance(machine, "echo-2", "echo"))
    eventually(lambda: _problem(machine.cp, "web"))
    assert 'generator "tuning": Cluster "invalid"' in _problem(machine.cp, "web")
    assert "connect_timeout" in _problem(machine.cp, "web")
    assert fetch(port) == "echo-1", "the last good configuration stays"


def test_one_proxys_failure_is_its_own(machine):
    port = free_port()
    machine.cp.apply(
        instance(machine, "echo-1", "echo"),
        client("web", outbound(f":{port}", "echo")),
        client("odd", outbound(f":{free_port()}", "echo"), failing="badly"),
    )
    machine.sidecar("echo-1")
    machine.sidecar("odd", wait=False)
    machine.sidecar("web")
    assert eventually(lambda: fetch(port)) == "echo-1"
    assert "asked to fail: badly" in eventually(lambda: _problem(machine.cp, "odd"))


def _problem(cp: RunningPlatform, name: str) -> str:
    return cp.platform.core.proxies.reconciler.problem_of("default", name)
