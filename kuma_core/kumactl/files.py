"""Files: read within bounds, and written so that nobody ever sees half of one, nor a key that others could read.

Only the standard library: even ``kumactl version`` needs this.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from kuma_core.errors import KumaError


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


def bounded_text(path: str, what: str, limit: int, otherwise: str, stdin: bool = False) -> str:
    """The ASCII text of a file of at most ``limit`` characters; with ``stdin``, ``-`` is standard input.

    Raises KumaError that calls the file ``what``, and says ``otherwise`` of one that is no such text.
    """
    told = f'could not read the {what}: "{path}"'
    try:
        if stdin and path == "-":
            text = sys.stdin.read(limit + 1)
        else:
            with open(path, encoding="ascii") as file:
                text = file.read(limit + 1)
    except UnicodeDecodeError:
        raise KumaError(f"{told} {otherwise}") from None
    except (OSError, ValueError) as error:
        raise KumaError(f"{told}: {reason(error)}") from None
    if len(text) > limit:
        raise KumaError(f"{told} is larger than {limit} bytes")
    return text
