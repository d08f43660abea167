"""The leader among two processes over one database is killed: the other one leads, and clears up after it."""

from __future__ import annotations

import json
import signal
import sys
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
from .support import READY_SECONDS, ControlPlane

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


QUICK = f"{sys.executable} {Path(__file__).with_name('quick_cp.py')}"


def test_a_leader_that_slept_while_another_took_over_writes_nothing_more(
    server: OwnServer, database: str, stack: ExitStack, tmp_path: Path
) -> None:
    """It is stopped in the middle of writing, and its part goes on where it was before anybody told it to stop."""
    both = [ControlPlane(tmp_path, stack, server.environ(database), QUICK) for _ in range(2)]
    for cp in both:
        cp.start(wait=False)
    for cp in both:
        eventually(cp.is_ready, READY_SECONDS, "a ready control plane")
    slept = leader(both)
    (other,) = (cp for cp in both if cp is not slept)
    eventually(lambda: written(server, database, slept))
    assert slept.process is not None
    slept.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: leads(other), TAKE_OVER_SECONDS, "another leader")
        eventually(lambda: written(server, database, other))
        before = written(server, database, slept)
    finally:
        slept.process.send_signal(signal.SIGCONT)
    eventually(lambda: "this control plane leads no more" in slept.log.read_text())
    eventually(slept.is_ready)
    assert written(server, database, slept) == before
    terms = [{record["leaderTerm"] for record in written(server, database, cp)} for cp in (slept, other)]
    assert terms == [{1}, {2}]


def written(server: OwnServer, database: str, cp: ControlPlane) -> list[dict[str, int]]:
    """What a control plane stored as the leader."""
    query = "SELECT spec FROM resources WHERE type = 'Written' AND name LIKE %s ORDER BY name"
    with server.connect(database) as connection:
        return [json.loads(row[0]) for row in connection.execute(query, (f"{cp.instance}%",))]
