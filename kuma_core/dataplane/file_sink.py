"""Access logs into a file, which need not be there, and may be moved away or become full at any time."""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from kuma_core import log_pipe
from kuma_core.dataplane.sink import LARGEST_QUEUE, SEND_SECONDS, TELL_SECONDS, Sink, Tell

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Not blocking: a named pipe without a reader would hold the thread up for good."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MODE = 0o644


class FileSink(Sink):
    """Appends records to the file at ``path``; a relative one begins in the folder that kuma-dp was started in.

    What is wrong with the file is told on stderr, whatever the level of the log: it is the operator's file.
    ``directories`` confine it: it is below each of them, and on the way there is no symbolic link.
    """

    def __init__(self, address: str, path: str, tell: Tell, directories: Sequence[str] = ()) -> None:
        super().__init__(address, tell, name=path)
        self._path, self._directories = path, directories
        self._file = -1
        self._warned = ""
        self._warn_again_at = 0.0

    def _open(self) -> None:
        """Open the file, anew if it was moved away, as when logs are rotated, or removed."""
        if self._file >= 0 and _stamp(self._path) != _stamp(self._file):
            self._close()
        if self._file < 0:
            self._file = (
                _open_below(self._path, self._directories) if self._directories else _open(self._path)
            )

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:  # a pipe or a terminal that is full
                if not select.select([], [self._file], [], SEND_SECONDS)[1]:
                    raise TimeoutError(f"nothing is taken for {SEND_SECONDS:.0f} s") from None

    def _close(self) -> None:
        if self._file >= 0:
            with suppress(OSError):  # a network's file system may tell only now that it is full
                os.close(self._file)
            self._file = -1

    def _tell_down(self, reason: str) -> None:
        """A warning when it begins and when the reason changes; for one reason once a minute at most."""
        if reason == self._warned and (self._is_down or time.monotonic() < self._warn_again_at):
            return
        self._warned, self._warn_again_at = reason, time.monotonic() + TELL_SECONDS
        with suppress(OSError, ValueError):  # nobody reads it
            print(f"Warning: {_sentence(self._path, reason)}", file=sys.stderr, flush=True)


def _open(path: str, folder: int | None = None, more: int = 0) -> int:
    return os.open(path, _FLAGS | more, _MODE, dir_fd=folder)


def _open_below(path: str, directories: Sequence[str]) -> int:
    """Go down from the innermost directory, step by step, and follow no link: who may write there changes nothing."""
    for directory in directories:
        if not log_pipe.is_below(path, directory):
            raise OSError(errno.EACCES, f"it is not below {directory}, to which such files are confined")
    innermost = max(directories, key=len)
    *folders, name = log_pipe.parts_below(path, innermost)
    try:
        folder = os.open(innermost, _FOLDER)
        for part in folders:
            folder = _into(folder, part)
        try:
            return _open(name, folder, os.O_NOFOLLOW)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise OSError(errno.EACCES, f"a link, or a file, is on its way below {innermost}") from None
        raise


def _into(folder: int, part: str) -> int:
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)


def _sentence(path: str, reason: str) -> str:
    where = _shown(os.path.abspath(path))
    if not os.path.isabs(path):
        where += (
            f' ("{path}" in the folder of kuma-dp)' if path.isprintable() else " (in the folder of kuma-dp)"
        )
    return (
        f"could not write the access log {where}: {reason}. Traffic goes on; up to {LARGEST_QUEUE // 1024} KiB of "
        "records wait for the file, the oldest are dropped. Make its folder writable, or name another path in the Mesh."
    )


def _shown(path: str) -> str:
    """The path; as Python writes it if it has characters that a terminal would obey, or cannot show."""
    return path if path.isprintable() else repr(path)


def _stamp(file: str | int) -> tuple[int, int] | None:
    """Which file it is, None if there is none."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
