"""Two control planes over one database, of which one is killed: what clients of events hear of it at the other one."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.builtin.cluster.components import DEAD_SECONDS, LOOK_SECONDS
from kuma_core.builtin.cluster.feature import LENGTH_SECONDS
from kuma_core.runtime.leadership import RENEW_SECONDS
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.events_client import Follower
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import OwnServer

from ..end_to_end.support import Machine
from .support import READY_SECONDS, ControlPlane

QUICK = f"{sys.executable} {Path(__file__).with_name('quick_cp.py')}"
LATEST_SECONDS = (LENGTH_SECONDS + 2 * RENEW_SECONDS + DEAD_SECONDS + 2 * LOOK_SECONDS) / 5
"""The quick ones have a fifth of all times: the other one leads, and takes the killed one for dead."""
SLACK_SECONDS = 2.0


def following(cp: ControlPlane, stack: ExitStack, last_id: str = "") -> Follower:
    """A client of one control plane's events that follows already."""
    follower = Follower(cp.ports["EVENTS_SERVER_PORT"], last_id=last_id)
    stack.callback(follower.close)
    eventually(lambda: follower.told, what="the first words to a client of events")
    return follower


@pytest.mark.chaos
def test_clients_of_the_other_hear_that_the_proxies_of_a_killed_one_are_offline_and_its_own_read_anew(
    server: OwnServer, database: str, stack: ExitStack, tmp_path: Path
) -> None:
    both = killed, other = [ControlPlane(tmp_path, stack, server.environ(database), QUICK) for _ in range(2)]
    for cp in both:
        cp.start(wait=False)
    for cp in both:
        eventually(cp.is_ready, READY_SECONDS, "a ready control plane")
    own, others = following(killed, stack), following(other, stack)
    killed.apply(dataplane("web", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web")))
    Machine(None, tmp_path, stack).sidecar("web", api_url=killed.url)
    for client in (own, others):
        client.wait_for("status", name="web", state="Online")
    killed.kill()
    began = time.monotonic()
    offline = others.wait_for("status", LATEST_SECONDS + SLACK_SECONDS, name="web", state="Offline")
    print(f"\nclients of the other heard {offline.at - began:.1f} s after the kill that the proxy is offline")
    assert own.ended.wait(5)
    back = following(other, stack, own.told[-1].id)
    assert (back.told[0].type, back.told[0].data) == (
        "reset",
        {"reason": "this control plane does not know the event that you had last"},
    )
    other.apply(dataplane("late", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "late")))
    back.wait_for("resource", name="late")
