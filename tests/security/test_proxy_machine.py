"""What an operator of a mesh cannot reach on the machines of its proxies, with real Envoys.

Each of these worked once: a line in a file of one's choice, a proxy's token, a command, Envoy's admin API.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import kuma_policy_traffic
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

from ..end_to_end.support import Machine, fetch
from ..end_to_end.test_traffic import client, instance

TYPE = "type.googleapis.com/envoy"
EXTENSIONS = f"{TYPE}.extensions"
SETTINGS = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
TEMPLATE = "/meshes/default/proxytemplates/t"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def control_plane(store: MemoryStore, stack: ExitStack, **settings: str) -> RunningPlatform:
    plugins = [SharedStore(store), kuma_policy_traffic]
    return stack.enter_context(running_platform(plugins, SETTINGS | settings))


def template(*resources: dict[str, Any]) -> dict[str, Any]:
    raw = [{"name": "a", "version": "b", "resource": json.dumps(item)} for item in resources]
    return {
        "type": "ProxyTemplate",
        "mesh": "default",
        "name": "t",
        "selectors": [{"match": {"service": "web"}}],
        "conf": {"imports": ["default-proxy"], "resources": raw},
    }


def listener(port: int, **action: Any) -> dict[str, Any]:
    routes = [{"match": {"prefix": "/"}, **action}]
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mine",
        "route_config": {"name": "r", "virtual_hosts": [{"name": "h", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router"}}
        ],
    }
    return {
        "@type": f"{TYPE}.config.listener.v3.Listener",
        "name": "mine",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }


def cluster(host: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": host, "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "@type": f"{TYPE}.config.cluster.v3.Cluster",
        "name": "theirs",
        "type": "STRICT_DNS",
        "load_assignment": {"cluster_name": "theirs", "endpoints": endpoints},
    }


def said(cp: RunningPlatform, name: str) -> str:
    """Everything that the status of a Dataplane says."""
    return json.dumps(cp.get(f"/meshes/default/dataplanes+insights/{name}").body)


# -- Envoy's admin API


def test_the_admin_api_is_no_service_of_a_dataplane(
    store: MemoryStore, stack: ExitStack, tmp_path: Path
) -> None:
    """The inbound was there before kuma-dp chose the port, or came after."""
    cp = control_plane(store, stack)
    machine = Machine(cp, tmp_path, stack)
    web = client("web", outbound(f":{free_port()}", "echo"))
    cp.apply(web)
    sidecar = machine.sidecar("web")
    door = free_port()
    web["networking"]["inbound"].append(inbound(f"127.0.0.1:{door}:{sidecar.admin_port}", "web"))
    other = free_port()
    web["networking"]["outbound"].append(outbound(f"127.0.0.1:{other}", "echo"))
    cp.apply(web)
    eventually(lambda: f"outbound:127.0.0.1:{other}" in sidecar.listeners(), 60)
    assert f"inbound:127.0.0.1:{door}" not in sidecar.listeners()
    with pytest.raises(OSError, match=r"(?i)refused"):
        fetch(door, "/quitquitquit")


def test_the_admin_api_is_no_instance_of_a_service(
    store: MemoryStore, stack: ExitStack, tmp_path: Path
) -> None:
    """Somebody writes a Dataplane that nobody runs, at the place of another proxy's admin API."""
    cp = control_plane(store, stack)
    machine, port = Machine(cp, tmp_path, stack), free_port()
    cp.apply(instance(machine, "echo-1", "echo"), client("web", outbound(f":{port}", "echo")))
    machine.sidecar("echo-1")
    sidecar = machine.sidecar("web")
    assert eventually(lambda: fetch(port), 60) == "echo-1"
    cp.apply(dataplane("evil-1", inbound(f"127.0.0.1:{sidecar.admin_port}:80", "echo")))
    second = instance(machine, "echo-2", "echo")
    cp.apply(second)
    machine.sidecar("echo-2")
    eventually(lambda: len(sidecar.endpoints()["echo"]) > 1, 60, "the endpoints after the write")
    assert ("127.0.0.1", sidecar.admin_port) not in sidecar.endpoints()["echo"]
    assert {fetch(port) for _ in range(20)} <= {"echo-1", "echo-2"}
    assert "is left out: on the proxy's machine that is Envoy's admin API" in json.dumps(
        cp.get("/meshes/default/dataplanes/web/xds").body
    )


def test_the_admin_api_is_no_cluster_of_a_template(
    store: MemoryStore, stack: ExitStack, tmp_path: Path
) -> None:
    cp = control_plane(store, stack)
    machine = Machine(cp, tmp_path, stack)
    cp.apply(client("web", outbound(f":{free_port()}", "echo")))
    sidecar = machine.sidecar("web")
    door = free_port()
    to_admin = template(cluster("localhost", sidecar.admin_port), listener(door, route={"cluster": "theirs"}))
    cp.apply(to_admin)
    eventually(lambda: "is the port of Envoy's admin API" in said(cp, "web"), 60)
    with pytest.raises(OSError, match=r"(?i)refused"):
        fetch(door)
    assert "theirs" not in sidecar.clusters()
    away = machine.service("away")
    cp.apply(template(cluster("127.0.0.1", away), listener(door, route={"cluster": "theirs"})))
    assert eventually(lambda: fetch(door), 60, "what the template may do") == "away"


