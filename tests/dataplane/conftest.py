"""A fake control plane, stub Envoys, and processes that are ended whatever happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .pipes import Running, Server
from .support import KUMA_DP, FakeControlPlane, Program, is_alive, wait_for


@pytest.fixture
def control_plane() -> Iterator[FakeControlPlane]:
    server = FakeControlPlane()
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start a program with only the given ``KUMA_…`` variables; TMPDIR is ``tmp_path / "tmp"``.

    It heeds a hangup also where these tests run under ``nohup``, which a program inherits.
    """
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    programs: list[Program] = []
    (tmp_path / "tmp").mkdir()

    def start_program(*command: str, **variables: str) -> Program:
        env = {key: value for key, value in os.environ.items() if not key.startswith("KUMA_")}
        programs.append(Program(list(command), tmp_path, env | {"TMPDIR": str(tmp_path / "tmp")} | variables))
        return programs[-1]

    yield start_program
    signal.signal(signal.SIGHUP, hangup)
    for program in programs:
        program.process.kill()
        program.process.wait(10)


@pytest.fixture
def kuma_dp(
    start: Callable[..., Program], control_plane: FakeControlPlane, stub: Callable[..., str]
) -> Callable[..., Program]:
    """``kuma-dp run`` against the fake control plane, with a stub Envoy unless the flags say otherwise."""

    def run(*flags: str, binary: str | None = None, **variables: str) -> Program:
        defaults = ["--name=web-1", f"--cp-address={control_plane.url}", f"--binary-path={binary or stub()}"]
        return start(KUMA_DP, "run", *defaults, *flags, **variables)

    return run


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Make an executable that leaves its id and its arguments behind, then does ``body`` (shell)."""
    pid_file = tmp_path / "envoy.pid"

    def make(body: str = "exec sleep 100") -> str:
        path = tmp_path / "stub-envoy"
        path.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" >"{tmp_path}/envoy.args"\n'
            f'echo $$ >"{pid_file}.new"; mv "{pid_file}.new" "{pid_file}"\n{body}\n'
        )
        path.chmod(0o755)
        return str(path)

    yield make
    if pid_file.exists() and is_alive(pid := int(pid_file.read_text())):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def stub_pid(tmp_path: Path) -> Callable[[], int]:
    """Wait until the stub runs, and give its id."""
    pid_file = tmp_path / "envoy.pid"

    def wait() -> int:
        wait_for(pid_file.exists, "the stub Envoy")
        return int(pid_file.read_text())

    return wait


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    forwarder = Running(tmp_path)
    yield forwarder
    forwarder.close()


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(port: int = 0, *, reads: bool = True) -> Server:
        servers.append(Server(port, reads=reads))
        return servers[-1]

    yield make
    for item in servers:
        item.close()
