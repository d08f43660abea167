"""The file with the dataplane token: when there must be one, what is wrong with it, and what becomes of it.

Envoy reads a private copy, which follows the file; the token is never logged and never sent from here.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kuma_core.dataplane.files import write_private
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.sink import Tell
from kuma_core.errors import KumaError

_LARGEST = 64 * 1024
_SETTLED_NANOSECONDS = 3 * 10**9
"""How old a change must be before an equal stamp means an equal file: clocks of file systems are coarse."""
_KEPT = "Envoy keeps the token that it has."
COPY = "dataplane-token"


def require(path: str) -> None:
    """Refuse to go on without a token file."""
    if not path:
        raise KumaError(
            "Kuma CP is configured with Dataplane Token Server therefore the Dataplane Token is required. "
            "Generate token using 'kumactl generate dataplane-token > /path/file' and provide it via "
            "--dataplane-token-file=/path/file argument to Kuma DP"
        )


def copy(path: str, directory: str) -> str:
    """Write the token into a private file of its own, which Envoy reads; give its absolute path.

    White space around the token, such as the newline of ``echo``, is left out: for Envoy it is an illegal
    header value. Raises ``KumaError`` for a file that holds no token, or that cannot be written.
    """
    copied = _place(path, directory)
    write_private(copied, read(path))
    return copied


def _place(path: str, directory: str) -> str:
    place = os.path.abspath(os.path.join(directory, COPY))
    return f"{place}-copy" if place == os.path.abspath(path) else place


def read(path: str) -> bytes:
    """The token of a file, white space aside; raises ``KumaError``, which shows nothing of it."""
    token = _text(path).strip()
    if not token:
        raise KumaError(f"token under file {path} is empty. {_GENERATE}")
    if len(token) > _LARGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise KumaError(f"token under file {path} is not a dataplane token. {_GENERATE}")
    return token.encode()


_GENERATE = "Write one into it with 'kumactl generate dataplane-token --dataplane=NAME --mesh=MESH'."


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST + 64).decode("latin-1")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> KumaError:
    return KumaError(
        f"could not read file: {path}: {error.strerror}. "
        "Check the path given with --dataplane-token-file and who may read it."
    )


class Follower:
    """Keeps Envoy's copy of the token as the operator's file is; ``look`` is to be called each second.

    Envoy reads the copy for every stream that it opens. A file that holds no token leaves the copy as it is,
    and is told once, at the second look, for it may be half written at the first.
    """

    def __init__(self, path: str, copied: str, log: Log) -> None:
        self._path, self._copy = path, copied
        self._tell = Tell(log)
        self._known: tuple[int, ...] = ()
        self._problem = self._told = ""

    def look(self) -> None:
        """Compare; never raises. Costs two questions to the file system as long as nothing changes."""
        try:
            self._compare()
            self._problem = self._told = ""
        except KumaError as error:
            self._warn(str(error))

    def finish(self) -> None:
        """Remove the copy: a token is not to lie about when nobody needs it."""
        with suppress(OSError):
            os.unlink(self._copy)

    def _compare(self) -> None:
        try:
            found = os.stat(self._path)  # through every link: Kubernetes replaces one on the way
        except OSError as error:
            raise _unreadable(self._path, error) from error
        stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if (stamp == self._known and os.path.exists(self._copy)) or not stat.S_ISREG(found.st_mode):
            return
        self._take()
        is_old = time.time_ns() - found.st_ctime_ns > _SETTLED_NANOSECONDS
        self._known = stamp if is_old else ()

    def _take(self) -> None:
        token = read(self._path)
        if token != _content(self._copy):
            write_private(self._copy, token)
            self._tell("there is a new token, which Envoy shows when it connects anew", file=self._path)

    def _warn(self, problem: str) -> None:
        if problem == self._problem and problem != self._told:
            self._told = problem
            with suppress(OSError, ValueError):  # nobody reads it
                print(f"Warning: {problem} {_KEPT}", file=sys.stderr, flush=True)
        self._problem = problem


@contextmanager
def followed(path: str, directory: str, log: Log) -> Iterator[Callable[[], None] | None]:
    """What to call each second, or None if Envoy got no copy; the copy is gone when the block ends."""
    copied = _place(path, directory)
    if not (path and os.path.exists(copied)):
        yield None
        return
    follower = Follower(path, copied, log)
    try:
        yield follower.look
    finally:
        follower.finish()


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST + 1)
    except OSError:
        return None
