"""The leader is killed in each stage of a rotation: the other control plane goes on, and no request fails."""

from __future__ import annotations

import json
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import OwnServer

from ..end_to_end.support import Machine, fetch, service
from ..security.support import certificate_of
from .support import READY_SECONDS, ControlPlane, SteadyLoad

LONGEST_STAGE = 120.0
"""A lease runs out (15 s), a control plane is found dead (20 s), the stage begins anew for the new leader (35 s)."""


EVERYONE = {
    "type": "TrafficPermission",
    "mesh": "default",
    "name": "everyone",
    "sources": [{"match": {"service": "*"}}],
    "destinations": [{"match": {"service": "*"}}],
}


def rotation(cp: ControlPlane, method: str = "GET") -> dict[str, Any]:
    """Ask the admin server for the roots of the mesh ``default``, or have them rotated."""
    url = f"http://127.0.0.1:{cp.ports['ADMIN_SERVER_LOCAL_PORT']}/meshes/default/ca/builtin/rotations"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as response:
        found: dict[str, Any] = json.load(response)
    return found


def stage(cp: ControlPlane) -> str:
    return str(rotation(cp).get("rotation", {}).get("stage", ""))


def leader(both: list[ControlPlane]) -> ControlPlane | None:
    """The one that leads, by its metrics."""
    for cp in both:
        if "\nkuma_leader 1.0" in fetch(cp.ports["XDS_SERVER_DIAGNOSTICS_PORT"], "/metrics"):
            return cp
    return None


@pytest.mark.chaos
def test_the_leader_is_killed_in_each_stage_of_a_rotation(
    server: OwnServer, database: str, stack: ExitStack, tmp_path: Path
) -> None:
    """Each control plane has one of two Envoys; the killed one comes back, as under systemd."""
    both = [ControlPlane(tmp_path, stack, server.environ(database)) for _ in range(2)]
    for cp in both:
        cp.start(wait=False)
    for cp in both:
        eventually(cp.is_ready, READY_SECONDS)
    port, inbound_port = free_port(), free_port()
    workload = stack.enter_context(service("ledger-1"))
    both[0].apply(
        {"type": "Mesh", "name": "default", "mtls": {"enabled": True, "ca": {"builtin": {}}}},
        dataplane("ledger-1", inbound(f"127.0.0.1:{inbound_port}:{workload}", "ledger")),
        dataplane(
            "web",
            inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"),
            outbounds=[outbound(f":{port}", "ledger")],
        ),
    )
    answer = both[0].request("PUT", "/meshes/default/traffic-permissions/everyone", EVERYONE)
    assert answer.status == 201, answer
    machine = Machine(None, tmp_path, stack)
    for name, cp in zip(("ledger-1", "web"), both, strict=True):
        machine.sidecar(name, api_url=cp.url)
    eventually(lambda: fetch(port))
    before, (old,) = certificate_of(inbound_port), rotation(both[0])["roots"]
    began = time.monotonic()
    with SteadyLoad(port, 100) as load:
        rotation(both[0], "POST")
        for name, after in (("trusting", "signing"), ("signing", "")):
            eventually(lambda name=name: stage(both[0]) == name and settled(both[0]), 30)  # type: ignore[misc]
            killed = eventually(lambda: leader(both), 30)
            assert killed is not None
            killed.kill()
            killed.start()
            eventually(lambda after=after: stage(both[0]) == after, LONGEST_STAGE)  # type: ignore[misc]
            print(
                f"\nkilled in {name}: the next stage after {time.monotonic() - began:.0f} s of the rotation"
            )
        eventually(lambda: load.count > 0)
    print(f"{load.count} requests, {load.per_second:.0f} in a second: {len(load.failures)} failed")
    assert load.failures == []
    (root,) = rotation(both[0])["roots"]
    assert root["sha256"] != old["sha256"]
    issuers = [
        x509.load_pem_x509_certificate(pem.encode()).issuer for pem in (before, certificate_of(inbound_port))
    ]
    assert issuers[0] != issuers[1]


def settled(cp: ControlPlane) -> bool:
    """Whether all control planes have the word of their proxies: a kill at once after that is the worst moment."""
    return all(rotation(cp)["rotation"]["settled"].values())
