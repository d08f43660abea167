"""The machine of a node ends with whoever made it, however that ends; and its name server answers."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kuma_core.testing.waiting import eventually

from .assets import required
from .images import ROOT
from .names import answer, question

OWNER = """
import sys, time
from pathlib import Path
from tests.node.machine import Machine

machine = Machine(Path(sys.argv[1]))
machine.start()
print(machine.first, flush=True)
time.sleep(3600)
"""


@pytest.mark.node
def test_it_ends_with_its_owner_who_is_killed(tmp_path: Path) -> None:
    required()
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        first = int(owner.stdout.readline())
        assert Path(f"/proc/{first}").exists()
        os.kill(owner.pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{first}").exists(), 60, "the end of the machine")


def asked(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def test_a_name_is_answered_with_its_address() -> None:
    data = asked("Backend.demo.svc.cluster.local")
    assert question(data) == ("backend.demo.svc.cluster.local", 1, len(data))
    told = answer(data, ["10.96.0.7"])
    assert struct.unpack_from("!HHHHHH", told) == (7, 0x8580, 1, 1, 0, 0)
    assert told.endswith(bytes([10, 96, 0, 7]))


@pytest.mark.parametrize(
    ("kind", "found", "flags"), [(28, ["10.96.0.7"], 0x8580), (1, [], 0x8583), (1, None, 0x8582)]
)
def test_what_has_no_answer_says_why(kind: int, found: list[str] | None, flags: int) -> None:
    assert struct.unpack_from("!HHHHHH", answer(asked("backend", kind), found)) == (7, flags, 1, 0, 0, 0)
