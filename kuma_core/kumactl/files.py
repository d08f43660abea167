"""Files: read within bounds, and written so that nobody ever sees half of one, nor a key that others could read.

Only the standard library: even ``kumactl version`` needs this.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
import sys
from contextlib import suppress
from typing import BinaryIO

from kuma_core.errors import KumaError


def replace(path: str, data: bytes, mode: int) -> None:
    """Put ``data`` in the place of ``path`` in one step. A link stays one: what it leads to is replaced.

    The new file has ``mode`` (less the umask) from its first moment. Raises OSError, and then the old file is
    as it was. A device or a pipe stays what it is, and is written to.
    """
    if _is_special(path):
        with open(path, "wb") as device:
            device.write(data)
        return
    target = os.path.realpath(path)
    temporary = stage(target, data, mode)
    try:
        os.replace(temporary, target)
    except OSError:
        remove(temporary)
        raise


def stage(target: str, data: bytes, mode: int) -> str:
    """Write ``data`` to a new file beside ``target`` and return its path.

    Raises OSError, also for a ``target`` that must not be replaced: ``/dev/null`` would be a file from then on.
    """
    if _is_special(target):
        raise OSError(errno.EINVAL, "it is not a regular file")
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


def _is_special(path: str) -> bool:
    """Whether there is something other than a file or a folder."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def remove(path: str) -> None:
    """Remove a file that may not be there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def reason(error: OSError | ValueError) -> str:
    """Why a file could not be read or written, in the system's words."""
    return getattr(error, "strerror", None) or str(error)


def bounded_text(path: str, what: str, limit: int, otherwise: str, stdin: bool = False) -> str:
    """The ASCII text of a file of at most ``limit`` characters; with ``stdin``, ``-`` is standard input.

    The mark that editors on Windows put at the beginning is left out. Raises KumaError that calls the file ``what``,
    and says ``otherwise`` of one that is no such text.
    """
    told = f'could not read the {what}: "{path}"'
    try:
        data = _bounded(path, limit + len(codecs.BOM_UTF8), stdin)
        text = data.removeprefix(codecs.BOM_UTF8).decode("ascii")
    except UnicodeDecodeError:
        raise KumaError(f"{told} {otherwise}") from None
    except (OSError, ValueError) as error:
        raise KumaError(f"{told}: {reason(error)}") from None
    if len(text) > limit:
        raise KumaError(f"{told} is larger than {limit} bytes")
    return text


def standard_input() -> BinaryIO:
    """Standard input as bytes; OSError where there is none."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdin.buffer


def _bounded(path: str, limit: int, stdin: bool) -> bytes:
    """What a file holds, or the beginning of it that is one byte longer than it may be."""
    if stdin and path == "-":
        return standard_input().read(limit + 1)
    with open(path, "rb") as file:
        return file.read(limit + 1)
