"""Policies as real Envoys obey them: counted connections, not the look of the configuration."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.model import ResourceKey
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER

from . import tuning
from .support import Load, Machine, fetch
from .test_protocol import status
from .test_traffic import client, instance


@pytest.fixture
def allowed():
    """What a ProxyTemplate may hold beside what it may anyway."""
    return ""


@pytest.fixture
def machine(tmp_path, allowed):
    """Delta alone: the protocol's variants are tested elsewhere."""
    plugins = [kuma_store_memory, kuma_policy_traffic, tuning]
    settings = {
        "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1",
        "KUMA_POLICIES_PROXY_TEMPLATE_ALLOWED_TYPES": allowed,
    }
    with running_platform(plugins, settings) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def policy(kind: str, name: str, source: dict, destination: str = "", **conf) -> dict:
    document = {"type": kind, "mesh": "default", "name": name, "sources": [{"match": source}], **conf}
    if destination:
        document["destinations"] = [{"match": {"service": destination}}]
    return document


def route(name: str, *shares: tuple[int, dict], service: str = "ledger") -> dict:
    conf = [{"weight": weight, "destination": tags} for weight, tags in shares]
    return policy("TrafficRoute", name, {"service": "*"}, service, conf=conf)


def version(number: str, service: str = "ledger") -> dict:
    return {"service": service, "version": number}


def two_versions(machine: Machine, port: int) -> None:
    """Two versions of a ledger and one client of it, running."""
    machine.cp.apply(
        instance(machine, "ledger-1", "ledger", version="1"),
        instance(machine, "ledger-2", "ledger", version="2"),
        client("web", outbound(f":{port}", "ledger")),
    )
    for name in ("ledger-1", "ledger-2"):
        machine.sidecar(name)


def counted(port: int, connections: int) -> Counter:
    return Counter(fetch(port) for _ in range(connections))


def test_scenario_15_a_route_of_70_to_30_is_kept_over_1000_connections(machine):
    port = free_port()
    two_versions(machine, port)
    machine.cp.apply(route("split", (70, version("1")), (30, version("2"))))
    web = machine.sidecar("web")
    eventually(lambda: fetch(port))
    found = counted(port, 1000)
    assert abs(found["ledger-1"] - 700) <= 50, found
    assert {"ledger{version=1}", "ledger{version=2}"} <= web.clusters().keys()
    assert "ledger" not in web.clusters()
    assert len(web.endpoints()["ledger{version=1}"]) == 1


def test_scenario_16_the_tags_of_a_clusters_name_are_sorted_as_text(machine):
    port = free_port()
    machine.cp.apply(
        instance(machine, "svc-1", "svc", **{"a-b": "1", "a": "2"}),
        instance(machine, "svc-2", "svc", **{"a-b": "1", "a": "3"}),
        route("tags", (1, {"service": "svc", "a-b": "1", "a": "2"})),
        client("web", outbound(f":{port}", "ledger")),
    )
    machine.sidecar("svc-1")
    machine.sidecar("svc-2")
    web = machine.sidecar("web")
    eventually(lambda: fetch(port))
    assert web.clusters().keys() - {"svc{a-b=1,a=2}"} == {_workload(machine, "web")}
    assert counted(port, 20) == {"svc-1": 20}


def _workload(machine: Machine, name: str) -> str:
    """The cluster of a Dataplane's own service."""
    networking = machine.cp.get(f"/meshes/default/dataplanes/{name}").body["networking"]
    return "localhost:" + networking["inbound"][0]["interface"].rpartition(":")[2]


def test_scenario_9_policies_of_another_mesh_are_ignored(machine):
    port = free_port()
    two_versions(machine, port)
    machine.cp.apply(mesh("other"), {**route("theirs", (1, version("2"))), "mesh": "other"})
    machine.cp.apply(route("ours", (1, version("1"))))
    web = machine.sidecar("web")
    eventually(lambda: fetch(port))
    assert counted(port, 30) == {"ledger-1": 30}
    machine.cp.delete("/meshes/default/traffic-routes/ours")
    eventually(lambda: "ledger" in web.clusters())
    eventually(lambda: set(counted(port, 10)) == {"ledger-1", "ledger-2"})


def test_scenario_10_a_route_from_a_gateway_is_applied_to_its_outbound(machine):
    port = free_port()
    two_versions(machine, port)
    edge = dataplane("edge", gateway={"service": "edge"}, outbounds=[outbound(f":{port}", "ledger")])
    split = route("from-edge", (1, version("2")))
    machine.cp.apply(edge, {**split, "sources": [{"match": {"service": "edge"}}]})
    machine.sidecar("edge")
    eventually(lambda: fetch(port))
    assert counted(port, 30) == {"ledger-2": 30}


def test_scenario_17_a_share_of_nothing_is_no_cluster(machine):
    port = free_port()
    two_versions(machine, port)
    machine.cp.apply(route("all-to-1", (5, version("1")), (0, version("2"))))
    web = machine.sidecar("web")
    eventually(lambda: fetch(port))
    assert counted(port, 30) == {"ledger-1": 30}
    assert "ledger{version=2}" not in web.clusters()


