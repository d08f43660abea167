"""Requests through two real Envoys, under the control plane's orders."""

from __future__ import annotations

import time
from contextlib import ExitStack

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .load import KeptAlive, patient_service
from .support import Load, Machine, fetch


def instance(machine: Machine, name: str, service: str, **tags: str) -> dict:
    """The Dataplane of an instance of a service, which is started too."""
    interface = f"127.0.0.1:{free_port()}:{machine.service(name)}"
    return dataplane(name, inbound(interface, service, **tags))


def client(name: str, *outbounds: dict, **tags: str) -> dict:
    """The Dataplane of something that only calls others."""
    interface = f"127.0.0.1:{free_port()}:{free_port()}"
    return dataplane(name, inbound(interface, name, **tags), outbounds=outbounds)


def relabelled(document: dict, service: str) -> dict:
    """The same Dataplane as an instance of another service."""
    interface = document["networking"]["inbound"][0]["interface"]
    return dataplane(document["name"], inbound(interface, service))


def test_a_request_goes_through_two_sidecars(machine):
    port = free_port()
    server = instance(machine, "echo-1", "echo")
    machine.cp.apply(server, client("web", outbound(f":{port}", "echo")))
    echo, web = machine.sidecar("echo-1"), machine.sidecar("web")
    assert eventually(lambda: fetch(port), what="an answer through both sidecars") == "echo-1"
    workload = server["networking"]["inbound"][0]["interface"].rpartition(":")[2]
    assert web.stat("cluster.echo.upstream_cx_total") >= 1
    assert echo.stat(f"cluster.localhost_{workload}.upstream_cx_total") >= 1


def test_a_new_instance_gets_traffic_within_a_second_and_no_client_sees_an_error(machine):
    port = free_port()
    first, second = instance(machine, "echo-1", "echo"), instance(machine, "echo-2", "standby")
    machine.cp.apply(first, second, client("web", outbound(f":{port}", "echo")))
    for name in ("echo-1", "echo-2", "web"):
        machine.sidecar(name)
    eventually(lambda: fetch(port))
    with Load(port) as load:
        eventually(lambda: load.answers["echo-1"] > 10)
        began = time.monotonic()
        machine.cp.apply(relabelled(second, "echo"))
        eventually(lambda: load.answers["echo-2"])
        assert time.monotonic() - began < 1
        eventually(lambda: load.answers["echo-2"] > 10)
    assert load.failures == []


def test_a_deleted_instance_loses_its_traffic_within_a_second_and_no_client_sees_an_error(machine):
    port = free_port()
    documents = [instance(machine, f"echo-{n}", "echo") for n in (1, 2, 3)]
    machine.cp.apply(*documents, client("web", outbound(f":{port}", "echo")))
    for name in ("echo-1", "echo-2", "echo-3", "web"):
        machine.sidecar(name)
    eventually(lambda: fetch(port))
    with Load(port) as load:
        eventually(lambda: min(load.answers[f"echo-{n}"] for n in (1, 2, 3)) > 5)
        machine.cp.delete("/meshes/default/dataplanes/echo-1")
        began = time.monotonic()
        eventually(lambda: load.quiet_for("echo-1", answers=30))
        assert load.last_answer["echo-1"] - began < 1
    assert load.failures == []


def test_scenario_19_a_service_without_instances_resets_and_heals_when_one_starts(machine):
    port = free_port()
    machine.cp.apply(client("web", outbound(f":{port}", "echo")))
    web = machine.sidecar("web")
    assert web.endpoints()["echo"] == []
    eventually(lambda: _is_reset(port), what="a reset connection")
    machine.cp.apply(instance(machine, "echo-1", "echo"))
    machine.sidecar("echo-1")
    began = time.monotonic()
    assert eventually(lambda: fetch(port)) == "echo-1"
    assert time.monotonic() - began < 3


