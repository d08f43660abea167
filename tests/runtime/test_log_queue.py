"""A stderr that nobody reads, or that takes nothing, blocks no program; what was lost is told when it flows again."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path

from kuma_core.log_queue import LogQueue
from kuma_core.testing.ports import own_ports
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import BIN, end, fetch

SMALLEST = 4096
"""Bytes that a pipe may hold, at least."""


@contextmanager
def narrow_pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """Both ends of a pipe that holds next to nothing; closed at the end, unless they are already."""
    reads, writes = (FileIO(number, mode) for number, mode in zip(os.pipe(), "rw", strict=True))
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, SMALLEST)
    with reads, writes:
        yield reads, writes


class Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, pipe: FileIO) -> None:
        super().__init__(daemon=True)
        self._pipe, self.text = pipe, ""
        self.start()

    def run(self) -> None:
        while data := self._pipe.read(65536):
            self.text += data.decode()


def test_lines_that_nobody_reads_are_counted_and_told() -> None:
    with narrow_pipe() as (reads, writes):
        queue = LogQueue(writes.fileno(), most_bytes=10_000)
        for number in range(1000):
            queue.write(f"{number:099}\n")
        assert not queue.drain(0.05)
        reader = Reader(reads)
        assert queue.drain(10)
        queue.write("it flows\n")
        assert queue.drain(10)
        writes.close()
        reader.join(timeout=10)
    *lines, last = reader.text.splitlines()
    assert last == "it flows"
    kept = [int(line) for line in lines if line.isdigit()]
    told = [line.rpartition("\t")[2] for line in lines if not line.isdigit()]
    lost = [int(words.partition(" ")[0]) for words in told]
    assert told == [f"{count} lines were lost here: nobody read them" for count in lost]
    assert 1 <= len(told) <= 2, "the writer may take the first lines while others still come"
    assert sum(lost) == 1000 - len(kept)
    assert kept == sorted(kept)


def test_a_full_disk_is_told_when_there_is_room_again(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    queue = LogQueue(full)
    try:
        queue.write("one\ntwo\n")
        assert queue.drain(10)
        there = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(there, full)
        os.close(there)
        queue.write("three\n")
        assert queue.drain(10)
    finally:
        os.close(full)
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first == "three"
    assert second.endswith("2 lines were lost here: No space left on device")


def control_plane(stack: ExitStack, stderr: int) -> tuple[subprocess.Popen[bytes], int]:
    ports = {f"KUMA_{name}": str(port) for name, port in own_ports().items()}
    environ = {
        **os.environ,
        **ports,
        "KUMA_PLUGINS": "store_memory",
        "KUMA_API_SERVER_INTERFACE": "127.0.0.1",
    }
    command = [str(BIN / "kuma-cp"), "--log-level=debug", "run"]
    process = subprocess.Popen(command, env=environ, stderr=stderr)
    stack.callback(end, process)
    return process, int(ports["KUMA_XDS_SERVER_DIAGNOSTICS_PORT"])


def test_a_control_plane_whose_stderr_nobody_reads_serves_and_ends() -> None:
    """The first line, the configuration, is longer than the pipe."""
    with narrow_pipe() as (reads, writes), ExitStack() as stack:
        process, port = control_plane(stack, writes.fileno())
        writes.close()
        eventually(lambda: fetch(port, "/ready") == "", what="a ready control plane")
        process.terminate()
        assert process.wait(timeout=15) == 0
        assert reads.read(100)


def test_what_waited_is_there_once_somebody_reads() -> None:
    with narrow_pipe() as (reads, writes), ExitStack() as stack:
        process, port = control_plane(stack, writes.fileno())
        writes.close()
        eventually(lambda: fetch(port, "/ready") == "", what="a ready control plane")
        reader = Reader(reads)
        process.terminate()
        assert process.wait(timeout=15) == 0
        reader.join(timeout=10)
    assert "Current config" in reader.text
    assert "the control plane is stopping" in reader.text


def test_a_full_disk_behind_stderr_stops_no_control_plane() -> None:
    with open("/dev/full", "wb") as full, ExitStack() as stack:
        process, port = control_plane(stack, full.fileno())
        eventually(lambda: fetch(port, "/ready") == "", what="a ready control plane")
        process.terminate()
        assert process.wait(timeout=15) == 0