def test_scenario_18_shares_of_nothing_at_all_reset_and_leave_the_rest_alone(machine):
    port, other = free_port(), free_port()
    two_versions(machine, port)
    web = client("web", outbound(f":{port}", "ledger"), outbound(f":{other}", "echo"))
    machine.cp.apply(web, instance(machine, "echo-1", "echo"), route("none", (0, version("1"))))
    machine.sidecar("echo-1")
    sidecar = machine.sidecar("web")
    eventually(lambda: fetch(other))
    with pytest.raises(OSError, match=r"(?i)reset|disconnected"):
        fetch(port)
    assert sidecar.stat("tcp.ledger.downstream_cx_no_route") >= 1
    eventually(lambda: status(machine.cp, "web")["lds"]["responsesAcknowledged"])
    assert "responsesRejected" not in status(machine.cp, "web")["total"]


def test_a_route_that_changes_under_load_fails_no_request(machine):
    port = free_port()
    two_versions(machine, port)
    machine.cp.apply(route("shift", (100, version("1"))))
    machine.sidecar("web")
    eventually(lambda: fetch(port))
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(port, pause=0.01)) for _ in range(2)]
        for weights in ((50, 50), (1, 99), (0, 100), (100, 0), (30, 70)):
            shares = [(weight, version(str(index + 1))) for index, weight in enumerate(weights)]
            machine.cp.apply(route("shift", *shares))
            for load in loads:
                seen = sum(load.answers.values())
                eventually(lambda load=load, seen=seen: sum(load.answers.values()) > seen + 40)
        machine.cp.delete("/meshes/default/traffic-routes/shift")
        seen = sum(loads[0].answers.values())
        eventually(lambda: sum(loads[0].answers.values()) > seen + 40)
    assert [load.failures for load in loads] == [[], []]


def test_scenario_25_a_route_without_a_service_keeps_the_last_configuration(machine):
    port = free_port()
    two_versions(machine, port)
    machine.cp.apply(route("r", (1, version("1"))))
    machine.sidecar("web")
    eventually(lambda: fetch(port))
    store = machine.cp.platform.core.store
    key = ResourceKey("TrafficRoute", "default", "r")
    broken = (
        '{"sources":[{"match":{"service":"*"}}],"destinations":[{"match":{"service":"ledger"}}],'
        '"conf":[{"weight":1,"destination":{"version":"2"}}]}'
    )
    store.update(key, broken, store.get(key).version)
    problem = eventually(lambda: machine.cp.platform.core.proxies.reconciler.problem_of("default", "web"))
    assert 'TrafficRoute "r"' in problem
    assert 'conf[0].destination: mandatory tag "service" is missing' in problem
    assert counted(port, 10) == {"ledger-1": 10}
    machine.cp.apply(instance(machine, "echo-1", "echo"))
    machine.sidecar("echo-1")  # others are served


def test_a_policy_change_reaches_the_proxies_it_matches_and_nobody_else(machine):
    cp = machine.cp
    cp.apply(
        *(
            dataplane(f"ledger-{n}", inbound(f"127.0.0.1:{9000 + n}:1", "ledger", version=str(n)))
            for n in (1, 2)
        )
    )
    names = [f"{service}-{n}" for service in ("web", "api") for n in range(5)]
    for name in names:
        service = name.partition("-")[0]
        cp.apply(
            dataplane(name, inbound("127.0.0.1:8000:8001", service), outbounds=[outbound(":7100", "ledger")])
        )
    with fleet(cp) as envoys:
        clients = {name: envoys.connect(DeltaClient(f"default.{name}")).client for name in names}
        eventually(lambda: all(found.resources[LISTENER] for found in clients.values()))
        before = {name: found.count() for name, found in clients.items()}
        cp.apply({**route("web-only", (1, version("1"))), "sources": [{"match": {"service": "web"}}]})
        matched = [name for name in names if name.startswith("web")]
        eventually(lambda: all("ledger{version=1}" in clients[name].resources[CLUSTER] for name in matched))
        eventually(lambda: all("ledger" not in clients[name].resources[CLUSTER] for name in matched))
        others = [name for name in names if name.startswith("api")]
        assert [clients[name].count() - before[name] for name in others] == [0] * len(others)
        counts = {name: clients[name].count() for name in names}
        cp.delete("/meshes/default/traffic-routes/web-only")
        eventually(lambda: all("ledger" in clients[name].resources[ENDPOINTS] for name in matched))
        assert [clients[name].count() - counts[name] for name in others] == [0] * len(others)


def template(name: str, *resources: str, imports: tuple[str, ...] = ("default-proxy",), **match: str) -> dict:
    raw = [{"name": f"r{n}", "version": "v1", "resource": text} for n, text in enumerate(resources)]
    conf = {"imports": list(imports), "resources": raw}
    selectors = [{"match": match}] if match else []
    return {"type": "ProxyTemplate", "mesh": "default", "name": name, "selectors": selectors, "conf": conf}


