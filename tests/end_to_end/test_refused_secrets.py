"""Secrets that a real Envoy refuses: what it says of them when they come again, and how it gets good ones."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kuma_core.ca.contract import IDENTITY_CERT, MESH_CA
from kuma_core.plugin.threads import Threads
from kuma_core.testing.ports import free_port
from kuma_core.xds.identities import _identity, _trust
from kuma_core.xds.proxy import Node
from kuma_core.xds.server.guard import Guard
from kuma_core.xds.server.sds import SdsService
from kuma_core.xds.server.sds_hub import MadeSecret, SdsHub

from .support import BIN

T = TypeVar("T")

JUNK = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"


def certificate() -> tuple[str, str]:
    """One that signs itself, and its key, in PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem).decode(), private.decode()


CERTIFICATE, KEY = certificate()


class Maker:
    """Gives the trust that ``bundle`` says; with ``differs`` its bytes differ as often as they are made again."""

    def __init__(self, bundle: str, differs: bool) -> None:
        self.bundle, self.differs = bundle, differs
        self._threads = Threads("secrets", 2)

    def recognise(self, credentials: tuple[str, ...]) -> None:
        return None

    def identify(self, node: Node, resource: str) -> str:
        return node.id

    def is_for_everybody(self, resource: str) -> bool:
        return False

    def submit(self, key: str, work: Callable[[], T]) -> Future[T]:
        return self._threads.submit(work)

    def fingerprint(self, key: str, resource: str) -> str:
        return "the same"

    def make(self, key: str, resource: str, again: int = 0, may: object = None) -> MadeSecret:
        if resource == IDENTITY_CERT:
            return MadeSecret(_identity(CERTIFICATE, KEY), "identity")
        return MadeSecret(_trust(self.bundle, again if self.differs else 0), "the same", authority="root")


CONFIG = """
node: {{id: default.web, cluster: web}}
static_resources:
  clusters:
  - name: sds
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: sds
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {sds}}}}}}}
  listeners:
  - name: inbound
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.echo
        typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificate_sds_secret_configs: [{{name: identity_cert, sds_config: &sds {source}}}]
            validation_context_sds_secret_config: {{name: mesh_ca, sds_config: *sds}}
"""
SOURCE = (
    "{resource_api_version: V3, api_config_source: {api_type: GRPC, transport_api_version: V3, "
    "grpc_services: [{envoy_grpc: {cluster_name: sds}}]}}"
)


@asynccontextmanager
async def an_envoy(maker: Maker, folder: Path) -> AsyncIterator[SdsHub[str]]:
    """A server of secrets, and a real Envoy that asks it."""
    hub: SdsHub[str] = SdsHub()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([SdsService(maker, hub, Guard()).handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    file = folder / "envoy.yaml"
    file.write_text(CONFIG.format(sds=port, port=free_port(), source=SOURCE))
    command = [str(BIN / "envoy"), "-c", str(file), "--disable-hot-restart", "-l", "off"]
    envoy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield hub
    finally:
        envoy.kill()
        envoy.wait(10)
        await server.stop(0)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait on the event loop."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)
    assert condition(), what


def counts(hub: SdsHub[str], outcome: str) -> int:
    return hub.counts[MESH_CA, outcome]


def behind(hub: SdsHub[str]) -> list[str]:
    return hub.behind(lambda key: True, {MESH_CA: "root", IDENTITY_CERT: ""})


def test_a_refused_secret_is_offered_again_until_it_is_good(tmp_path: Path) -> None:
    async def run() -> None:
        maker = Maker(JUNK, differs=True)
        async with an_envoy(maker, tmp_path) as hub:
            await until(lambda: counts(hub, "rejected") == 2, "that it is offered again")
            assert counts(hub, "acknowledged") == 0
            assert behind(hub) == ["default.web"]
            maker.bundle = CERTIFICATE
            await until(lambda: counts(hub, "acknowledged") == 1, "the good one")
            assert behind(hub) == []
            assert len(hub.refused) == 0

    asyncio.run(run())


def test_what_envoy_says_of_a_secret_that_it_refused(tmp_path: Path) -> None:
    """It acknowledges the same bytes without looking, which is why ours differ. When this fails, they need not."""

    async def run() -> None:
        async with an_envoy(Maker(JUNK, differs=False), tmp_path) as hub:
            await until(lambda: counts(hub, "acknowledged") == 1, "the answer to the same once more")
            assert counts(hub, "rejected") == 1

    asyncio.run(run())


@pytest.mark.parametrize("again", [1, 12, 10**6])
def test_other_bytes_say_the_same(again: int) -> None:
    sealed = _trust(CERTIFICATE, again)
    assert sealed.version != _trust(CERTIFICATE, 0).version
    text = f"{CERTIFICATE}# {again}\n"
    assert text.encode() in sealed.sotw
    assert x509.load_pem_x509_certificates(text.encode()) == x509.load_pem_x509_certificates(
        CERTIFICATE.encode()
    )
