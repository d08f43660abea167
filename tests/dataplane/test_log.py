"""A log that nobody reads holds up no proxy."""

from __future__ import annotations

import fcntl
import json
import os

import pytest

from kuma_core.dataplane.log import Log


def test_lines_that_nobody_takes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = (os.fdopen(number, mode) for number, mode in zip(os.pipe(), ("rb", "w"), strict=True))
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 16384)
    monkeypatch.setattr("sys.stderr", writes)
    log = Log("info")
    with reads, writes:
        for number in range(300):
            log.info("a line" + "." * 100, number=number)
        held = os.read(reads.fileno(), 65536).decode().splitlines()
        log.info("the next one")
        (told,) = os.read(reads.fileno(), 65536).decode().splitlines()
    assert 10 < len(held) < 300
    assert json.loads(told.split("\t")[4]) == {"lostLines": 300 - len(held)}


def test_a_full_disk_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        Log("info").info("a line")
        monkeypatch.undo()
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), full.fileno()
        )  # what waits in its buffer can be written now
