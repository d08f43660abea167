"""A Unix socket to listen on: for whom its mode and its folder say, and for one process at a time.

Beside it lies a lock, which the kernel takes back when its process ends, however it ends. Whoever holds it may replace
the socket that a process left behind, and two control planes never take turns in removing each other's.
"""

from __future__ import annotations

import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from kuma_core.errors import ConfigError
from kuma_core.plugin.contract import UnixSocket

LONGEST_PATH = 107
"""Bytes: what Linux has room for."""

_BACKLOG = 128


@contextmanager
def listening(place: UnixSocket) -> Iterator[socket.socket]:
    """The socket, which nobody can connect to before all is as ``place`` says; it is removed at the end.

    Raises ``ConfigError`` that names the setting.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(place))
            listener = stack.enter_context(_bound(place))
        except OSError as error:
            reason = error.strerror or str(error)
            raise _unusable(place, f"{reason} ({error.filename or place.path})") from None
        yield listener


def _unusable(place: UnixSocket, problem: str) -> ConfigError:
    return ConfigError(
        f'cannot listen on the Unix socket "{place.path}" ({place.setting}, {place.env}): {problem}. '
        f"Choose another path with {place.env}, or none for no socket"
    )


@contextmanager
def _bound(place: UnixSocket) -> Iterator[socket.socket]:
    _remove_what_is_left(place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            listener.bind(place.path)
            if place.group:
                os.chown(place.path, -1, _group(place))
            os.chmod(place.path, place.mode)
            own = os.lstat(place.path)
        except BaseException:
            _unlink(place.path)
            raise
        listener.listen(_BACKLOG)  # only from here on somebody can connect
        try:
            yield listener
        finally:
            with suppress(OSError):
                if os.path.samestat(own, os.lstat(place.path)):
                    os.unlink(place.path)


def _remove_what_is_left(place: UnixSocket) -> None:
    """The socket of a process that ended without removing it, since we hold its lock; nothing else is ever removed."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(place.path).st_mode):
            raise _unusable(place, "there is a file that is no socket")
        os.unlink(place.path)


@contextmanager
def _locked(place: UnixSocket) -> Iterator[None]:
    _check(place)
    _make_folder(place)
    lock = f"{place.path}.lock"
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _unusable(place, "another kuma-cp listens there") from None
        except BaseException:
            os.close(descriptor)
            raise
        if _is_still_there(lock, descriptor):
            break
        os.close(descriptor)  # its former holder has removed it since we opened it
    try:
        yield
    finally:
        _unlink(lock)
        os.close(descriptor)


def _is_still_there(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _check(place: UnixSocket) -> None:
    if len(os.fsencode(place.path)) > LONGEST_PATH:
        raise _unusable(place, f"the path has more than {LONGEST_PATH} bytes")
    if not os.path.isabs(place.path):
        raise _unusable(place, "the path is not absolute, and others would look elsewhere")


def _make_folder(place: UnixSocket) -> None:
    """Its last part is made if it is missing; one in which somebody else can replace the socket is refused."""
    folder = os.path.dirname(place.path)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        if place.group:
            os.chown(folder, -1, _group(place))
            os.chmod(folder, 0o710)
    found = os.stat(folder)
    others = found.st_mode & (stat.S_IWOTH | stat.S_IWGRP) and not found.st_mode & stat.S_ISVTX
    if found.st_uid not in (0, os.geteuid()) or others:
        raise _unusable(place, f'others may replace it in the folder "{folder}", which is not ours alone')


def _group(place: UnixSocket) -> int:
    """The number of the group, given by its name or number."""
    try:
        return int(place.group) if place.group.isdigit() else grp.getgrnam(place.group).gr_gid
    except KeyError:
        raise _unusable(place, f'there is no group "{place.group}"') from None


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
