"""Clients and servers of one version of TLS, and pairs of certificate and key for them."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
NEW = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
NAMES = {
    ssl.TLSVersion.TLSv1: "TLSv1",
    ssl.TLSVersion.TLSv1_1: "TLSv1.1",
    ssl.TLSVersion.TLSv1_2: "TLSv1.2",
    ssl.TLSVersion.TLSv1_3: "TLSv1.3",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain and its key as files."""

    cert: Path
    key: Path


def write_pair(folder: Path, name: str, cert: str | bytes, key: str | bytes) -> Pair:
    """Two PEM texts as files of a folder."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}-key.pem")
    for path, content in ((pair.cert, cert), (pair.key, key)):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return pair


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Have a context speak this version alone, with ciphers and keys as weak as it needs."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def trusting(pair: Pair | None = None, alpn: str = "") -> ssl.SSLContext:
    """A client that takes any server, and shows its certificate if it has one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def handshake(port: int, context: ssl.SSLContext) -> str:
    """The version that a client and the server on a port of loopback agree on, or the error."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            return encrypted.version() or "none"
    except OSError as error:
        return str(error)


def is_refusal(text: str) -> bool:
    """Whether the server said no to the version, or hung up at once."""
    return "TLSv1" not in text and any(word in text.lower() for word in ("alert", "reset", "eof", "protocol"))


def get(port: int, context: ssl.SSLContext) -> str:
    """The body of a GET over TLS; raises ``OSError`` for everything but a 200."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read().decode()
    except http.client.HTTPException as error:
        raise OSError(f"closed: {type(error).__name__}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"status {response.status}")
    return body


def speaks_to_itself(version: ssl.TLSVersion, pair: Pair) -> str:
    """What the local OpenSSL says when it speaks a version with itself: a refusal elsewhere may mean nothing."""
    context = only(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), version)
    context.load_cert_chain(pair.cert, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=_serve_one, args=(listener, context))
        thread.start()
        said = handshake(listener.getsockname()[1], only(trusting(), version))
        thread.join(timeout=10)
    return said


def _serve_one(listener: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = listener.accept()
    with plain:
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            return
