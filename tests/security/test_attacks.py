"""What one client may do to all others: nothing they would notice. Each attack is a program of its own, and so is the
control plane, so that its memory is measured alone.

A line for each attack says how long pushes took meanwhile, what the control plane's memory and log grew by, and how
long a real Envoy took that started meanwhile. ``python -m tests.security.test_attacks [<folder of kuma-cp>]`` prints
them for any control plane.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import psutil
import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..bench.push import Client
from ..chaos import support
from ..chaos.support import ControlPlane, path_of
from ..end_to_end.support import Machine, dataplane_token, end
from .attacker import ATTACKER, ATTACKS

MOST_SECONDS = 1.0
"""In which a change reaches a proxy, whatever others do."""
MOST_BYTES = 60 * 2**20
"""By which the control plane may grow."""
MOST_LOG = 100_000
"""Bytes."""
ONLINE_SECONDS = 5.0
"""In which a real Envoy that starts meanwhile is online."""
LONG_ONLY = ("large_messages", "questions")
"""What is tried in full length alone: in short it says no more than the others."""
OUTBOUNDS = 100
"""Of the Dataplane of the attacker: each of its descriptions costs as many clusters and listeners."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What an attack did: seconds, bytes, seconds."""

    pushes: tuple[float, ...]
    grown: int
    logged: int
    online: float

    @property
    def worst(self) -> float:
        """The 99th percentile of the pushes; of fewer than a hundred the slowest."""
        return sorted(self.pushes)[-1 - len(self.pushes) // 100]

    def __str__(self) -> str:
        return (
            f"{len(self.pushes)} pushes, p99 {self.worst:.2f} s; memory +{self.grown / 2**20:.0f} MB; "
            f"log +{self.logged / 1000:.0f} kB; Envoy online after {self.online:.1f} s"
        )


class Victim:
    """A control plane with a proxy that is configured, and what is measured of it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self.cp = ControlPlane(folder, stack, {"KUMA_STORE_TYPE": "memory"}, **self._settings())
        self.cp.start()
        self.api_url = f"http://127.0.0.1:{self.cp.ports['API_SERVER_PORT']}"
        others = [outbound(f"127.1.0.{number}:9000", "echo") for number in range(1, OUTBOUNDS)]
        for document in (
            dataplane("echo-0", inbound("127.0.0.1:20000:9000", "echo")),
            dataplane("web-1", inbound("127.0.0.1:8000:8001", "web"), outbounds=[outbound(":7100", "echo")]),
            dataplane(ATTACKER, inbound("127.0.0.2:8000:8001", "web"), outbounds=others),
        ):
            self.put(document)
        self.root = folder / "root.pem"
        admin = self.cp.ports["ADMIN_SERVER_LOCAL_PORT"]
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/control-plane-ca", timeout=10) as answer:
            self.root.write_bytes(answer.read())
        assert self.cp.process is not None
        self.process = psutil.Process(self.cp.process.pid)

    @staticmethod
    def _settings() -> dict[str, str]:
        return {}

    def put(self, document: dict[str, Any]) -> None:
        """Store a resource."""
        request = urllib.request.Request(
            self.api_url + path_of(document),
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=60).close()

    def token(self, name: str) -> str:
        """A token for a dataplane of the mesh default."""
        return dataplane_token(self.api_url, name, "default")

    @contextmanager
    def under(self, attack: str) -> Iterator[None]:
        """Attack for as long as this lasts."""
        ports = [str(self.cp.ports[name]) for name in ("XDS_SERVER_GRPC_PORT", "SDS_SERVER_GRPC_PORT")]
        command = [sys.executable, "-m", "tests.security.attacker", attack, *ports, str(self.root)]
        log = self._folder / f"{attack}.log"
        with log.open("w") as output:
            attacker = subprocess.Popen([*command, self.token(ATTACKER)], stdout=output, stderr=output)
        try:
            eventually(lambda: "it begins" in log.read_text(), 30)
            yield
            assert attacker.poll() is None, log.read_text()[-3000:]
        finally:
            end(attacker)

    def pushes(self, seconds: float, also: threading.Event) -> list[float]:
        """How long one change after the other takes to arrive, for some seconds and until an event."""
        return asyncio.run(self._pushes(seconds, also))

    async def _pushes(self, seconds: float, also: threading.Event) -> list[float]:
        port = self.cp.ports["XDS_SERVER_GRPC_PORT"]
        client = Client("web-1", self.token("web-1"))
        trusted = grpc.ssl_channel_credentials(self.root.read_bytes())
        channel = grpc.aio.secure_channel(
            f"127.0.0.1:{port}", trusted, [("grpc.use_local_subchannel_pool", 1)]
        )
        running = asyncio.create_task(client.run(channel))
        await until(lambda: client.acknowledged >= 3, running, 60)
        took: list[float] = []
        over = time.monotonic() + seconds
        while time.monotonic() < over or not also.is_set():
            before, number = client.acknowledged, len(took) + 1
            document = dataplane(f"echo-{number % 2}", inbound(f"127.0.0.1:{20000 + number}:9000", "echo"))
            began = time.monotonic()
            await asyncio.to_thread(self.put, document)
            await until(lambda before=before: client.acknowledged > before, running, 120)  # type: ignore[misc]
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.05)
        running.cancel()
        return took

    def start_envoy(self) -> float:
        """How long a real proxy takes from its start until its Envoy has everything."""
        name = f"late-{free_port()}"
        self.put(dataplane(name, inbound(f"127.0.0.1:{free_port()}:{free_port()}", "late")))
        with ExitStack() as stack:
            machine: Any = Machine(self, self._folder, stack)  # type: ignore[arg-type]
            began = time.monotonic()
            sidecar = machine.sidecar(name, wait=False)
            eventually(sidecar.is_live, 60, "a live Envoy")
            return time.monotonic() - began

    def suffer(self, attack: str, seconds: float) -> Damage:
        """Attack for some seconds, in which a real Envoy starts."""
        online: list[float] = []
        done, over = threading.Event(), threading.Event()
        before, log = self.process.memory_info().rss, self.cp.log.stat().st_size
        largest = [before]

        def start() -> None:
            try:
                online.append(self.start_envoy())
            finally:
                done.set()

        def watch() -> None:
            while not over.wait(0.02):
                largest.append(self.process.memory_info().rss)

        threads = [threading.Thread(target=start), threading.Thread(target=watch)]
        with self.under(attack):
            for thread in threads:
                thread.start()
            try:
                pushes = self.pushes(seconds, done)
            finally:
                over.set()
                for thread in threads:
                    thread.join(90)
        grown = max(largest) - before
        return Damage(tuple(pushes), grown, logged_since(self.cp.log, log), *online)


async def until(probe: Any, running: asyncio.Task[None], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert not running.done(), running.exception()
        assert time.monotonic() < deadline, f"nothing came within {seconds} s"
        await asyncio.sleep(0.002)


def logged_since(log: Path, begin: int) -> int:
    """Bytes that came to a log, but for the audit lines of the pushes: those are ours."""
    with log.open("rb") as file:
        file.seek(begin)
        return sum(len(line) for line in file if b"a write is " not in line)


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with ExitStack() as stack:
        found = Victim(stack, tmp_path_factory.mktemp("victim"))
        found.pushes(1, _set())  # what is made once is made by then
        yield found


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def check(damage: Damage) -> None:
    print(damage)
    assert damage.worst < MOST_SECONDS, damage
    assert damage.grown < MOST_BYTES, damage
    assert damage.logged < MOST_LOG, damage
    assert damage.online < ONLINE_SECONDS, damage


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack not in LONG_ONLY])
def test_nobody_notices(victim: Victim, attack: str) -> None:
    check(victim.suffer(attack, 2))
    assert "Traceback" not in victim.cp.log.read_text()


@pytest.mark.chaos
@pytest.mark.parametrize("attack", ATTACKS)
def test_nobody_notices_for_a_minute(victim: Victim, attack: str) -> None:
    check(victim.suffer(attack, 60))
    assert "Traceback" not in victim.cp.log.read_text()


if __name__ == "__main__":
    folder_of_kuma_cp, seconds, *attacks = sys.argv[1:]
    support.BIN = Path(folder_of_kuma_cp)
    for one in attacks or ATTACKS:
        with ExitStack() as everything, TemporaryDirectory() as scratch:
            under_attack = Victim(everything, Path(scratch))
            under_attack.pushes(1, _set())
            print(one, "...", flush=True)
            print(one, under_attack.suffer(one, float(seconds)), flush=True)