V2_CLUSTER = """
'@type': type.googleapis.com/envoy.api.v2.Cluster
name: extra
connectTimeout: 5s
type: STATIC
hosts: [{socketAddress: {address: 127.0.0.1, portValue: 8443}}]
"""


def test_scenario_53_a_raw_v2_cluster_is_added_as_v3(machine):
    machine.cp.apply(
        client("web", outbound(f":{free_port()}", "ledger")), template("t", V2_CLUSTER, service="web")
    )
    clusters = machine.sidecar("web").clusters()
    assert {"extra", "ledger"} <= clusters.keys()
    address = clusters["extra"]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    assert address["socket_address"] == {"address": "127.0.0.1", "port_value": 8443}


def test_scenario_54_a_raw_listener_replaces_the_generated_one_of_its_name(machine):
    document = client("web", outbound(f":{free_port()}", "ledger"))
    interface = document["networking"]["inbound"][0]["interface"]
    ip, port, _ = interface.split(":")
    raw = f"""
'@type': type.googleapis.com/envoy.config.listener.v3.Listener
name: inbound:{ip}:{port}
address: {{socket_address: {{address: {ip}, port_value: {port}}}}}
filter_chains:
- filters:
  - name: envoy.filters.network.tcp_proxy
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
      stat_prefix: mine
      cluster: ledger
"""
    machine.cp.apply(document, template("t", raw, service="web"))
    web = machine.sidecar("web")
    assert len(web.listeners()) == 2
    assert web.stat("tcp.mine.downstream_cx_total") == 0
    with pytest.raises(OSError, match=r"(?i)reset|disconnected"):
        fetch(int(port))  # the ledger has no instance
    eventually(lambda: web.stat("tcp.mine.downstream_cx_total") == 1)


@pytest.mark.parametrize("allowed", ["envoy-admin"])
def test_scenario_55_the_documents_v2_listener_with_untyped_config_serves_statistics(machine):
    port = free_port()
    machine.cp.apply(client("web", outbound(f":{free_port()}", "ledger")))
    web = machine.sidecar("web")
    listener = f"""
'@type': type.googleapis.com/envoy.api.v2.Listener
name: stats
address: {{socketAddress: {{address: 127.0.0.1, portValue: {port}}}}}
filterChains:
- filters:
  - name: envoy.http_connection_manager
    config:
      statPrefix: stats
      routeConfig:
        virtualHosts:
        - name: all
          domains: ['*']
          routes:
          - match: {{prefix: /stats}}
            route: {{cluster: extra}}
      httpFilters:
        name: envoy.router
"""
    admin = V2_CLUSTER.replace("8443", str(web.admin_port))
    machine.cp.apply(template("t", admin, listener, service="web"))
    assert "http.stats.downstream_rq_total: 1" in eventually(lambda: fetch(port, "/stats"))


def test_scenario_58_a_template_without_imports_leaves_only_its_own(machine):
    machine.cp.apply(document := client("web", outbound(f":{free_port()}", "ledger")))
    web = machine.sidecar("web")
    assert len(web.listeners()) == 2
    machine.cp.apply(template("only", V2_CLUSTER, imports=(), service="web"))
    eventually(lambda: web.listeners() == set() and web.clusters().keys() == {"extra"})
    machine.cp.delete("/meshes/default/proxytemplates/only")
    eventually(lambda: len(web.listeners()) == 2)
    assert document["name"] == "web"


def test_a_policy_that_raises_for_one_proxy_is_named_in_log_insight_and_inspection(machine, capsys):
    cp = machine.cp
    cp.apply(client("web", outbound(":7100", "ledger")), client("api", outbound(":7101", "ledger")))
    store, key = cp.platform.core.store, ResourceKey("TrafficRoute", "default", "broken")
    cp.apply({**route("broken", (1, version("1"))), "sources": [{"match": {"service": "web"}}]})
    broken = store.get(key).document.replace('"service":"ledger","version":"1"', '"version":"1"')
    assert broken != store.get(key).document
    with fleet(cp) as envoys:
        api = envoys.connect(DeltaClient("default.api"))
        web = envoys.connect(DeltaClient("default.web"))
        eventually(lambda: web.client.resources[LISTENER] and api.client.resources[LISTENER])
        store.update(key, broken, store.get(key).version)
        insight = "/meshes/default/dataplane-insights/web"
        problem = eventually(lambda: cp.get(insight).body.get("problem"))
        assert 'TrafficRoute "broken"' in problem
        assert "problem" not in cp.get("/meshes/default/dataplane-insights/api").body
        (proxy,) = cp.get("/meshes/default/dataplanes/web/xds").body["proxies"]
        assert proxy["problem"] == problem
        assert 'TrafficRoute "broken"' in capsys.readouterr().out
        cp.delete("/meshes/default/traffic-routes/broken")
        eventually(lambda: "problem" not in cp.get(insight).body)
