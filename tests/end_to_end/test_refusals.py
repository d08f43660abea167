"""What an Envoy refuses for a reason of its machine heals by itself, and what it applied of it is taken back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Machine, Sidecar, fetch
from .test_outage import ControlPlane
from .test_protocol import status
from .test_traffic import client, instance

SOON = 8
"""The third offer comes three seconds after the first; what is watched is that it comes at all."""


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody else listens on a port."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def moved(document: dict, *outbounds: dict) -> dict:
    """The same Dataplane with other outbounds."""
    return {**document, "networking": {**document["networking"], "outbound": list(outbounds)}}


def ports_of(sidecar: Sidecar) -> set[int]:
    """The ports of the outbounds that an Envoy listens on."""
    return {int(name.rpartition(":")[2]) for name in sidecar.listeners() if name.startswith("outbound:")}


def test_a_port_that_was_taken_for_two_seconds_gets_its_listener(machine):
    port, other = free_port(), free_port()
    web = client("web", outbound(f":{port}", "echo"), outbound(f":{other}", "echo"))
    machine.cp.apply(instance(machine, "echo-1", "echo"), web)
    machine.sidecar("echo-1")
    with taken(port):
        machine.sidecar("web", wait=False)
        eventually(lambda: int(status(machine.cp, "web")["lds"]["responsesRejected"]) >= 2)
        eventually(lambda: fetch(other), what="the other listener")
    eventually(lambda: fetch(port), SOON, "the listener, though nobody changed anything")
    eventually(lambda: "lastRejection" not in status(machine.cp, "web"))


def test_an_outbound_that_was_moved_to_a_taken_port_and_back_is_where_it_was(machine):
    port, busy = free_port(), free_port()
    web = client("web", outbound(f":{port}", "echo"))
    machine.cp.apply(instance(machine, "echo-1", "echo"), web)
    machine.sidecar("echo-1")
    sidecar = machine.sidecar("web")
    eventually(lambda: fetch(port))
    with taken(busy):
        machine.cp.apply(moved(web, outbound(f":{busy}", "echo")))
        eventually(lambda: status(machine.cp, "web")["lastRejection"])
        assert not ports_of(sidecar)
        machine.cp.apply(web)
        eventually(lambda: fetch(port), what="the old listener")
        eventually(lambda: "lastRejection" not in status(machine.cp, "web"))
    assert ports_of(sidecar) == {port}


def test_so_it_is_when_the_control_plane_started_anew_meanwhile(variant, tmp_path):
    """Envoy tells the new one the versions that it had before the refusal."""
    with ExitStack() as stack:
        cp, port, busy = ControlPlane(tmp_path, stack, variant), free_port(), free_port()
        machine = Machine(None, tmp_path, stack)
        echo, web = instance(machine, "echo-1", "echo"), client("web", outbound(f":{port}", "echo"))
        cp.apply(echo, web)
        machine.sidecar("echo-1", api_url=cp.url)
        sidecar = machine.sidecar("web", api_url=cp.url)
        eventually(lambda: fetch(port))
        stack.enter_context(taken(busy))
        cp.apply(moved(web, outbound(f":{busy}", "echo")))
        eventually(lambda: cp.status("web")["lastRejection"])
        assert not ports_of(sidecar)
        cp.kill()
        cp.start()
        cp.apply(echo, web)
        eventually(lambda: fetch(port), what="the old listener, from the new control plane")
        assert ports_of(sidecar) == {port}


FILE_LOG = "envoy.extensions.access_loggers.file.v3.FileAccessLog"


def logged(port: int, file: Path) -> dict:
    """A template that adds a listener with an access log of its own."""
    access_log = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"type.googleapis.com/{FILE_LOG}",
            "path": str(file),
            "log_format": {"text_format_source": {"inline_string": "a connection\n"}},
        },
    }
    tcp_proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "logged",
        "cluster": "echo",
        "access_log": [access_log],
    }
    listener = {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "logged",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp_proxy}]}
        ],
    }
    raw = {"name": "logged", "version": "1", "resource": json.dumps(listener)}
    return {
        "type": "ProxyTemplate",
        "mesh": "default",
        "name": "logged",
        "selectors": [{"match": {"service": "web"}}],
        "conf": {"imports": ["default-proxy"], "resources": [raw]},
    }


@pytest.mark.parametrize("protocol", ["delta", "sotw"])
def test_a_log_folder_that_comes_later_brings_the_listener(protocol, tmp_path):
    settings = {
        "KUMA_XDS_SERVER_PROTOCOL": protocol,
        "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1",
        "KUMA_POLICIES_PROXY_TEMPLATE_ALLOWED_TYPES": FILE_LOG,
    }
    plugins = [kuma_store_memory, kuma_policy_traffic]
    file, port, other = tmp_path / "later" / "access.log", free_port(), free_port()
    with running_platform(plugins, settings) as cp, ExitStack() as stack:
        machine = Machine(cp, tmp_path, stack)
        cp.apply(instance(machine, "echo-1", "echo"), client("web", outbound(f":{other}", "echo")))
        cp.apply(logged(port, file))
        machine.sidecar("echo-1")
        machine.sidecar("web", wait=False)
        eventually(lambda: "later/access.log" in status(cp, "web")["lastRejection"])
        eventually(lambda: fetch(other), what="the other listener")
        file.parent.mkdir()
        assert (
            eventually(lambda: fetch(port), what="the listener, though nobody changed anything") == "echo-1"
        )
        eventually(lambda: "lastRejection" not in status(cp, "web"))
