"""Access logs: Envoy writes them into a named pipe, and they are forwarded to the files and servers they are for.

Envoy keeps what it cannot write, without bound, so the pipe is read whatever happens; records are dropped here
instead, counted, while their sink is down or slow. One thread reads, and every sink has one of its own:
looking up a name or connecting may take its time and is in nobody's way. All of them end with kuma-dp.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from kuma_core import log_pipe
from kuma_core.dataplane.file_sink import FileSink
from kuma_core.dataplane.files import WITHOUT_LOGS, write_private
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.sink import Sink, Tell
from kuma_core.dataplane.tcp_sink import TcpSink

PIPE = "access-log"
DIRECTORY = "access-log-directory"
RECORD, FIELD = log_pipe.RECORD.encode(), log_pipe.FIELD.encode()
Record = tuple[str, bytes]
"""Address and text, as they came."""
LARGEST_RECORD = 64 * 1024
MOST_SINKS = 16
IDLE_SECONDS = 60.0
QUIET_SECONDS = 0.2
FINISH_SECONDS = 1.0
_CHUNK = 64 * 1024
_END = RECORD + FIELD + RECORD  # a record without an address, which Envoy is never told to write


def make_pipe(directory: str) -> str:
    """Make the pipe in a directory that nobody else may enter, and give its path.

    Without a directory, or where there are no named pipes, it is ``""``; for the latter there is a warning.
    """
    path = os.path.join(directory, PIPE) if directory else ""
    try:
        if path:
            os.mkfifo(path, 0o600)
    except OSError as error:
        print(
            f"Warning: could not make a named pipe in {directory}: {error.strerror}. {_OTHER}",
            file=sys.stderr,
        )
        return ""
    return path


_OTHER = f"Set TMPDIR to a directory of another file system. {WITHOUT_LOGS}"


def confine(private: str, directory: str) -> None:
    """Note in the run's own directory what the control plane says: below which folder files have to be."""
    if private:
        write_private(os.path.join(private, DIRECTORY), os.fsencode(directory))


def directories(own: str, private: str) -> tuple[str, ...]:
    """The folders that confine files: that of the settings of this machine, and that of the control plane."""
    found = [own]
    with suppress(FileNotFoundError), open(os.path.join(private, DIRECTORY), "rb") as file:
        found.append(os.fsdecode(file.read()))
    return tuple(filter(None, found))


class Records:
    """Cuts what comes out of the pipe into records; a record may come in any number of pieces.

    ``broken`` counts what was no record, and records that were too large.
    """

    def __init__(self) -> None:
        self._open: bytes | None = None
        self.broken = 0

    @property
    def unfinished(self) -> bool:
        """Whether there is a record that more might still come for."""
        return self._open is not None

    def feed(self, data: bytes) -> list[Record]:
        """Every record that is known to be complete now."""
        found: list[Record] = []
        piece, *beginnings = data.split(RECORD)
        self._continue(piece)
        for text in beginnings:
            found += self.end()
            self._open = b""
            self._continue(text)
        return found

    def end(self) -> list[Record]:
        """The last record, if nothing more of it comes."""
        text, self._open = self._open, None
        if text is None:
            return []
        address, separator, content = text.partition(FIELD)
        if not separator:
            self.broken += 1
            return []
        return [(os.fsdecode(address), content)]

    def _continue(self, piece: bytes) -> None:
        if self._open is not None and len(self._open) + len(piece) <= LARGEST_RECORD:
            self._open += piece
        elif piece:
            self._open = None
            self.broken += 1


class Forwarder:
    """Reads the pipe from ``start`` to ``finish`` and hands each record to its sink.

    Files are below each of the ``directories``.
    """

    def __init__(self, path: str, log: Log, directories: Sequence[str] = ()) -> None:
        # reading and writing, so that it never ends, and so that Envoy can open it at once
        self._pipe = os.open(path, os.O_RDWR)
        self._tell, self._directories = Tell(log), directories
        self._records = Records()
        self._sinks: dict[str, Sink] = {}
        self._homeless = 0
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        """Begin to read. To be called from the main thread, when no more processes are started."""
        self._thread.start()

    def finish(self) -> None:
        """Take what is still in the pipe and give the sinks a moment, one second at most, to have it."""
        deadline = time.monotonic() + FINISH_SECONDS
        if self._thread.is_alive():
            os.write(self._pipe, _END)
            self._thread.join(FINISH_SECONDS)
        sinks = list(self._sinks.values())
        for sink in sinks:
            sink.finish()
        for sink in sinks:
            sink.join(max(0.0, deadline - time.monotonic()))
        self._tell("access logs ended", dropped=self.dropped())

    def dropped(self) -> int:
        """How many records reached nobody, as far as is known."""
        return self._homeless + self._records.broken + sum(sink.dropped for sink in self._sinks.values())

    def _run(self) -> None:
        while self._take(self._records.feed(os.read(self._pipe, _CHUNK))):
            if self._records.unfinished and not self._is_readable():
                self._take(self._records.end())

    def _is_readable(self) -> bool:
        return bool(select.select([self._pipe], [], [], QUIET_SECONDS)[0])

    def _take(self, records: list[Record]) -> bool:
        """Hand records on; False if one of them is the mark of the end."""
        for address, text in records:
            if not address:
                return False
            sink = self._sinks.get(address) or self._new_sink(address)
            if sink is None:
                self._homeless += 1
            else:
                sink.offer(log_pipe.unescaped(text) if address.startswith(log_pipe.FILE) else text)
        return True

    def _new_sink(self, address: str) -> Sink | None:
        """A sink for a new address, at most 16 at a time; one that had nothing to do for long makes room."""
        if len(self._sinks) >= MOST_SINKS and not self._retire_one():
            return None
        sink = _sink(address, self._tell, self._directories)
        try:
            sink.start()
        except RuntimeError:  # the machine has no thread left
            return None
        self._sinks[address] = sink
        return sink

    def _retire_one(self) -> bool:
        oldest = min(self._sinks.values(), key=lambda sink: sink.last_used)
        if oldest.last_used > time.monotonic() - IDLE_SECONDS:
            return False
        oldest.finish()
        self._homeless += oldest.dropped
        del self._sinks[oldest.address]
        return True


def _sink(address: str, tell: Tell, directories: Sequence[str]) -> Sink:
    if not address.startswith(log_pipe.FILE):
        return TcpSink(address, tell)
    path = os.fsdecode(log_pipe.unescaped(os.fsencode(address.removeprefix(log_pipe.FILE))))
    return FileSink(address, path, tell, directories)
