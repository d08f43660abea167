"""`make run`, as a newcomer sees it, in a network namespace of its own so that its well-known ports are free."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kuma_core.testing.waiting import eventually

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/demo/run.sh"


def _namespace() -> list[str]:
    """The words that put a command into a network namespace with nothing but a loopback of its own."""
    if shutil.which("unshare") and shutil.which("ip"):
        words = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            return words
    pytest.skip("no network namespaces here: run as root with util-linux and iproute2 to try the demo")


def _programs() -> set[int]:
    """The ids of the demo's programs that run on this machine, by what their command lines say."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.endswith((b"kuma-cp", b"kuma-dp", b"kuma-tcp-echo")) for word in words[:2]):
                found.add(int(entry.name))
    return found


def _network_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def test_the_demo_answers_through_two_envoys_and_ends():
    result = subprocess.run(
        [*_namespace(), "bash", str(SCRIPT), "--once"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("client -> 127.0.0.1:20001") == 6
    assert "sidecar of echo-" in result.stdout
    for command in ("kuma-cp run", "kumactl apply -f examples/demo/mesh.yaml", "kumactl inspect dataplanes"):
        assert f"$ {command}" in result.stdout
    assert result.stdout.count("Online") == 3


def test_the_demo_runs_until_it_is_interrupted_and_leaves_no_process_behind():
    process = subprocess.Popen(
        [*_namespace(), "bash", str(SCRIPT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + 120
        for line in process.stdout:
            if "until you press Ctrl-C" in line or time.monotonic() > deadline:
                break
        network = _network_of(process.pid)
        assert [pid for pid in _programs() if _network_of(pid) == network], "the demo's programs run"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130)
        eventually(lambda: not [pid for pid in _programs() if _network_of(pid) == network])
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        process.stdout.close()


def test_a_taken_port_is_told():
    words = _namespace()
    connect = "import socket; socket.create_connection(('127.0.0.1', 5681))"
    steps = [
        "python3 -m http.server 5681 >/dev/null 2>&1 & taken=$!",
        f'until python3 -c "{connect}" 2>/dev/null; do :; done',
        f"bash {SCRIPT} --once; code=$?",
        "kill $taken; exit $code",
    ]
    script = "\n".join(steps)
    result = subprocess.run(
        [*words, "bash", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode != 0
    assert "cannot listen on port 5681" in result.stderr
