"""Two control planes over one database: whoever is left serves the proxies of the one that was killed."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import OwnServer

from ..end_to_end.support import Machine, fetch, service
from .support import READY_SECONDS, ControlPlane, SteadyLoad

FAILOVER_SECONDS = 5.0


def control_planes(folder: Path, stack: ExitStack, environ: dict[str, str], count: int) -> list[ControlPlane]:
    """Several over one database, started at once; each tells its proxies of all."""
    xds = [free_port() for _ in range(count)]
    hosts = ",".join(f"127.0.0.1:{port}" for port in xds)
    found = [
        ControlPlane(
            folder,
            stack,
            environ,
            KUMA_XDS_SERVER_GRPC_PORT=str(port),
            KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST=hosts,
        )
        for port in xds
    ]
    for cp in found:
        cp.start(wait=False)
    for cp in found:
        eventually(cp.is_ready, READY_SECONDS, "a ready control plane")
    return found


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.chaos)])
def test_the_proxies_of_a_killed_control_plane_are_served_by_the_other(
    server: OwnServer, database: str, stack: ExitStack, tmp_path: Path, kills: int
) -> None:
    """Within 5 s, a change included, and no request fails meanwhile."""
    both = control_planes(tmp_path, stack, server.environ(database), 2)
    port, workload = free_port(), stack.enter_context(service("echo-1"))
    both[0].apply(
        dataplane("echo-1", inbound(f"127.0.0.1:{free_port()}:{workload}", "echo")),
        dataplane(
            "web",
            inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"),
            outbounds=[outbound(f":{port}", "echo"), outbound(f":{free_port()}", "late")],
        ),
    )
    machine = Machine(None, tmp_path, stack)
    sidecars = [machine.sidecar(name, api_url=both[0].url) for name in ("echo-1", "web")]
    eventually(lambda: fetch(port))
    took = []
    with SteadyLoad(port, 50) as load:
        for _ in range(kills):
            serving = _serving(both, "web")
            other = both[1 - both.index(serving)]
            late = ("127.0.0.1", free_port())
            began = time.monotonic()
            serving.kill()
            other.apply(dataplane("late-1", inbound(f"127.0.0.1:{late[1]}:{free_port()}", "late")))
            eventually(lambda late=late: sidecars[1].endpoints()["late"] == [late], 60)  # type: ignore[misc]
            took.append(time.monotonic() - began)
            eventually(lambda other=other: other.is_online("echo-1") and other.is_online("web"))  # type: ignore[misc]
            serving.start()
    assert load.failures == []
    assert max(took) < FAILOVER_SECONDS
    print(f"\n{kills} failovers of real Envoys: a change arrived {max(took):.2f} s after the kill at most")


def _serving(both: list[ControlPlane], name: str) -> ControlPlane:
    """The one of two at which a proxy's stream is open."""
    by_id = {cp.instance: cp for cp in both}
    return eventually(
        lambda: next(
            (
                by_id[item["controlPlaneInstanceId"]]
                for item in both[0].subscriptions(name)
                if "disconnectTime" not in item and item["controlPlaneInstanceId"] in by_id
            ),
            None,
        )
    )
