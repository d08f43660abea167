"""The two gRPC servers, ADS and SDS: their TLS, who may speak to them, and what makes secrets be pushed anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import grpc

from kuma_core.auth.contract import ProxyAuthenticator, tokens_enabled
from kuma_core.auth.tokens import TokenVerifier
from kuma_core.ca.identity import IdentityIssuer
from kuma_core.ca.server_tls import ServerTls, configured_tls, own_tls
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Change
from kuma_core.resources.manager import DATAPLANE, MESH
from kuma_core.resources.secrets import SECRET
from kuma_core.runtime.contract import Context
from kuma_core.runtime.http import port_error
from kuma_core.xds.bootstrap import BootstrapParams, bootstrap_params, grpc_target
from kuma_core.xds.contract import Proxy, SecretServer
from kuma_core.xds.identities import ProxySecrets, authenticate
from kuma_core.xds.proxy import identify
from kuma_core.xds.server.ads import SERVER_OPTIONS, AdsService
from kuma_core.xds.server.hub import Hub
from kuma_core.xds.server.sds import SdsHub, SdsService
from kuma_core.xds.status import StreamBook

GRACE_SECONDS = 1.0


class GrpcServers:
    """Prepared by the constructor, which reads TLS material; listening after ``serve``."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._context, self._loop = context, loop
        config = context.config
        hosts = [host for host, _ in bootstrap_params(config).hosts]
        advertised = config.text("general.advertisedHostname")
        files = config.text("sdsServer.tlsCertFile"), config.text("sdsServer.tlsKeyFile")
        self._tls: ServerTls = (
            configured_tls(*files) if files[0] else own_tls(context.secrets, [*hosts, advertised])
        )
        self._authenticator: ProxyAuthenticator | None = (
            TokenVerifier(context.signing_keys) if tokens_enabled(config) else None
        )
        self._secrets_hub: SdsHub[Proxy] = SdsHub()

    @property
    def bootstrap(self) -> BootstrapParams:
        """What a starting proxy is told about the ADS server."""
        encrypted = self._context.config.flag("xdsServer.tlsEnabled")
        return bootstrap_params(self._context.config, self._tls.root.decode() if encrypted else "")

    @property
    def secret_server(self) -> SecretServer:
        """What a proxy is told about the SDS server."""
        port = self._context.config.number("sdsServer.grpcPort")
        hosts = tuple((host, port) for host, _ in self.bootstrap.hosts)
        return SecretServer(grpc_target(hosts), self._tls.root.decode())

    async def serve(self, stack: AsyncExitStack, hub: Hub[Proxy], streams: StreamBook) -> None:
        """Listen on both ports; raises ``ConfigError`` if one is taken."""
        check = self._check if self._authenticator else None
        ads = AdsService(hub, identify, streams.begin, check)
        encrypted = self._context.config.flag("xdsServer.tlsEnabled")
        xds = ("xdsServer.grpcPort", "KUMA_XDS_SERVER_GRPC_PORT")
        await self._listen(stack, *xds, ads.handler(), self._tls if encrypted else None)
        lifetime = timedelta(seconds=self._context.config.seconds("caDefaults.leafLifetime"))
        issuer = IdentityIssuer(self._context.authorities, lifetime)
        maker = ProxySecrets(self._context.resources, issuer, self._authenticator)
        sds = SdsService(maker, self._secrets_hub)
        await self._listen(stack, "sdsServer.grpcPort", "KUMA_SDS_SERVER_GRPC_PORT", sds.handler(), self._tls)

    def _check(self, proxy: Proxy, credentials: Sequence[str]) -> None:
        assert self._authenticator is not None
        authenticate(self._authenticator, proxy, tuple(credentials))

    async def _listen(
        self, stack: AsyncExitStack, setting: str, env: str, handler: Any, tls: ServerTls | None
    ) -> None:
        port = self._context.config.number(setting)
        server = grpc.aio.server(options=SERVER_OPTIONS)
        server.add_generic_rpc_handlers([handler])
        address = f"[::]:{port}"
        try:
            if tls:
                credentials = grpc.ssl_server_credentials([(tls.key, tls.chain)])
                bound = server.add_secure_port(address, credentials)
            else:
                bound = server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        if not bound:
            raise port_error(setting, env, port, "the address is in use or not permitted")
        await server.start()
        stack.push_async_callback(server.stop, GRACE_SECONDS)

    # -- what makes secrets be looked at again; called from other threads

    def changed(self, change: Change) -> None:
        """Take a hint from the store's watch: secrets are pushed anew where they would say something else."""
        key = change.key
        if key is None:
            self._nudge(lambda proxy: True)
        elif key.type == DATAPLANE:
            self._nudge(lambda proxy: proxy.id == (key.mesh, key.name))
        elif key.type in (MESH, SECRET):
            self.authority_changed(key.mesh)

    def authority_changed(self, mesh: str) -> None:
        """Take a hint from a certificate authority."""
        self._nudge(lambda proxy: proxy.mesh == mesh)

    def _nudge(self, concerns: Callable[[Proxy], bool]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._secrets_hub.nudge, concerns)


class AuthorityWatch:
    """A component: hears what certificate authorities say by themselves."""

    name = "certificate-authorities"
    leader_only = False

    def __init__(self, context: Context, servers: GrpcServers) -> None:
        self._authorities, self._servers = context.authorities, servers

    def run(self, stop: Stop) -> None:
        """Listen until ``stop`` is set."""
        self._authorities.watch(self._servers.authority_changed, stop)
