"""The database hangs (SIGSTOP): the control plane stays, answers from memory at once, and leads again afterwards."""

from __future__ import annotations

import http.client
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import OwnServer

from ..end_to_end.load import Workers
from ..end_to_end.support import Machine, dataplane_token, fetch, service
from .support import ControlPlane, SteadyLoad
from .test_leader import leads

HANGS_SECONDS = 20.0
"""Longer than a lease (15 s), a statement (10 s and 2) and the patience of a resigning leader."""
LEADER_AGAIN_SECONDS = 15.0
ANSWER_SECONDS = 1.0


class Askers(Workers):
    """Each asks for a path of its own again and again; how long the slowest answer took, by path, and the statuses."""

    def __init__(self, asked: list[tuple[int, str]]) -> None:
        self._asked = asked
        self.slowest: dict[str, float] = {}
        self.statuses: dict[str, set[int]] = {}
        super().__init__(len(asked))

    def _run(self, number: int) -> None:
        port, path = self._asked[number]
        while not self._stopped.wait(0.1):
            began = time.monotonic()
            status = _status(port, path)
            took = time.monotonic() - began
            self.slowest[path] = max(took, self.slowest.get(path, 0.0))
            self.statuses.setdefault(path, set()).add(status)


def _status(port: int, path: str) -> int:
    """The status of a GET; 0 if there is no answer within 30 s."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_a_database_that_hangs_for_twenty_seconds_is_survived(
    server: OwnServer, cp: ControlPlane, stack: ExitStack, tmp_path: Path
) -> None:
    """Real Envoys under load lose no request; a kuma-dp that starts meanwhile waits."""
    assert cp.process is not None
    port, workload = free_port(), stack.enter_context(service("echo-1"))
    web = inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web")
    routes = [outbound(f":{port}", "echo"), outbound(f":{free_port()}", "late")]
    cp.apply(
        dataplane("echo-1", inbound(f"127.0.0.1:{free_port()}:{workload}", "echo")),
        dataplane("web", web, outbounds=routes),
        dataplane("late", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "other")),
    )
    machine = Machine(None, tmp_path, stack)
    sidecars = [machine.sidecar(name, api_url=cp.url) for name in ("echo-1", "web")]
    eventually(lambda: fetch(port))
    eventually(lambda: leads(cp))
    token = dataplane_token(cp.url, "late", "default")
    api, diagnostics = cp.ports["API_SERVER_PORT"], cp.ports["XDS_SERVER_DIAGNOSTICS_PORT"]
    memory = [
        (api, "/"),
        (api, "/catalog"),
        *((diagnostics, f"/{it}") for it in ("healthy", "ready", "metrics")),
    ]
    storm = Askers([(api, "/meshes/default/dataplanes")] * 16)
    with SteadyLoad(port, 50) as load, storm, Askers(memory) as answers:
        server.pause(signal.SIGSTOP)
        try:
            began = time.monotonic()
            time.sleep(2)
            late = machine.sidecar("late", api_url=cp.url, token_text=token, wait=False)
            time.sleep(began + HANGS_SECONDS - time.monotonic())  # the outage itself has this length
        finally:
            server.pause(signal.SIGCONT)
        woken = time.monotonic()
        eventually(lambda: cp.is_ready() and leads(cp), LEADER_AGAIN_SECONDS, "a leader again")
        led = time.monotonic() - woken
        eventually(late.is_live, 30, "the Envoy that was started meanwhile")
        lived = time.monotonic() - woken
        address = ("127.0.0.1", free_port())
        cp.apply(dataplane("late-1", inbound(f"127.0.0.1:{address[1]}:{free_port()}", "late")))
        eventually(lambda: sidecars[1].endpoints()["late"] == [address], what="a change afterwards")
    assert load.failures == []
    assert max(answers.slowest.values()) < ANSWER_SECONDS, answers.slowest
    assert set().union(*storm.statuses.values()) <= {200, 503}
    slowest = {path: round(seconds, 2) for path, seconds in answers.slowest.items()}
    print(
        f"\na database that hung for {HANGS_SECONDS:.0f} s: {load.count} requests, none failed; slowest {slowest};"
    )
    print(
        f"a leader again {led:.1f} s after it woke, the Envoy that was started meanwhile live after {lived:.1f} s"
    )