def _is_reset(port: int) -> bool:
    try:
        fetch(port)
    except ConnectionResetError:
        return True
    except OSError as error:
        return "RemoteDisconnected" in str(error)
    return False


def test_scenario_10_a_gateway_reaches_its_outbound(machine):
    port = free_port()
    gateway = dataplane("edge", gateway={"service": "edge"}, outbounds=[outbound(f":{port}", "echo")])
    machine.cp.apply(instance(machine, "echo-1", "echo"), gateway)
    machine.sidecar("echo-1")
    machine.sidecar("edge")
    assert eventually(lambda: fetch(port)) == "echo-1"


def test_an_outbound_moves_to_another_service_under_load_without_an_error(machine):
    port = free_port()
    machine.cp.apply(
        instance(machine, "echo-1", "echo"),
        instance(machine, "mirror-1", "mirror"),
        web := client("web", outbound(f":{port}", "echo")),
    )
    for name in ("echo-1", "mirror-1", "web"):
        machine.sidecar(name)
    eventually(lambda: fetch(port))
    with Load(port) as load:
        for target in ("mirror", "echo", "mirror", "echo"):
            seen = load.answers[f"{target}-1"]
            machine.cp.apply(_targeting(web, target))
            eventually(lambda seen=seen, target=target: load.answers[f"{target}-1"] > seen + 5)
    assert load.failures == []


def _targeting(document: dict, service: str) -> dict:
    inbounds = document["networking"]["inbound"]
    tags = {**inbounds[0]["tags"], "target": service}
    networking = {**document["networking"], "inbound": [{**inbounds[0], "tags": tags}]}
    return {**document, "networking": networking}


def test_addresses_may_be_ipv6(machine):
    """Caller and service listen on ``[::1]``; a second instance of the service is on IPv4."""
    port, addresses = free_port(), {"echo-1": "[::1]", "echo-2": "127.0.0.1"}
    for name, ip in addresses.items():
        interface = f"{ip}:{free_port()}:{machine.service(name)}"
        machine.cp.apply(dataplane(name, inbound(interface, "echo")))
    machine.cp.apply(client("web", outbound(f"[::1]:{port}", "echo")))
    for name in (*addresses, "web"):
        machine.sidecar(name)
    assert eventually(lambda: {fetch(port, host="::1") for _ in range(20)} == set(addresses))


SWITCHES = 10


def test_routes_change_over_to_another_service_under_load_without_an_error(machine):
    """Ten times over: a cluster is there before a route leads to it, and for as long as one does."""
    port = free_port()
    web = client("web", outbound(f":{port}", "nobody"), routed="echo")
    with ExitStack() as stack:
        for service in ("echo", "mirror"):
            workload = stack.enter_context(patient_service(service))
            machine.cp.apply(
                dataplane(f"{service}-1", inbound(f"127.0.0.1:{free_port()}:{workload}", service))
            )
        machine.cp.apply(web)
        for name in ("echo-1", "mirror-1", "web"):
            sidecar = machine.sidecar(name)
        eventually(lambda: fetch(port))
        load = stack.enter_context(KeptAlive(port))
        for number in range(SWITCHES):
            target, other = ("mirror", "echo")[number % 2], ("mirror", "echo")[1 - number % 2]
            seen = load.answers[target]
            machine.cp.apply(tagged(web, routed=target))
            eventually(lambda seen=seen, target=target: load.answers[target] > seen + 500)
            eventually(lambda other=other: other not in sidecar.clusters(), what="the end of the old cluster")
    assert load.failures == {}
    assert load.answers.total() > 500 * SWITCHES


def tagged(document: dict, **tags: str) -> dict:
    """The same Dataplane with other tags on its inbound beside the service."""
    first = document["networking"]["inbound"][0]
    kept = {"service": first["tags"]["service"], **tags}
    return {**document, "networking": {**document["networking"], "inbound": [{**first, "tags": kept}]}}
