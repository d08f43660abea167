"""The file with the dataplane token: when there must be one, and what is wrong with it if it is unusable.

Envoy reads the file itself, so this room only looks after it; the token is never logged and never sent.
"""

from __future__ import annotations

import os

from kuma_core.dataplane.files import write_private
from kuma_core.errors import KumaError

_LARGEST = 64 * 1024
COPY = "dataplane-token"


def require(path: str) -> None:
    """Refuse to go on without a token file (specification of the data plane, 7.2 step 3)."""
    if not path:
        raise KumaError(
            "Kuma CP is configured with Dataplane Token Server therefore the Dataplane Token is required. "
            "Generate token using 'kumactl generate dataplane-token > /path/file' and provide it via "
            "--dataplane-token-file=/path/file argument to Kuma DP"
        )


def usable(path: str, directory: str) -> str:
    """The absolute path of a file with this token which Envoy can use; raises ``KumaError`` otherwise.

    White space around the token, such as the newline of ``echo``, is an illegal header value for Envoy: then
    the path is that of a clean private copy in ``directory``.
    """
    text = _read(path)
    token = text.strip()
    if not token:
        raise KumaError(f"token under file {path} is empty. {_GENERATE}")
    if len(token) > _LARGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise KumaError(f"token under file {path} is not a dataplane token. {_GENERATE}")
    if token == text:
        return os.path.abspath(path)
    copy = os.path.join(directory, COPY)
    write_private(copy, token.encode())
    return os.path.abspath(copy)


_GENERATE = "Write one into it with 'kumactl generate dataplane-token --dataplane=NAME --mesh=MESH'."


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST + 64).decode("latin-1")
    except OSError as error:
        raise KumaError(
            f"could not read file: {path}: {error.strerror}. "
            "Check the path given with --dataplane-token-file and who may read it."
        ) from error
