"""Nobody needs the control plane to serve: real Envoys under steady load while there is none."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine, Sidecar, fetch, service
from .support import ControlPlane, SteadyLoad

PER_SECOND = 200


@pytest.mark.parametrize("seconds", [60, pytest.param(600, marks=pytest.mark.chaos)])
def test_minutes_without_a_control_plane(
    cp: ControlPlane, stack: ExitStack, tmp_path: Path, seconds: int
) -> None:
    """No request fails, and what did not change is not sent again after the return."""
    port, workload = free_port(), stack.enter_context(service("echo-1"))
    cp.apply(
        dataplane("echo-1", inbound(f"127.0.0.1:{free_port()}:{workload}", "echo")),
        dataplane(
            "web",
            inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"),
            outbounds=[outbound(f":{port}", "echo")],
        ),
    )
    machine = Machine(None, tmp_path, stack)
    sidecars = {name: machine.sidecar(name, api_url=cp.url) for name in ("echo-1", "web")}
    eventually(lambda: fetch(port))
    for name in sidecars:
        eventually(lambda name=name: len(cp.subscriptions(name)) == 1, 60, "a stream that is stored")  # type: ignore[misc]
    with SteadyLoad(port, PER_SECOND) as load:
        eventually(lambda: load.count > PER_SECOND)
        before = {name: _updates(sidecar) for name, sidecar in sidecars.items()}
        cp.kill()
        for sidecar in sidecars.values():
            eventually(lambda sidecar=sidecar: sidecar.stat("control_plane.connected_state") == 0)  # type: ignore[misc]
        began, seen = time.monotonic(), load.count
        eventually(lambda: time.monotonic() - began > seconds or load.failures, seconds + 60)
        alone = load.count - seen
        cp.start()
        for name, sidecar in sidecars.items():
            eventually(lambda sidecar=sidecar: sidecar.stat("control_plane.connected_state") == 1, 60)  # type: ignore[misc]
            eventually(lambda name=name: len(cp.subscriptions(name)) == 2, 60, "a second stream")  # type: ignore[misc]
        seen = load.count
        eventually(lambda: load.count > seen + PER_SECOND)
        after = {name: _updates(sidecar) for name, sidecar in sidecars.items()}
    assert load.failures == []
    assert load.per_second > PER_SECOND / 2, "this machine is too busy to tell anything"
    assert after == before
    sent = {name: _sent(cp, name) for name in sidecars}
    assert max(sent.values()) <= 2, "at most an empty answer for each wildcard"
    rate = f"{load.per_second:.0f} a second"
    print(
        f"\n{seconds} s without a control plane: {alone} requests, {rate}, 0 failed; answers after it: {sent}"
    )


def _updates(sidecar: Sidecar) -> tuple[int, ...]:
    """How often Envoy added, changed or removed a listener or a cluster, and changed endpoints."""
    names = (
        "listener_manager.listener_added",
        "listener_manager.listener_modified",
        "listener_manager.listener_removed",
        "cluster_manager.cluster_added",
        "cluster_manager.cluster_modified",
        "cluster_manager.cluster_removed",
        "cluster.echo.update_success",
    )
    return tuple(sidecar.stat(name) for name in names)


def _sent(cp: ControlPlane, name: str) -> int:
    """How many responses the newest stream of a proxy was sent."""
    return int(cp.subscriptions(name)[-1]["status"]["total"].get("responsesSent", "0"))
