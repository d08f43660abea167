"""`make run`, as a newcomer sees it, in a network namespace of its own so that its well-known ports are free."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the pages need a browser: make install")

from playwright.sync_api import expect

from kuma_core.testing.waiting import eventually
from plugins.gui.tests.browser.support import tab_inside

from ..namespaces import network_namespace

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "examples/demo/run.sh")


@pytest.fixture
def inside() -> Iterator[list[str]]:
    with network_namespace() as words:
        yield words


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def programs_in_network_of(pid: int) -> set[int]:
    """The ids of our programs that share a network namespace with a process."""
    network, found = os.readlink(f"/proc/{pid}/ns/net"), set()
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")[:2]
            if os.readlink(entry / "ns/net") == network and any(b"kuma-" in word for word in words):
                found.add(int(entry.name))
        except (OSError, ValueError):
            continue  # not a process, or one that has just ended
    return found


def test_the_demo_answers_through_two_envoys_and_ends(inside):
    result = run([*inside, "bash", SCRIPT, "--once"])
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("client -> 127.0.0.1:20001") == 6
    assert "sidecar of echo-" in result.stdout
    for command in ("kuma-cp run", "kumactl apply -f examples/demo/mesh.yaml", "kumactl inspect dataplanes"):
        assert f"$ {command}" in result.stdout
    assert result.stdout.count("Online") == 3
    assert "http://127.0.0.1:5673/metrics" in result.stdout, "it waited for the metrics of all three sidecars"


def calls_without_a_click(inside: list[str], folder: Path) -> None:
    """Whoever opens the page that was named sees both services, and that one calls the other."""
    with tab_inside(inside, folder, "http://localhost:5683") as tab:
        picture = tab.open("/").locator("svg.map-drawing")
        for text in ("web", "echo", "plaintext"):
            expect(picture.locator("text").filter(has_text=text).first).to_be_visible()


def test_the_demo_runs_until_it_is_interrupted_and_leaves_no_process_behind(inside, tmp_path):
    holder = int(inside[1].partition("=")[2])
    # As from a terminal: what runs in the background, as tests may, ignores SIGINT, and bash cannot undo that.
    command = [*inside, "env", "--default-signal=INT", "bash", SCRIPT]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        awaited = {"The web interface: http://localhost:5683/\n", "Everything runs until you press Ctrl-C.\n"}
        for line in iter(process.stdout.readline, ""):
            assert "cannot be shown" not in line, line
            if not (awaited := awaited - {line}):
                break
        assert not awaited, "the demo ended early"
        shown = run([*inside, "curl", "-s", "http://localhost:5683/"]).stdout
        assert "<title>Kuma</title>" in shown
        calls_without_a_click(inside, tmp_path)
        assert programs_in_network_of(holder), "the demo's programs run"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130)
        eventually(lambda: not programs_in_network_of(holder))
    finally:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()
        for pid in programs_in_network_of(holder):
            os.kill(pid, signal.SIGKILL)


def test_a_taken_port_is_told(inside):
    connect = "import socket; socket.create_connection(('127.0.0.1', 5681))"
    steps = [
        "python3 -m http.server 5681 >/dev/null 2>&1 & taken=$!",
        f'until python3 -c "{connect}" 2>/dev/null; do :; done',
        f"bash {SCRIPT} --once; code=$?",
        "kill $taken; exit $code",
    ]
    result = run([*inside, "bash", "-c", "\n".join(steps)])
    assert result.returncode != 0
    assert "cannot listen on port 5681" in result.stderr
