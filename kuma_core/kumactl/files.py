"""Writing files so that nobody ever sees half of one, nor a key that others could read.

Only the standard library: even ``kumactl version`` needs this.
"""

from __future__ import annotations

import os
from contextlib import suppress


def replace(path: str, data: bytes, mode: int) -> None:
    """Put ``data`` in the place of ``path`` in one step. A link stays one: what it leads to is replaced.

    The new file has ``mode`` (less the umask) from its first moment. Raises OSError, and then the old file is
    as it was.
    """
    target = os.path.realpath(path)
    temporary = stage(target, data, mode)
    try:
        os.replace(temporary, target)
    except OSError:
        remove(temporary)
        raise


def stage(target: str, data: bytes, mode: int) -> str:
    """Write ``data`` to a new file beside ``target`` and return its path. Raises OSError."""
    temporary = f"{target}.{os.getpid()}.tmp"
    remove(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        remove(temporary)
        raise
    return temporary


def remove(path: str) -> None:
    """Remove a file that may not be there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def reason(error: OSError | ValueError) -> str:
    """Why a file could not be read or written, in the system's words."""
    return getattr(error, "strerror", None) or str(error)
