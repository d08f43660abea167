"""Where kuma-dp puts its files, and how: private, and never half written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kuma_core.errors import KumaError

WITHOUT_LOGS = "Until then access logs to backends over TCP are off."


@contextmanager
def private_directory(*, required: bool) -> Iterator[str]:
    """A directory for this run's files, named ``kuma-dp-*``, closed to everybody else.

    The end of the block removes it. If it cannot be made and is required, this raises ``KumaError``; if it is not
    required, it warns and gives ``""``.
    """
    try:
        directory = _temporary()
    except KumaError as error:
        if required:
            raise
        print(f"Warning: {error} {WITHOUT_LOGS}", file=sys.stderr)
        yield ""
        return
    try:
        yield directory
    finally:
        import shutil

        shutil.rmtree(directory, ignore_errors=True)


def _temporary() -> str:
    import tempfile

    try:
        return tempfile.mkdtemp(prefix="kuma-dp-")
    except OSError as error:
        raise KumaError(
            f"could not make a temporary directory: {error.strerror}. "
            "Set TMPDIR to a directory that is writable."
        ) from error


def make_directory(directory: str) -> None:
    """Make a directory and those above it (0755), if need be; raises ``KumaError``."""
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
    except OSError as error:
        raise KumaError(_unwritable(directory, error)) from error


def write_private(path: str, content: bytes) -> None:
    """Write a file that only we may read (0600), whole or not at all; raises ``KumaError``."""
    unfinished = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            # One that a killed run left behind, under the same process id, keeps the mode that it had.
            os.fchmod(descriptor, 0o600)
            file.write(content)
        os.replace(unfinished, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(unfinished)
        raise KumaError(_unwritable(path, error)) from error


def _unwritable(path: str, error: OSError) -> str:
    return (
        f"could not write {path}: {error.strerror}. "
        "Name a directory that is writable with --config-dir, or leave it away to use a temporary one."
    )
