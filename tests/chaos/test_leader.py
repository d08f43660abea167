"""The leader among two processes over one database is killed: the other one leads, and clears up after it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from kuma_core.builtin.cluster.components import DEAD_SECONDS, LOOK_SECONDS
from kuma_core.builtin.cluster.feature import LENGTH_SECONDS
from kuma_core.runtime.leadership import RENEW_SECONDS
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import OwnServer

from ..end_to_end.support import Machine, fetch
from .support import ControlPlane

TAKE_OVER_SECONDS = LENGTH_SECONDS + 2 * RENEW_SECONDS + 5
CLOSED_SECONDS = TAKE_OVER_SECONDS + DEAD_SECONDS + 2 * LOOK_SECONDS


def leads(cp: ControlPlane) -> bool:
    metrics = fetch(cp.ports["XDS_SERVER_DIAGNOSTICS_PORT"], "/metrics")
    return "\nkuma_leader 1.0\n" in metrics


def leader(both: list[ControlPlane]) -> ControlPlane:
    """The one that leads; fails the test if both say so."""
    found = [cp for cp in both if leads(cp)]
    assert len(found) < 2
    return found[0] if found else eventually(lambda: next(filter(leads, both), None))


def test_another_leads_and_closes_the_streams_of_a_leader_that_was_killed(
    server: OwnServer, database: str, stack: ExitStack, tmp_path: Path
) -> None:
    """The sidecar knows that one alone, so that nobody but the new leader can tell of its stream."""
    both = [ControlPlane(tmp_path, stack, server.environ(database)) for _ in range(2)]
    for cp in both:
        cp.start()
    killed = leader(both)
    (other,) = (cp for cp in both if cp is not killed)
    killed.apply(dataplane("web", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web")))
    Machine(None, tmp_path, stack).sidecar("web", api_url=killed.url)
    eventually(lambda: other.is_online("web"))
    killed.kill()
    began = time.monotonic()
    assert other.is_online("web"), "nobody was there to close it"
    eventually(lambda: leads(other), TAKE_OVER_SECONDS, "another leader")
    took_over = time.monotonic() - began
    eventually(lambda: not other.is_online("web"), CLOSED_SECONDS, "the stream, closed by the new leader")
    closed = time.monotonic() - began
    print(
        f"\nafter the kill of the leader the other led in {took_over:.1f} s, the stream was closed in {closed:.1f} s"
    )
