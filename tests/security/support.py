"""Raw gRPC clients for the ports of proxies, kumactl as a program, and certificates off the wire."""

from __future__ import annotations

import queue
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
    DiscoveryResponse,
)

from kuma_core.testing.platform import RunningPlatform
from kuma_core.xds.contract import CLUSTER
from kuma_core.xds.server import ads, sds

from ..end_to_end.support import BIN

SDS = f"/{sds.SERVICE}/StreamSecrets"
SOTW = f"/{ads.SERVICE}/StreamAggregatedResources"
DELTA = f"/{ads.SERVICE}/DeltaAggregatedResources"
SECONDS = 60
NODE = "default.web-1"


class RawStream:
    """One stream: what is sent goes out in order, what comes back is read one by one."""

    def __init__(self, channel: grpc.Channel, method: str, tokens: Sequence[str]) -> None:
        self._requests: queue.Queue[bytes | None] = queue.Queue()
        metadata = [("authorization", token) for token in tokens]
        self._call = channel.stream_stream(method)(
            iter(self._requests.get, None), metadata=metadata, timeout=SECONDS
        )

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._requests.put(request)

    def ask(self, *names: str, node: str = "default.web-1", nonce: str = "", version: str = "") -> None:
        """Send a request for secrets, or the answer to a response."""
        request = DiscoveryRequest(
            version_info=version, node=Node(id=node), resource_names=list(names), response_nonce=nonce
        )
        self.send(bytes(request))

    def receive(self) -> bytes:
        """The next response; fails with ``grpc.RpcError`` if the stream ends instead."""
        return bytes(next(self._call))

    def secret(self) -> tuple[DiscoveryResponse, Secret]:
        """The next response and the one secret in it."""
        response = DiscoveryResponse.parse(self.receive())
        (packed,) = response.resources
        return response, Secret.parse(packed.value)

    def refusal(self) -> tuple[grpc.StatusCode, str]:
        """The code and the text with which the server ends the stream, which it does without an answer."""
        try:
            answer = self.receive()
        except grpc.RpcError as error:
            refused: Any = error
            return refused.code(), refused.details()
        except StopIteration:
            raise AssertionError("the stream ended without an error") from None
        raise AssertionError(f"the stream was answered with {len(answer)} bytes")

    def is_open(self) -> bool:
        """Whether neither side has ended it."""
        return bool(self._call.is_active())

    def ended(self) -> tuple[grpc.StatusCode, str]:
        """The code and the text with which the server ends the stream, after whatever it sends."""
        try:
            for _ in self._call:
                pass
        except grpc.RpcError:
            pass
        return self._call.code(), self._call.details()

    def close(self) -> None:
        """End the stream."""
        self._requests.put(None)
        self._call.cancel()


@contextmanager
def stream(cp: RunningPlatform, method: str, *tokens: str, port: int = 0) -> Iterator[RawStream]:
    """A stream to 5677 or 5678, whichever serves the method, over TLS."""
    port = port or (cp.sds_port if method == SDS else cp.xds_port)
    trusted = grpc.ssl_channel_credentials(cp.trusted)
    unbounded = [("grpc.max_receive_message_length", -1)]
    with grpc.secure_channel(f"127.0.0.1:{port}", trusted, unbounded) as channel:
        opened = RawStream(channel, method, tokens)
        try:
            yield opened
        finally:
            opened.close()


def identity(cp: RunningPlatform, name: str = "web-1", mesh: str = "default") -> str:
    """The certificate chain that a proxy gets."""
    with stream(cp, SDS, cp.token(name, mesh)) as opened:
        opened.ask("identity_cert", node=f"{mesh}.{name}")
        certificate = opened.secret()[1].tls_certificate
        assert certificate is not None
        assert certificate.certificate_chain is not None
        return certificate.certificate_chain.inline_bytes.decode()


def certificate_of(port: int) -> str:
    """The certificate that a TLS server on loopback shows, in PEM."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain) as encrypted,
    ):
        shown = encrypted.getpeercert(binary_form=True)
    assert shown
    return ssl.DER_cert_to_PEM_cert(shown)


def kumactl(cp: RunningPlatform, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run kumactl with a configuration that names the control plane."""
    config = folder / "kumactl-config"
    config.write_text(
        f"controlPlanes: [{{name: local, coordinates: {{apiServer: {{url: '{cp.api_url}'}}}}}}]\n"
        "contexts: [{name: local, controlPlane: local}]\ncurrentContext: local\n"
    )
    command = [str(BIN / "kumactl"), f"--config-file={config}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def ask_identity(opened: RawStream) -> None:
    """Ask for the identity of ``NODE``."""
    opened.ask("identity_cert", node=NODE)


def ask_mesh_ca(opened: RawStream) -> None:
    """Ask whom to trust in its mesh."""
    opened.ask("mesh_ca", node=NODE)


def ask_sotw(opened: RawStream, node: str = NODE) -> None:
    """Ask for its clusters, state of the world."""
    opened.send(bytes(DiscoveryRequest(node=Node(id=node), type_url=CLUSTER)))


def ask_delta(opened: RawStream, node: str = NODE) -> None:
    """Ask for its clusters, incrementally."""
    opened.send(bytes(DeltaDiscoveryRequest(node=Node(id=node), type_url=CLUSTER)))
