"""A TLS front for a real PostgreSQL that has no TLS itself: it takes the encryption off and passes all on."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kuma_core.kumactl.tls_pair import generate

from .server import Server


class Pair:
    """A certificate for ``localhost`` that signed itself, and its key."""

    def __init__(self, folder: Path, name: str, is_client: bool = False) -> None:
        pair = generate([], is_client)
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.cert.write_bytes(pair.cert)
        self.key.write_bytes(pair.key)
        self.key.chmod(0o600)


@contextmanager
def tls_front(server: Server, pair: Pair, clients: Pair | None = None) -> Iterator[int]:
    """Listen on loopback; yields the port. With ``clients`` a certificate of theirs is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.cert)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, context, server), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def _accept(listener: socket.socket, context: ssl.SSLContext, server: Server) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, server), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, server: Server) -> None:
    """Answer the request for TLS, then carry bytes both ways until either side ends."""
    with suppress(OSError), client:
        client.recv(8)
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as inside,
            socket.create_connection((server.host, server.port)) as database,
        ):
            back = threading.Thread(target=_carry, args=(database, inside), daemon=True)
            back.start()
            _carry(inside, database)
            back.join(timeout=5)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
