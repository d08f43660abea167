"""A server's certificate that follows two files in a folder, looked at with each handshake.

So a new pair counts from the next connection on, without a restart, and nobody looks while nobody comes. While there is
no pair that can be used, the last one stays; before the first, connections are refused.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

CERTIFICATE, KEY = "tls.crt", "tls.key"
"""The names that a Secret of the type ``kubernetes.io/tls`` has for them."""

_State = tuple[tuple[int, int, int], ...]


class LiveCertificate:
    """A TLS context for servers, whose certificate follows the files ``tls.crt`` and ``tls.key`` of a folder.

    ``tell`` hears the folder and what is wrong with a pair that cannot be used.
    """

    def __init__(self, folder: str, tell: Callable[[str, str], None]) -> None:
        self._files = (Path(folder) / CERTIFICATE, Path(folder) / KEY)
        self._tell = tell
        self._guard = threading.Lock()
        self._state: _State | None = None
        self._current: ssl.SSLContext | None = None

    @property
    def is_there(self) -> bool:
        """Whether there was a pair that can be used when somebody last looked."""
        return self._current is not None

    def context(self) -> ssl.SSLContext:
        """The context to listen with, for TLS 1.2 or newer."""
        made = _new_context()
        made.sni_callback = self._greet
        self._refresh()
        return made

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        """Called by OpenSSL at the beginning of each handshake, whether or not the client names a host."""
        self._refresh()
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None

    def _refresh(self) -> None:
        with self._guard:
            state = self._look()
            if state is None or state == self._state:
                return
            self._state = state
            try:
                fresh = _new_context()
                fresh.load_cert_chain(*self._files, password=_no_password)
            except (OSError, ValueError) as error:
                self._tell(str(self._files[0].parent), str(error) or type(error).__name__)
                return
            self._current = fresh

    def _look(self) -> _State | None:
        """What tells two states of the files apart; links are followed, as kubelet replaces them."""
        try:
            found = [os.stat(path) for path in self._files]
        except OSError:
            return None
        return tuple((item.st_ino, item.st_size, item.st_mtime_ns) for item in found)


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is asked for a password")


def _new_context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
