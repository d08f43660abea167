"""The whole control plane: opens the core, then everything that plugins bring, and closes it in reverse."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial

import structlog

from kuma_core.api.app import request_times
from kuma_core.api.bootstrap import BootstrapRequest
from kuma_core.api.serving import Serving, serving_route
from kuma_core.auth.authenticators import one_authenticator
from kuma_core.builtin.cluster.clocks import ClockNotes
from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.presence.contract import Presence
from kuma_core.ca.authorities import AuthorityWatch
from kuma_core.config import Config
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.model import ResourceKey
from kuma_core.plugin.catalog import Catalog
from kuma_core.plugin.contract import Component, Server, WsgiServer
from kuma_core.plugin.features import Features
from kuma_core.plugin.hearing import heard
from kuma_core.resources.changes import ChangeFeed, SlowTick
from kuma_core.runtime.components import Components
from kuma_core.runtime.core import Core
from kuma_core.runtime.leadership import Leadership
from kuma_core.runtime.listening import Listening
from kuma_core.runtime.metrics import OwnMetrics, renderer
from kuma_core.runtime.own_servers import admin_servers, bootstrap_server, diagnostics_server
from kuma_core.runtime.proxy_servers import AuthenticatorWatch
from kuma_core.runtime.readiness import Missing
from kuma_core.runtime.rest_servers import HTTPS, Shared, api_server, certificate, https_server
from kuma_core.specs.dataplane import DATAPLANE, DataplaneSpec
from kuma_core.specs.mesh import MESH, MeshSpec
from kuma_core.specs.presence import BY_KUMA_DP
from kuma_core.xds.admin_port import choose_admin_port
from kuma_core.xds.bootstrap import bootstrap_yaml
from kuma_core.xds.proxy import Proxy

_log = structlog.get_logger("kuma-cp.run")


class Platform:
    """One control plane. ``run`` serves until ``stop`` is called or a part fails.

    ``config`` is complete and checked; ``catalog`` holds what the plugins registered.
    """

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self.config = config
        self.catalog = catalog
        self.instance_id = str(uuid.uuid1())  # time-based, as in Kuma 0.3.1
        self._ended: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: Counter[str] = Counter()
        self.listens = False
        self.started = asyncio.Event()

    # -- what other threads may call

    def stop(self) -> None:
        """End ``run`` in an orderly way."""
        self._end(None)

    def _failed(self, error: KumaError) -> None:
        self._end(error)

    def _end(self, error: KumaError | None) -> None:
        def finish() -> None:
            if self._ended and not self._ended.done():
                if error:
                    self._ended.set_exception(error)
                else:
                    self._ended.set_result(None)

        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(finish)

    # -- the run

    async def run(self) -> None:
        """Open everything, serve, and close everything again. Raises the error of whatever failed."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self.started.set()
            _log.info("the control plane is up", instance=self.instance_id)
            await self._ended
            _log.info("the control plane is stopping", streams=self.core.proxies.streams.connected())

    async def registered(self, stack: AsyncExitStack) -> list[Server]:
        """Every server of this configuration, with what it asks for, and none of them started."""
        self.core = Core(stack, self.config, self.catalog, self.instance_id)
        self.features = features = self.core.open_features()
        servers = self._servers(features)
        features.prepare()
        self.core.proxies.prepare(one_authenticator(features.authenticators))
        return servers

    async def _open(self, stack: AsyncExitStack) -> None:
        self.core = core = Core(stack, self.config, self.catalog, self.instance_id)
        self.features = features = core.open_features()
        feed = ChangeFeed(core.store, core.store_times)
        components = Components(self._failed, self._ends)
        self.listening = listening = Listening(
            stack, self.config, self._servers(features), self._failed, self._ends
        )
        features.prepare()
        authenticator = one_authenticator(features.authenticators)
        core.proxies.prepare(authenticator)
        self._load_certificate()
        feed.listen(core.access.authorizer.changed)
        for listener in core.proxies.listeners():
            feed.listen(listener.hear)
        for contributed in features.change_listeners:
            feed.listen(heard(contributed, self.catalog.boundary), contributed.plugin)
        self.leadership = self._leadership(features)
        kernel: list[Component] = [
            core.proxies.supervised,
            feed,
            SlowTick(feed),
            AuthorityWatch(core.authorities),
            AuthenticatorWatch(authenticator, core.proxies.look_at_credentials),
            self.leadership,
        ]
        stack.callback(components.stop)
        components.start([*(part for part in features.components if not part.leader_only), *kernel])
        await listening.serve()
        self.listens = True

    def _servers(self, features: Features) -> list[Server]:
        """Servers take their ports in this order and start in the opposite one: REST last, once proxies may come."""
        proxies, cluster = self.core.proxies, self.core.offer("builtin.cluster", Cluster)
        requests = request_times()
        counted = OwnMetrics(
            proxies,
            self._ends,
            self.core.store_times.calls,
            requests,
            lambda: self.listening.waiting(),
            features.metrics,
            self.catalog.asking,
        )
        missing = Missing(
            lambda: self.listens,
            proxies.reconciler.ready.is_set,
            cluster.store_problem,
            proxies.supervised.problem,
            self.catalog.boundary.quarantine.barred,
        )
        clocks, presence = ClockNotes(cluster), self.core.offer("builtin.presence", Presence)
        by_kuma_dp = partial(presence.set_serving, by=BY_KUMA_DP)
        serving = Serving(proxies.require, by_kuma_dp, presence.wait_left, presence.serving)
        shared = Shared(self.config, self.core.access, self.core.audited, requests)
        servers: list[Server] = [
            api_server(shared, features.routes),
            *self._over_https(shared, features, serving),
            *admin_servers(shared, features.admin_routes),
            bootstrap_server(
                shared,
                lambda request: self._bootstrap(request, features),
                lambda request, apart: clocks.note(request.mesh, request.name, apart),
                serving,
            ),
            diagnostics_server(shared, missing, renderer(counted), proxies.supervised.illness),
            *features.servers,
        ]
        self.core.apps.know(servers)
        return servers

    def _over_https(self, shared: Shared, features: Features, serving: Serving) -> Iterator[WsgiServer]:
        self._https = certificate(self.config)
        if self.config.flag(f"{HTTPS}.enabled"):
            routes = [*features.routes, serving_route(serving)]
            yield https_server(shared, routes, features.admin_routes, self._https)

    def _load_certificate(self) -> None:
        """Of the REST API over HTTPS: yours, or the one that proxies know the control plane by."""
        files = self.config.text(f"{HTTPS}.tlsCertFile"), self.config.text(f"{HTTPS}.tlsKeyFile")
        if files[0]:
            self._https.load_files(*files, HTTPS)
        else:
            self._https.load(*self.core.proxies.certificate)

    def _leadership(self, features: Features) -> Leadership:
        lease = self.core.offer("builtin.cluster", Cluster).lease
        parts = [part for part in features.components if part.leader_only]
        return Leadership(self.core.leader, lease, parts, self._failed, self._ends)

    def _bootstrap(self, request: BootstrapRequest, features: Features) -> str:
        """The bootstrap configuration of a Dataplane; raises ``NotFound`` if there is none."""
        params = self.core.proxies.bootstrap
        dataplane, mesh = self._configured(request.mesh, request.name)
        return bootstrap_yaml(
            Proxy(request.mesh, request.name),
            dataplane,
            params,
            choose_admin_port(request.admin_ports, params, dataplane, mesh),
            request.token_path,
            request.log_pipe,
            request.log_files,
            features.bootstrap,
            request.ipv6,
            request.tells_serving,
        )

    def _configured(self, mesh: str, name: str) -> tuple[DataplaneSpec, MeshSpec | None]:
        """A Dataplane and its Mesh, as they are stored; as the views know them while the store cannot be reached."""
        resources, views = self.core.resources, self.core.proxies.views
        try:
            dataplane = resources.get(ResourceKey(DATAPLANE, mesh, name)).spec
            found = resources.find(ResourceKey(MESH, mesh, mesh))
        except StoreUnavailable:
            known = views.dataplane_spec(mesh, name)
            if known is None:
                raise
            return known, views.mesh_spec(mesh)
        return dataplane, found.spec if found else None
