"""Zero trust as real Envoys enforce it: who may connect is counted in connections."""

from __future__ import annotations

import json
import socket
import ssl
import time
from contextlib import ExitStack

import pytest
from cryptography import x509

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.authorities import verified
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Load, Machine, Sidecar, fetch
from .test_traffic import client, instance

PLUGINS = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin]
SETTINGS = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}


@pytest.fixture(params=["delta", "sotw"])
def machine(request, tmp_path):
    settings = {**SETTINGS, "KUMA_XDS_SERVER_PROTOCOL": request.param}
    with running_platform(PLUGINS, settings) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


@pytest.fixture
def delta(tmp_path):
    with running_platform(PLUGINS, SETTINGS) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def encrypt(machine: Machine, enabled: bool = True) -> None:
    machine.cp.apply({"type": "Mesh", "name": "default", "mtls": {"enabled": enabled, "ca": {"builtin": {}}}})


def permit(machine: Machine, name: str, source: str, destination: str) -> None:
    machine.cp.apply(
        {
            "type": "TrafficPermission",
            "mesh": "default",
            "name": name,
            "sources": [{"match": {"service": source}}],
            "destinations": [{"match": {"service": destination}}],
        }
    )


def refused(port: int) -> bool:
    """Whether a connection is closed without an answer."""
    try:
        fetch(port, timeout=3)
    except OSError as error:
        return "timed out" not in str(error)
    return False


def address(document: dict) -> tuple[str, int]:
    ip, port, _ = document["networking"]["inbound"][0]["interface"].split(":")
    return ip, int(port)


def test_scenarios_27_28_29_nobody_may_come_in_until_a_permission_says_so(machine):
    orders_port, mailer_port = free_port(), free_port()
    ledger = instance(machine, "ledger-1", "ledger")
    encrypt(machine)
    machine.cp.apply(
        ledger,
        client("orders", outbound(f":{orders_port}", "ledger")),
        client("mailer", outbound(f":{mailer_port}", "ledger")),
    )
    server = machine.sidecar("ledger-1")
    machine.sidecar("orders")
    machine.sidecar("mailer")
    ip, port = address(ledger)
    eventually(lambda: refused(orders_port) and server.stat(rf"inbound.{ip}.{port}.*rbac.denied") > 0)
    permit(machine, "orders-to-ledger", "orders", "ledger")
    assert eventually(lambda: fetch(orders_port)) == "ledger-1"
    assert refused(mailer_port)
    orders = ["spiffe://default/orders"]
    assert let_in(server, ledger) == {"orders-to-ledger": orders}
    permit(machine, "everyone", "*", "*")
    assert eventually(lambda: fetch(mailer_port)) == "ledger-1"
    assert let_in(server, ledger) == {"orders-to-ledger": orders, "everyone": ["any"]}
    assert refused(port), "plain text is refused"
    with pytest.raises(OSError, match=r"(?i)alert|eof|reset|ssl|closed"):
        handshake_without_certificate(port)


def test_scenario_30_two_permissions_for_one_inbound_let_in_whom_either_names(delta):
    machine = delta
    ports = {name: free_port() for name in ("orders", "mailer", "reports")}
    ledger = instance(machine, "ledger-1", "ledger")
    encrypt(machine)
    machine.cp.apply(ledger, *(client(name, outbound(f":{port}", "ledger")) for name, port in ports.items()))
    server = machine.sidecar("ledger-1")
    for name in ports:
        machine.sidecar(name)
    permit(machine, "orders-to-ledger", "orders", "ledger")
    permit(machine, "mailer-to-ledger", "mailer", "ledger")
    for name in ("orders", "mailer"):
        assert eventually(lambda port=ports[name]: fetch(port)) == "ledger-1"
    assert refused(ports["reports"])
    assert let_in(server, ledger) == {
        "orders-to-ledger": ["spiffe://default/orders"],
        "mailer-to-ledger": ["spiffe://default/mailer"],
    }
    machine.cp.delete("/meshes/default/traffic-permissions/mailer-to-ledger")
    eventually(lambda: refused(ports["mailer"]))
    assert fetch(ports["orders"]) == "ledger-1"


def test_probes_of_an_encrypted_service_are_answered_and_its_port_stays_closed(delta, monkeypatch):
    """As in a Pod: the kubelet, which has no certificate, asks kuma-dp; in plain text the service takes nobody."""
    machine = delta
    ledger, probes = instance(machine, "ledger-1", "ledger"), free_port()
    _, port = address(ledger)
    service = int(ledger["networking"]["inbound"][0]["interface"].split(":")[-1])
    targets = {
        "/app/livenessProbe": {"port": service, "timeout": 30},
        "/app/readinessProbe": {"port": service, "timeout": 30, "path": "/", "scheme": "HTTP"},
        "/app/startupProbe": {"port": free_port(), "timeout": 30},
    }
    encrypt(machine)
    machine.cp.apply(ledger)
    monkeypatch.setenv("KUMA_DATAPLANE_PROBES", json.dumps({"port": probes, "targets": targets}))
    server = machine.sidecar("ledger-1")
    eventually(lambda: f"inbound:127.0.0.1:{port}" in server.listeners())
    assert "takes connections" in fetch(probes, "/app/livenessProbe")
    assert "answered 200" in fetch(probes, "/app/readinessProbe")
    with pytest.raises(OSError, match="503"):
        fetch(probes, "/app/startupProbe")
    assert refused(port), "plain text is refused"