# -- files, variables, programs


TOKEN = listener(1, direct_response={"status": 200, "body": {"filename": "/var/lib/kuma/token"}})
LUA = {
    "@type": f"{EXTENSIONS}.filters.http.lua.v3.Lua",
    "default_source_code": {"inline_string": "os.execute('touch /tmp/pwned')"},
}


def with_lua(port: int) -> dict[str, Any]:
    found = listener(port, direct_response={"status": 200})
    filters = found["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    filters.insert(0, {"name": "lua", "typed_config": LUA})
    return found


def test_a_template_reads_no_token_and_runs_no_command(store: MemoryStore, stack: ExitStack) -> None:
    cp = control_plane(store, stack)
    for resource, name in (
        (TOKEN, "envoy.config.core.v3.DataSource.filename"),
        (with_lua(1), "envoy.extensions.filters.http.lua.v3.Lua"),
    ):
        answer = cp.request("PUT", TEMPLATE, template(resource))
        assert answer.status == 400
        (cause,) = answer.body["causes"]
        assert f"{name} is not allowed in a ProxyTemplate" in cause["message"]
        assert "policies.proxyTemplate.allowedTypes" in cause["message"]


def test_what_was_stored_when_it_was_allowed_is_not_served_any_more(
    store: MemoryStore, stack: ExitStack, tmp_path: Path
) -> None:
    """The proxies keep what they have, and say why."""
    token = tmp_path / "their-token"
    token.write_text("secret")
    door = free_port()
    with ExitStack() as before:
        wide = control_plane(store, before, KUMA_POLICIES_PROXY_TEMPLATE_ALLOWED_TYPES="*")
        body = {"filename": str(token)}
        wide.apply(template(listener(door, direct_response={"status": 200, "body": body})))
    cp = control_plane(store, stack)
    machine = Machine(cp, tmp_path, stack)
    cp.apply(client("web", outbound(f":{free_port()}", "echo")))
    sidecar = machine.sidecar("web", wait=False)
    eventually(lambda: "envoy.config.core.v3.DataSource.filename is not allowed" in said(cp, "web"), 60)
    with pytest.raises(OSError, match=r"(?i)refused"):
        fetch(door)
    assert cp.request("DELETE", TEMPLATE).status == 200
    eventually(sidecar.is_live, 60, "what the proxy may have without the template")


# -- a line in a file


def logging_to(path: Path) -> dict[str, Any]:
    backends = [{"name": "file", "format": "ssh-rsa AAAA attacker\n", "file": {"path": str(path)}}]
    return mesh("default", logging={"defaultBackend": "file", "backends": backends})


LOG = {
    "type": "TrafficLog",
    "mesh": "default",
    "name": "all",
    "sources": [{"match": {"service": "*"}}],
    "destinations": [{"match": {"service": "*"}}],
}


def test_a_traffic_log_appends_to_no_file_outside_of_the_folder(
    store: MemoryStore, stack: ExitStack, tmp_path: Path
) -> None:
    """Neither by a write, nor by a mesh that is stored, nor by a link on the proxy's machine."""
    logs, victim = tmp_path / "logs", tmp_path / "authorized_keys"
    logs.mkdir()
    victim.write_text("mine\n")
    with ExitStack() as before:
        control_plane(store, before).apply(logging_to(victim), LOG)
    cp = control_plane(store, stack, KUMA_LOGGING_DIRECTORY=str(logs))
    again = cp.request("PUT", "/meshes/default", logging_to(victim))
    assert [cause["field"] for cause in again.body["causes"]] == ["logging.backends[0].file.path"]
    assert "logging.directory" in again.body["causes"][0]["message"]
    machine, port = Machine(cp, tmp_path, stack), free_port()
    cp.apply(instance(machine, "echo-1", "echo"), client("web", outbound(f":{port}", "echo")))
    machine.sidecar("echo-1")
    web = machine.sidecar("web")
    assert eventually(lambda: fetch(port), 60) == "echo-1"
    (logs / "link.log").symlink_to(victim)
    cp.apply(logging_to(logs / "link.log"))
    told = "a link, or a file, is on its way below"
    eventually(lambda: fetch(port) and told in web.log.read_text(), 60, "a warning of kuma-dp")
    cp.apply(logging_to(logs / "good.log"))
    eventually(lambda: fetch(port) and (logs / "good.log").exists(), 60, "a log where it may be")
    assert victim.read_text() == "mine\n"
