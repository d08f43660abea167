"""Tells the control plane whether this proxy serves: ``POST /serving`` of its bootstrap server.

In a process that lives as long as Envoy: so without a library of HTTP, and without TLS unless the URL asks for it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from kuma_core import __version__
from kuma_core.dataplane import admin_api, bootstrap_document, token_file
from kuma_core.dataplane.files import write_private
from kuma_core.errors import KumaError

PLACE = "serving"
"""The file of the private directory that has the way to the control plane."""

ROOT = "control-plane.pem"
"""The file there that has the root by which Envoy knows the control plane."""

CONNECT_SECONDS = 1.0
"""Who does not take a connection in that time is not there."""
ANSWER_SECONDS = 5.5
"""For a whole exchange: the control plane waits for other proxies, 5 seconds at most."""

_UNKNOWN = (404, 405)
_TITLE = "Could not tell whether an instance serves"
"""How control planes begin that know of joining and leaving: their 404 is for a Dataplane that is not there now."""
_LARGEST_ANSWER = 64 * 1024


class NotHeard(Exception):
    """The control plane did not take it; the text says why. ``is_final``: it never will, until something changes.
    ``is_missing``: it knows no such Dataplane now."""

    def __init__(self, text: str, is_final: bool = False, is_missing: bool = False) -> None:
        super().__init__(text)
        self.is_final, self.is_missing = is_final, is_missing


class Heard:
    """What the control plane answers.

    ``serving`` is whether others are told to call this proxy; ``None`` where nobody told yet, or where the control
    plane gives everybody to others, whatever is told. ``pending`` is how many still call one that leaves.
    """

    def __init__(self, serving: bool | None, pending: int) -> None:
        self.serving, self.pending = serving, pending


class Door:
    """The way to the control plane: a URL, the file of certificates by which it is known, that of the token; the files
    may be ``""``."""

    def __init__(self, url: str, ca_cert_file: str = "", token_file: str = "") -> None:
        self.url, self.ca_cert_file, self.token_file = url, ca_cert_file, token_file

    def ask(self, mesh: str, name: str, serving: bool | None, seconds: float = ANSWER_SECONDS) -> Heard:
        """Say whether a proxy serves, or with ``None`` ask whether others are told to call it. Raises NotHeard."""
        import json

        said: dict[str, object] = {"mesh": mesh, "name": name}
        said |= {} if serving is None else {"serving": serving}
        try:
            said |= {"dataplaneToken": self._token()} if self.token_file and serving is not None else {}
            status, body = self._exchange(json.dumps(said).encode(), seconds)
        except TimeoutError:
            raise NotHeard(f"{self.url}: no answer in time") from None
        except (OSError, ValueError, KumaError) as error:
            raise NotHeard(f"{self.url}: {getattr(error, 'strerror', None) or error}") from None
        if status != 200:
            is_missing = status == 404 and _document(body).get("title") == _TITLE
            is_final = status in _UNKNOWN and not is_missing
            raise NotHeard(f"{self.url}: {_refusal(status, body)}", is_final, is_missing)
        return _heard(body)

    def _token(self) -> str:
        return token_file.read(self.token_file).decode()

    def _exchange(self, body: bytes, seconds: float) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        deadline = time.monotonic() + seconds
        port = parts.port or (443 if parts.scheme == "https" else 80)
        plain = socket.create_connection((parts.hostname, port), CONNECT_SECONDS)
        with plain, self._encrypted(plain, parts) as connection:
            connection.sendall(_request(parts, body))
            answer = _received(connection, deadline)
        head, _, content = answer.partition(b"\r\n\r\n")
        words = head.split(b"\r\n")[0].split(b" ")
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise ValueError("what answers there does not speak HTTP")
        return int(words[1]), content

    def _encrypted(self, plain: socket.socket, parts: SplitResult) -> socket.socket:
        """The connection, encrypted if the URL asks for it."""
        if parts.scheme != "https":
            return plain
        import ssl

        from kuma_core.dataplane import pin

        tls = pin.read(self.ca_cert_file).tls if self.ca_cert_file else ssl.create_default_context()
        return tls.wrap_socket(plain, server_hostname=parts.hostname)


def arrange(private: str, url: str, ca_cert_file: str, token: str) -> None:
    """Note the way to the control plane in the run's own directory, beside its bootstrap server at ``url``."""
    there = urlsplit(url)._replace(path="/serving", query="", fragment="").geturl()
    pinned = os.path.abspath(ca_cert_file) if ca_cert_file else ""
    write_private(os.path.join(private, PLACE), os.fsencode(f"{there}\0{pinned}\0{token}"))


def is_reachable(url: str) -> bool:
    """Whether somebody listens at a URL: what cannot be told must not be promised, or nobody would call this proxy."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return bool(parts.hostname)


def root_file(private: str) -> str:
    """Where ``trust`` writes what the control plane is known by."""
    return os.path.join(private, ROOT)


def trust(private: str, bootstrap: Mapping[str, Any]) -> None:
    """Note the root by which Envoy knows the control plane, if its configuration has one and there is a door."""
    if not (private and os.path.exists(os.path.join(private, PLACE))):
        return
    found = bootstrap_document.at(bootstrap, *bootstrap_document.ADS, *_TO_THE_ROOT)
    if found is not None:
        write_private(root_file(private), str(found).encode())


_TO_THE_ROOT = ("googleGrpc", "channelCredentials", "sslCredentials", "rootCerts", "inlineString")


def arranged(private: str) -> Door | None:
    """The way that was noted; ``None`` if there is none."""
    noted = admin_api.read_line(os.path.join(private, PLACE)) if private else ""
    return Door(*noted.split("\0")) if noted.count("\0") == 2 else None


def _request(parts: SplitResult, body: bytes) -> bytes:
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        f"User-Agent: kuma-dp/{__version__}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _received(connection: socket.socket, deadline: float) -> bytes:
    answer = b""
    while len(answer) < _LARGEST_ANSWER:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        if not (piece := connection.recv(_LARGEST_ANSWER)):
            break
        answer += piece
    return answer


def _heard(body: bytes) -> Heard:
    found = _document(body)
    serving, pending = found.get("serving"), found.get("pending")
    return Heard(serving if isinstance(serving, bool) else None, pending if isinstance(pending, int) else 0)


def _refusal(status: int, body: bytes) -> str:
    found = _document(body)
    texts = [str(found[key]).rstrip(".") for key in ("title", "details") if found.get(key)]
    return ". ".join([f"status {status}", *texts])


def _document(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is, or holds as the one chunk of a middle man; an empty one if there is none."""
    import json

    try:
        found = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