def let_in(sidecar: Sidecar, document: dict) -> dict[str, list[str]]:
    """Whom the RBAC filter of an instance's inbound lets in, by the name of the policy."""
    ip, port = address(document)
    (listener,) = [
        item["active_state"]["listener"]
        for item in sidecar.config()["ListenersConfigDump"]["dynamic_listeners"]
        if item["name"] == f"inbound:{ip}:{port}"
    ]
    (chain,) = listener["filter_chains"]
    (rules,) = [item["typed_config"]["rules"] for item in chain["filters"] if item["name"].endswith("rbac")]
    return {
        name: [principal(entry) for entry in policy["principals"]]
        for name, policy in rules["policies"].items()
    }


def principal(entry: dict) -> str:
    return "any" if entry.get("any") else entry["authenticated"]["principal_name"]["exact"]


def handshake_without_certificate(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain) as encrypted,
    ):
        encrypted.sendall(b"GET / HTTP/1.1\r\n\r\n")
        data = encrypted.recv(100)
        if not data:
            raise OSError("closed")
        return data


def test_scenario_31_each_inbound_has_permissions_of_its_own(delta):
    machine, web = delta, free_port()
    admin = free_port()
    encrypt(machine)
    machine.cp.apply(
        dataplane(
            "ledger-1",
            inbound(f"127.0.0.1:{free_port()}:{machine.service('ledger')}", "ledger"),
            inbound(f"127.0.0.1:{free_port()}:{machine.service('admin')}", "ledger-admin"),
        ),
        client("orders", outbound(f":{web}", "ledger"), outbound(f":{admin}", "ledger-admin")),
    )
    permit(machine, "admin", "orders", "ledger-admin")
    machine.sidecar("ledger-1")
    machine.sidecar("orders")
    assert eventually(lambda: fetch(admin)) == "admin"
    assert refused(web)


@pytest.mark.parametrize("source", ["web", "admin-web"])
def test_scenario_32_as_amended_a_permission_from_any_service_of_the_source_holds(delta, source):
    machine, port = delta, free_port()
    encrypt(machine)
    machine.cp.apply(
        instance(machine, "ledger-1", "ledger"),
        dataplane(
            "web-1",
            inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"),
            inbound(f"127.0.0.1:{free_port()}:{free_port()}", "admin-web"),
            outbounds=[outbound(f":{port}", "ledger")],
        ),
    )
    permit(machine, "p", source, "ledger")
    machine.sidecar("ledger-1")
    machine.sidecar("web-1")
    assert eventually(lambda: fetch(port)) == "ledger-1"


def certificates(sidecar) -> list[dict]:
    return json.loads(fetch(sidecar.admin_port, "/certs"))["certificates"]


def test_scenario_33_and_36_the_certificate_names_the_service_and_chains_to_the_root(delta):
    machine = delta
    encrypt(machine)
    ledger = instance(machine, "ledger-1", "ledger")
    machine.cp.apply(ledger, client("web", outbound(f":{free_port()}", "ledger")))
    sidecar = machine.sidecar("ledger-1")

    def own() -> dict:
        found = [item for item in certificates(sidecar) if item.get("cert_chain")]
        return found[0]["cert_chain"][0]

    certificate = eventually(own)
    uris = [name["uri"] for name in certificate["subject_alt_names"]]
    assert uris == ["spiffe://default/ledger"]
    assert 88 <= int(certificate["days_until_expiration"]) <= 90
    anchors = machine.cp.platform.core.authorities["builtin"].trust_anchors("default")
    leaf = verified(shown_by(address(ledger)[1]), anchors)
    assert f"{leaf.serial_number:x}" == certificate["serial_number"].lstrip("0")


