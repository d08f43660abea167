"""Control planes that die, come back, or are two: real processes, real Envoys."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.runtime.descriptors import KEPT_BACK
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port, own_ports
from kuma_core.testing.waiting import eventually

from .support import BIN, Load, Machine, Sidecar, end, fetch, service, start


class ControlPlane:
    """A kuma-cp process that can be killed and started again on the same ports."""

    def __init__(self, folder: Path, stack: ExitStack, variant: str, **settings: str) -> None:
        self.ports = own_ports()
        self._folder, self._stack = folder, stack
        self._environ = {
            **os.environ,
            **{f"KUMA_{name}": str(port) for name, port in self.ports.items()},
            "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1",
            "KUMA_API_SERVER_INTERFACE": "127.0.0.1",
            "KUMA_XDS_SERVER_PROTOCOL": variant,
            "KUMA_PLUGINS": "store_memory",
            # What a memory store forgets with everything else: the root and the key that proxies know it by.
            "KUMA_XDS_SERVER_TLS_ENABLED": "false",
            "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false",
            **settings,
        }
        self.start()

    def start(self) -> None:
        command = [str(BIN / "kuma-cp"), "run"]
        self.process = start(command, self._folder / "kuma-cp.log", self._stack, env=self._environ)
        eventually(lambda: fetch(self.ports["XDS_SERVER_DIAGNOSTICS_PORT"], "/ready") == "")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['API_SERVER_PORT']}"

    def apply(self, *documents: dict) -> None:
        for document in documents:
            path = f"/meshes/{document['mesh']}/dataplanes/{document['name']}"
            request = urllib.request.Request(self.url + path, json.dumps(document).encode(), method="PUT")
            with urllib.request.urlopen(request, timeout=10) as response:
                assert response.status in (200, 201)

    def online(self, name: str) -> bool:
        path = f"/meshes/default/dataplanes+insights/{name}"
        overview = json.loads(fetch(self.ports["API_SERVER_PORT"], path))
        subscriptions = overview["dataplaneInsight"].get("subscriptions", [])
        return any("disconnectTime" not in item for item in subscriptions)

    def status(self, name: str) -> dict:
        path = f"/meshes/default/dataplanes+insights/{name}"
        overview = json.loads(fetch(self.ports["API_SERVER_PORT"], path))
        return overview["dataplaneInsight"]["subscriptions"][-1]["status"]


@pytest.fixture
def stack():
    with ExitStack() as found:
        yield found


def _mesh(stack: ExitStack, port: int) -> list[dict]:
    workload = stack.enter_context(service("echo-1"))
    return [
        dataplane("echo-1", inbound(f"127.0.0.1:{free_port()}:{workload}", "echo")),
        dataplane(
            "web",
            inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"),
            outbounds=[outbound(f":{port}", "echo")],
        ),
    ]


def _updates(sidecar: Sidecar) -> tuple[int, ...]:
    """How often Envoy took clusters and listeners, and how often a listener was added or changed."""
    names = (
        "cluster_manager.cds.update_success",
        "listener_manager.lds.update_success",
        "listener_manager.listener_added",
        "listener_manager.listener_modified",
        "listener_manager.listener_removed",
        "cluster_manager.cluster_modified",
    )
    return tuple(sidecar.stat(name) for name in names)


def test_envoys_serve_without_a_control_plane_and_get_nothing_again_when_it_returns(variant, stack, tmp_path):
    cp, port = ControlPlane(tmp_path, stack, variant), free_port()
    documents = _mesh(stack, port)
    cp.apply(*documents)
    machine = Machine(None, tmp_path, stack)
    machine.sidecar("echo-1", api_url=cp.url)
    web = machine.sidecar("web", api_url=cp.url)
    eventually(lambda: fetch(port))
    with Load(port, pause=0.01) as load:
        before = _updates(web)
        cp.kill()
        eventually(lambda: web.stat("control_plane.connected_state") == 0)
        seen = load.answers["echo-1"]
        eventually(lambda: load.answers["echo-1"] > seen + 20)
        cp.start()
        eventually(lambda: web.stat("control_plane.connected_state") == 1, 30)
        assert web.listeners(), "an empty store must not empty the proxies"
        cp.apply(*documents)
        eventually(lambda: cp.online("web"))
        eventually(lambda: cp.status("web").get("lastUpdateTime") or cp.status("web")["total"] == {})
        seen = load.answers["echo-1"]
        eventually(lambda: load.answers["echo-1"] > seen + 20)
    assert load.failures == []
    after = _updates(web)
    assert after[2:] == before[2:], "nothing was added, modified or removed"
    resent = int(cp.status("web")["total"].get("responsesSent", "0"))
    assert resent <= (2 if variant == "delta" else 3), "at most an empty answer for each wildcard"


def test_a_listener_that_went_away_meanwhile_is_removed(stack, tmp_path):
    cp, port, other = ControlPlane(tmp_path, stack, "delta"), free_port(), free_port()
    echo, web = _mesh(stack, port)
    both = {**web, "networking": {**web["networking"]}}
    both["networking"]["outbound"] = [outbound(f":{port}", "echo"), outbound(f":{other}", "nobody")]
    cp.apply(echo, both)
    sidecar = Machine(None, tmp_path, stack).sidecar("web", api_url=cp.url)
    assert f"outbound:127.0.0.1:{other}" in sidecar.listeners()
    cp.kill()
    cp.start()
    cp.apply(echo, web)
    eventually(lambda: f"outbound:127.0.0.1:{other}" not in sidecar.listeners(), 30)
    eventually(lambda: "nobody" not in sidecar.clusters())
    assert f"outbound:127.0.0.1:{port}" in sidecar.listeners()


def test_a_proxy_that_knows_two_control_planes_changes_over(variant, stack, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    second = ControlPlane(tmp_path / "b", stack, variant)
    first_xds, second_xds = free_port(), second.ports["XDS_SERVER_GRPC_PORT"]
    hosts = f"127.0.0.1:{first_xds},127.0.0.1:{second_xds}"
    first = ControlPlane(
        tmp_path / "a",
        stack,
        variant,
        KUMA_XDS_SERVER_GRPC_PORT=str(first_xds),
        KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST=hosts,
    )
    documents = _mesh(stack, free_port())
    for cp in (first, second):
        cp.apply(*documents)
    Machine(None, tmp_path, stack).sidecar("web", api_url=first.url)
    eventually(lambda: first.online("web") or second.online("web"))
    serving, other = (first, second) if first.online("web") else (second, first)
    serving.kill()
    eventually(lambda: other.online("web"), 60, "the proxy at the other control plane")


def test_a_stopped_control_plane_leaves_with_exit_code_0_and_closes_its_insights(stack, tmp_path):
    cp = ControlPlane(tmp_path, stack, "delta")
    cp.apply(*_mesh(stack, free_port()))
    Machine(None, tmp_path, stack).sidecar("web", api_url=cp.url)
    eventually(lambda: cp.online("web"))
    cp.process.send_signal(signal.SIGTERM)
    assert cp.process.wait(timeout=15) == 0


def test_the_second_of_two_control_planes_on_the_same_ports_says_so(stack, tmp_path):
    cp = ControlPlane(tmp_path, stack, "delta")
    result = subprocess.run(
        [str(BIN / "kuma-cp"), "run"],
        env=cp._environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"Error: cannot listen on port {cp.ports['API_SERVER_PORT']} (apiServer.port")
    assert "Traceback" not in result.stderr
    end(cp.process)


def limits_of_open_files(process_id: int) -> tuple[str, str]:
    """Soft and hard, as the kernel tells them."""
    lines = Path(f"/proc/{process_id}/limits").read_text().splitlines()
    soft, hard = next(line.split()[3:5] for line in lines if line.startswith("Max open files"))
    return soft, hard


def test_a_control_plane_may_open_as_many_files_as_the_system_lets_it(tmp_path):
    """Each proxy is one; the soft limit that a shell hands down is often 1024. A few are kept back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        cp = ControlPlane(tmp_path, stack, "delta")
        soft, hard = limits_of_open_files(cp.process.pid)
        but_those_kept_back = hard if hard == "unlimited" else str(int(hard) - KEPT_BACK)
        assert soft == but_those_kept_back != "512"
