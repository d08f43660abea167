"""HTTP listeners for ASGI apps and for TLS: uvicorn in a thread, with a bridge to a WSGI app where that is served.

Handshakes and requests arrive in its event loop, so that clients who stop in the middle of them delay nobody.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from a2wsgi import WSGIMiddleware

from kuma_core.errors import ConfigError
from kuma_core.plugin.contract import Body
from kuma_core.runtime.asgi_connections import Protocol, Server
from kuma_core.runtime.http import DEFAULT_BODY, WORKERS
from kuma_core.runtime.whole_bodies import WholeBodies

_log = structlog.get_logger("https")

CONNECTIONS = 200
"""How many clients may be connected at once; a 503 is the answer where the requests of all are at work."""

BODY_SECONDS = 10.0
"""How long a request's body may take to arrive."""

MAX_CLIENT_CERTIFICATES = 10_000
MAX_FILE_BYTES = 1024 * 1024


def over_wsgi(app: Callable[..., Any]) -> Any:
    """A WSGI app as an ASGI one."""
    return WSGIMiddleware(app, workers=WORKERS)


class AsgiHttpServer:
    """An ASGI app on a bound socket, by TLS if there is a context. ``start`` serves in a thread until ``close``.

    The app gets a request once its body is there.
    """

    def __init__(
        self,
        name: str,
        app: Any,
        listener: socket.socket,
        tls: ssl.SSLContext | None = None,
        body: Body = DEFAULT_BODY,
        connections: int = CONNECTIONS,
        stopping: Callable[[], None] = lambda: None,
        arrivals: int = 0,
    ) -> None:
        self._stopping = stopping
        config = uvicorn.Config(
            WholeBodies(app, BODY_SECONDS, body),
            lifespan="off",
            ws="none",
            http=Protocol,
            loop="asyncio",
            interface="asgi3",
            limit_concurrency=connections,
            timeout_graceful_shutdown=2,
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
        )
        self._server = Server(config, listener, tls, connections, name, arrivals)
        self._thread = threading.Thread(target=self.serve, name=name, daemon=True)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def serve(self) -> None:
        """Serve, in this thread, until ``end`` is called."""
        asyncio.run(self._server.serve())

    def close(self) -> None:
        """Let the requests at work finish, for some seconds, and end the thread."""
        self.end()
        self._thread.join(timeout=10)

    def end(self) -> None:
        """Have ``serve`` let the requests at work finish, for some seconds, and return; from any thread."""
        self._server.should_exit = True
        self._stopping()


class LateCertificate:
    """TLS whose certificate comes later: servers are made before anything is written, and so before the control plane
    has a certificate of its own.

    ``clients`` is the folder with the certificates of clients, which none has to show; empty: nobody shows any.
    """

    def __init__(self, clients: str, setting: str) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        if clients:
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            _trust(self.context, clients, setting)

    def load(self, chain: bytes, key: bytes) -> None:
        """Take a certificate and its key, in PEM; OpenSSL reads both from files alone, so these are in memory."""
        with _in_memory("chain", chain) as chain_file, _in_memory("key", key) as key_file:
            self.context.load_cert_chain(chain_file, key_file)

    def load_files(self, cert_file: str, key_file: str, section: str) -> None:
        """Take a certificate and its key from files; raises ``ConfigError`` for those that cannot be used."""
        _load_pair(self.context, cert_file, key_file, section)


@contextmanager
def _in_memory(name: str, content: bytes) -> Iterator[str]:
    """The path of a file that no disk holds."""
    with open(os.memfd_create(f"kuma-{name}"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def server_context(cert_file: str, key_file: str, clients: str, section: str) -> ssl.SSLContext:
    """TLS 1.2 or newer that trusts the clients whose certificates lie in the folder ``clients`` as ``*.pem``.

    It reads the folder once. ``section`` is the part of the configuration to name, as in
    ``adminServer.public``. Raises ``ConfigError`` for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a client's own certificate is enough to trust it
    _load_pair(context, cert_file, key_file, section)
    _trust(context, clients, f"{section}.clientCertsDir")
    return context


def _load_pair(context: ssl.SSLContext, cert_file: str, key_file: str, section: str) -> None:
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError) as error:
        raise _unusable_pair(cert_file, key_file, section, error) from None


def _no_password() -> str:
    raise ValueError("the key is encrypted, and the control plane asks for no password")


def _unusable_pair(cert: str, key: str, section: str, error: OSError | ValueError) -> ConfigError:
    if isinstance(error, ssl.SSLError):
        mismatch = "MISMATCH" in (error.reason or "")
        reason = "they do not belong together" if mismatch else "they are not a certificate and a key in PEM"
    else:
        reason = getattr(error, "strerror", None) or str(error)
    return ConfigError(
        f'cannot use the certificate "{cert}" with the key "{key}" '
        f"({section}.tlsCertFile, {section}.tlsKeyFile): {reason}"
    )


def _trust(context: ssl.SSLContext, folder: str, setting: str) -> None:
    """Every regular file ``*.pem`` directly in the folder; it logs one that is no certificate, and leaves it out."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if _is_candidate(entry))
    except OSError as error:
        raise ConfigError(
            f'cannot read the folder of client certificates "{folder}" ({setting}): {error.strerror}'
        ) from None
    trusted = [name for name in names[:MAX_CLIENT_CERTIFICATES] if _load(context, os.path.join(folder, name))]
    if not trusted:
        raise ConfigError(
            f'the folder of client certificates "{folder}" ({setting}) holds no certificate in a file *.pem, '
            "so that nobody could connect; make one with 'kumactl generate tls-certificate --type=client'"
        )


def _is_candidate(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".pem") and entry.is_file()


def _load(context: ssl.SSLContext, path: str) -> bool:
    try:
        with open(path, encoding="ascii", errors="ignore") as file:  # a mark or words around what is PEM
            context.load_verify_locations(cadata=file.read(MAX_FILE_BYTES))
    except (OSError, ValueError) as error:
        _log.warning("a file is no certificate of a client", file=path, problem=str(error))
        return False
    return True