def shown_by(port: int) -> str:
    """The certificate that a TLS server on loopback shows, in PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)


def test_scenario_34_a_permission_that_is_withdrawn_denies_new_connections_at_once(delta):
    machine, port = delta, free_port()
    encrypt(machine)
    machine.cp.apply(instance(machine, "ledger-1", "ledger"), client("web", outbound(f":{port}", "ledger")))
    permit(machine, "p", "web", "ledger")
    machine.sidecar("ledger-1")
    machine.sidecar("web")
    eventually(lambda: fetch(port))
    machine.cp.delete("/meshes/default/traffic-permissions/p")
    began = time.monotonic()
    eventually(lambda: refused(port))
    assert time.monotonic() - began < 3


def test_scenario_35_without_mtls_traffic_is_plain_again(delta):
    machine, port = delta, free_port()
    machine.drain_seconds = 1
    encrypt(machine)
    ledger = instance(machine, "ledger-1", "ledger")
    machine.cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
    machine.sidecar("ledger-1")
    machine.sidecar("web")
    eventually(lambda: refused(port))
    encrypt(machine, enabled=False)
    assert eventually(lambda: fetch(port)) == "ledger-1"
    assert eventually(lambda: fetch(address(ledger)[1])) == "ledger-1"
    servers = machine.cp.platform.core.proxies
    eventually(lambda: len(servers.secrets_hub) == 0, 60, "closed SDS streams")


def test_scenario_37_identities_are_renewed_under_load_without_a_failed_request(tmp_path):
    settings = {**SETTINGS, "KUMA_CA_DEFAULTS_LEAF_LIFETIME": "6s"}
    with running_platform(PLUGINS, settings) as cp, ExitStack() as stack:
        machine, port = Machine(cp, tmp_path, stack), free_port()
        encrypt(machine)
        machine.cp.apply(
            instance(machine, "ledger-1", "ledger"), client("web", outbound(f":{port}", "ledger"))
        )
        permit(machine, "p", "web", "ledger")
        server = machine.sidecar("ledger-1")
        machine.sidecar("web")
        eventually(lambda: fetch(port))

        def serial() -> str:
            found = [item for item in certificates(server) if item.get("cert_chain")]
            return found[0]["cert_chain"][0]["serial_number"]

        seen, streams = {serial()}, set(cp.platform.core.proxies.secrets_hub._sessions)
        with Load(port, pause=0.01) as load:
            eventually(lambda: seen.add(serial()) or len(seen) >= 3, 30, "two renewals")
        assert set(cp.platform.core.proxies.secrets_hub._sessions) == streams, "nobody had to connect again"
        assert load.failures == []
        assert load.answers["ledger-1"] > 50


def test_a_client_refuses_a_server_that_is_another_service(delta):
    machine, port = delta, free_port()
    encrypt(machine)
    impostor = instance(machine, "mailer-1", "mailer")
    ip, real = address(impostor)
    machine.cp.apply(impostor, client("web", outbound(f":{port}", "mailer")))
    permit(machine, "everyone", "*", "*")
    machine.sidecar("mailer-1")
    web = machine.sidecar("web")
    eventually(lambda: fetch(port))
    machine.cp.apply(
        dataplane("ledger-1", inbound(f"{ip}:{real}:1", "ledger")),  # says that the ledger is there
        client("web", outbound(f":{port}", "ledger")),
    )
    machine.say_serving("ledger-1")
    eventually(lambda: refused(port) and web.stat("cluster.ledger.ssl.fail_verify_san") > 0)


def test_what_two_proxies_call_is_configured_once_for_both(delta):
    """The token of each is in a file of its own, which has the same name for every Envoy."""
    machine, ports = delta, (free_port(), free_port())
    encrypt(machine)
    machine.cp.apply(instance(machine, "ledger-1", "ledger"))
    permit(machine, "everyone", "*", "*")
    machine.sidecar("ledger-1")
    versions = set()
    for name, port in zip(("web", "till"), ports, strict=True):
        machine.cp.apply(client(name, outbound(f":{port}", "ledger")))
        machine.sidecar(name)
        eventually(lambda port=port: fetch(port))
        (proxy,) = machine.cp.get(f"/meshes/default/dataplanes/{name}/xds").body["proxies"]
        (cluster,) = [item for item in proxy["types"]["cds"]["resources"] if item["name"] == "ledger"]
        versions.add(cluster["version"])
    assert len(versions) == 1


def test_the_mesh_is_closed_without_the_policy_plugin(tmp_path):
    with running_platform([kuma_store_memory, kuma_ca_builtin], SETTINGS) as cp, ExitStack() as stack:
        machine, port = Machine(cp, tmp_path, stack), free_port()
        encrypt(machine)
        machine.cp.apply(
            instance(machine, "ledger-1", "ledger"), client("web", outbound(f":{port}", "ledger"))
        )
        server = machine.sidecar("ledger-1")
        machine.sidecar("web")
        eventually(lambda: refused(port) and server.stat("inbound.*rbac.denied") > 0)


def test_a_proxy_with_the_token_of_another_gets_nothing(delta, tmp_path):
    machine = delta
    machine.cp.apply(client("web", outbound(":7100", "ledger")), client("thief", outbound(":7101", "ledger")))
    thief = machine.sidecar("web", wait=False, token_text=machine.cp.token("thief"))
    eventually(
        lambda: "proxy name from requestor: web is different than in token: thief" in thief.log.read_text()
    )


def test_the_root_of_the_mesh_is_what_proxies_trust(delta):
    machine = delta
    encrypt(machine)
    machine.cp.apply(instance(machine, "ledger-1", "ledger"))
    sidecar = machine.sidecar("ledger-1")
    trusted = eventually(
        lambda: [item["ca_cert"][0] for item in certificates(sidecar) if item.get("ca_cert")]
    )
    authorities = machine.cp.platform.core.authorities
    (anchor,) = authorities["builtin"].trust_anchors("default")
    root = x509.load_pem_x509_certificate(anchor.encode())
    assert int(trusted[0]["serial_number"], 16) == root.serial_number
