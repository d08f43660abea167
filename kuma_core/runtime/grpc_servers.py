"""The two gRPC servers, ADS and SDS: their TLS, who may speak to them, and what makes secrets be pushed anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import grpc

from kuma_core.auth.authenticators import open_authenticator
from kuma_core.auth.contract import Proof
from kuma_core.ca.identity import IDENTITY_CERT, MESH_CA, IdentityIssuer
from kuma_core.ca.server_tls import ServerTls, configured_tls, own_tls
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Change
from kuma_core.resources.manager import DATAPLANE, MESH
from kuma_core.resources.secrets import SECRET
from kuma_core.runtime.contract import Context
from kuma_core.runtime.http import port_error
from kuma_core.xds.bootstrap import BootstrapParams, bootstrap_params, grpc_target
from kuma_core.xds.certificates import CertificateTroubles
from kuma_core.xds.contract import Proxy, SecretServer
from kuma_core.xds.identities import ProxySecrets, authenticate
from kuma_core.xds.proxy import identify
from kuma_core.xds.server.ads import SERVER_OPTIONS, AdsService
from kuma_core.xds.server.guard import Guard
from kuma_core.xds.server.hub import Hub
from kuma_core.xds.server.sds import SdsHub, SdsService
from kuma_core.xds.status import StreamBook

GRACE_SECONDS = 1.0


class GrpcServers:
    """Prepared by the constructor, which reads TLS material; listening after ``serve``."""

    def __init__(
        self, context: Context, loop: asyncio.AbstractEventLoop, troubles: CertificateTroubles
    ) -> None:
        self._context, self._loop = context, loop
        config = context.config
        hosts = [host for host, _ in bootstrap_params(config).hosts]
        advertised = config.text("general.advertisedHostname")
        files = config.text("sdsServer.tlsCertFile"), config.text("sdsServer.tlsKeyFile")
        self._tls: ServerTls = (
            configured_tls(*files) if files[0] else own_tls(context.secrets, [*hosts, advertised])
        )
        self._authenticator = open_authenticator(context.catalog, context)
        self._guard = Guard()
        self._secrets_hub: SdsHub[Proxy] = SdsHub()
        issuer = IdentityIssuer(
            context.authorities, timedelta(seconds=config.seconds("caDefaults.leafLifetime"))
        )
        self._maker = ProxySecrets(context.resources, issuer, self._authenticator, troubles)

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

    @property
    def secret_counts(self) -> Mapping[tuple[str, str], int]:
        """Responses of the SDS server so far, by resource and outcome: sent, acknowledged or rejected."""
        return self._secrets_hub.counts

    async def serve(self, stack: AsyncExitStack, hub: Hub[Proxy], streams: StreamBook) -> None:
        """Listen on both ports; raises ``ConfigError`` if one is taken."""
        ads = AdsService(hub, identify, streams.begin, self._check, self._guard)
        encrypted = self._context.config.flag("xdsServer.tlsEnabled")
        xds = ("xdsServer.grpcPort", "KUMA_XDS_SERVER_GRPC_PORT")
        await self._listen(stack, *xds, ads.handler(), self._tls if encrypted else None)
        sds = SdsService(self._maker, self._secrets_hub, self._guard)
        await self._listen(stack, "sdsServer.grpcPort", "KUMA_SDS_SERVER_GRPC_PORT", sds.handler(), self._tls)

    def _check(self, proxy: Proxy, credentials: Sequence[str]) -> Proof | None:
        if self._authenticator is None:
            return None
        return authenticate(self._authenticator, proxy, tuple(credentials), "xDS")

    def watch_credentials(self, stop: Stop) -> None:
        """Have streams end whose credentials were taken back, until ``stop`` is set."""
        if self._authenticator:
            self._authenticator.watch(self._look_again, stop)
        else:
            stop.wait()

    def _look_again(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._guard.look_again)

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
        stack.push_async_callback(self._stop, server)

    async def _stop(self, server: grpc.aio.Server) -> None:
        """End the streams of both servers in an orderly way, then the server, which so has nothing to cut off."""
        self._guard.close()
        await server.stop(GRACE_SECONDS)

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

    def behind(self, mesh: str) -> list[Proxy]:
        """The proxies connected here that have not acknowledged yet what the authority of their mesh says now.

        Raises ``KumaError`` if it says nothing. It is asked before the streams are looked at, so that what was
        acknowledged is as new as the answer.
        """
        in_force = {name: self._maker.authority(mesh, name) for name in (IDENTITY_CERT, MESH_CA)}
        return self._secrets_hub.behind(lambda proxy: proxy.mesh == mesh, in_force)

    def _nudge(self, concerns: Callable[[Proxy], bool]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._secrets_hub.nudge, concerns)


class AuthorityWatch:
    """A component: hears what certificate authorities say by themselves."""

    name = "certificate-authorities"
    leader_only = False

    def __init__(self, context: Context, *listeners: Callable[[str], None]) -> None:
        self._authorities, self._listeners = context.authorities, listeners

    def run(self, stop: Stop) -> None:
        """Listen until ``stop`` is set, and tell the listeners the meshes."""
        self._authorities.watch(self._tell, stop)

    def _tell(self, mesh: str) -> None:
        for listener in self._listeners:
            listener(mesh)


class AuthenticatorWatch:
    """A component: hears which credentials of proxies were taken back."""

    name = "proxy-authenticator"
    leader_only = False

    def __init__(self, servers: GrpcServers) -> None:
        self._servers = servers

    def run(self, stop: Stop) -> None:
        """Listen until ``stop`` is set."""
        self._servers.watch_credentials(stop)
