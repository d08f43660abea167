"""The whole control plane, wired in order: what opens first closes last."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack, suppress
from typing import Any

import structlog

from kuma_core.api import diagnostics
from kuma_core.api.app import build_app
from kuma_core.api.bootstrap import Bootstrap, BootstrapRequest
from kuma_core.api.contract import Route
from kuma_core.api.cors import Cors
from kuma_core.auth.keys import SigningKeys
from kuma_core.auth.revocations import Revocations
from kuma_core.builtin.rotation_driver import RotationDriver
from kuma_core.builtin.rotations import RotationObserver, Rotations
from kuma_core.ca.authorities import open_authorities
from kuma_core.config import Config
from kuma_core.errors import KumaError
from kuma_core.model import ResourceKey
from kuma_core.plugin.catalog import Catalog
from kuma_core.resources.changes import ChangeFeed, SlowTick
from kuma_core.resources.cluster import LEASE, UNTOLD
from kuma_core.resources.contract import QuietStore, Store
from kuma_core.resources.instances import Instances
from kuma_core.resources.key_file import configured_keyring
from kuma_core.resources.leases import Lease
from kuma_core.resources.manager import DATAPLANE, INSIGHT, MESH, ResourceManager
from kuma_core.resources.secrets import SecretManager
from kuma_core.runtime.admin import AdminServers
from kuma_core.runtime.components import Components
from kuma_core.runtime.contract import Context
from kuma_core.runtime.groundwork import lay_groundwork
from kuma_core.runtime.grpc_servers import AuthenticatorWatch, AuthorityWatch, GrpcServers
from kuma_core.runtime.http import HttpServer, bind
from kuma_core.runtime.leadership import LEADER, LENGTH_SECONDS, Leadership
from kuma_core.runtime.metrics import Collector, renderer
from kuma_core.runtime.secrets_at_rest import open_secrets
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.xds.admin_port import choose_admin_port
from kuma_core.xds.bootstrap import bootstrap_yaml
from kuma_core.xds.contract import Proxy
from kuma_core.xds.preview import Preview
from kuma_core.xds.reconciler import Delivery, Reconciler
from kuma_core.xds.server.hub import Hub
from kuma_core.xds.status import StreamBook
from kuma_core.xds.views import Views

_log = structlog.get_logger("kuma-cp.run")

API_HINT = "GET /kinds lists the collections that there are"
GRACE_SECONDS = 1.0


class Platform:
    """One control plane. ``run`` serves until ``stop`` is called or a part fails.

    ``config`` is complete and checked; ``catalog`` holds what the plugins bring.
    """

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self.config = config
        self.catalog = catalog
        self.instance_id = str(uuid.uuid1())
        self.streams = StreamBook()
        self._ended: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening = False
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
            _log.info("the control plane is stopping")

    async def _open(self, stack: AsyncExitStack) -> None:
        api, bootstrap, diagnostic = self._bind(stack)
        admin = AdminServers(self.config, stack)
        keyring = configured_keyring(self.config)
        factory = self.catalog.store(self.config.text("store.type"))
        self.store = store = stack.enter_context(factory.open(self.config))
        if isinstance(store, QuietStore):
            store.hush([INSIGHT, *UNTOLD])
        self.context = context = self._context(store, open_secrets(store, keyring))
        resources, reconciler = context.resources, self.reconciler
        lay_groundwork(context)
        self.servers = servers = GrpcServers(context, asyncio.get_running_loop())
        reconciler.secret_server = servers.secret_server
        hub: Hub[Proxy] = Hub(reconciler)
        self._hub = hub
        routes = self.catalog.routes(context)
        admin_routes = self.catalog.admin_routes(context)
        own = self.catalog.components(context)
        feed = ChangeFeed(store)
        feed.listen(reconciler.changed)
        feed.listen(context.signing_keys.changed)
        feed.listen(context.revocations.changed)
        feed.listen(servers.changed)
        rotations = Rotations(context)
        feed.listen(rotations.changed)
        components = Components(self._failed)
        stack.callback(components.stop)
        lease = Lease(store, LEASE, LEADER, self.instance_id, LENGTH_SECONDS)
        of_the_leader = [*(part for part in own if part.leader_only), RotationDriver(context, rotations)]
        self.leadership = Leadership(lease, of_the_leader, self._failed)
        components.start([part for part in own if not part.leader_only])
        await servers.serve(stack, hub, self.streams)
        components.start(
            [
                reconciler,
                feed,
                SlowTick(feed),
                AuthorityWatch(context, servers.authority_changed, rotations.suspect),
                AuthenticatorWatch(servers),
                RotationObserver(context, rotations, servers),
                self.leadership,
            ]
        )
        missing = _Missing(self, store, reconciler)
        metrics = renderer(
            Collector(
                kinds=self.catalog.kinds,
                store=store,
                reconciler=reconciler,
                streams=self.streams,
                leads=lambda: self.leadership.leads,
                secrets=servers.secret_counts,
                rotations=rotations,
            )
        )
        make_bootstrap = _BootstrapMaker(resources, servers.bootstrap)
        cors = Cors(self.config.texts("apiServer.corsAllowedDomains"))
        self._serve_http(stack, "api-server", api, build_app(routes, cors, API_HINT))
        admin.serve(admin_routes)
        at_bootstrap = build_app([Route("/bootstrap", Bootstrap(make_bootstrap))])
        self._serve_http(stack, "bootstrap-server", bootstrap, at_bootstrap)
        self._serve_http(
            stack,
            "diagnostics-server",
            diagnostic,
            build_app(
                [
                    Route("/healthy", diagnostics.Healthy()),
                    Route("/ready", diagnostics.Ready(missing)),
                    Route("/metrics", diagnostics.Metrics(metrics)),
                ]
            ),
        )
        self._listening = True

    def _bind(self, stack: AsyncExitStack) -> list[Any]:
        """Take all ports first: a taken one is told before anything was begun."""
        api, bootstrap, diagnostic = "apiServer.port", "bootstrapServer.port", "xdsServer.diagnosticsPort"
        env = {setting.path: setting.env for setting in self.config.settings}
        sockets = []
        for path in (api, bootstrap, diagnostic):
            interface = self.config.text("apiServer.interface") if path == api else ""
            sockets.append(stack.enter_context(bind(path, env[path], self.config.number(path), interface)))
        for path in ("xdsServer.grpcPort", "sdsServer.grpcPort"):
            # gRPC binds them itself, later, and tells a failure in words of its own
            bind(path, env[path], self.config.number(path)).close()
        return sockets

    def _context(self, store: Store, secrets: SecretManager) -> Context:
        """Everything above the store, in the order in which one part needs the other."""
        authorities = open_authorities(self.catalog, self.config, secrets)
        admit = self.catalog.admission(authorities)
        resources = ResourceManager(store, self.catalog.kinds, admit, authorities.prepare)
        self.reconciler = self._reconciler(resources)
        return Context(
            config=self.config,
            catalog=self.catalog,
            resources=resources,
            secrets=secrets,
            authorities=authorities,
            signing_keys=SigningKeys(secrets),
            revocations=Revocations(secrets),
            streams=self.streams,
            previewer=Preview(self.reconciler, self.streams),
            instances=Instances(resources, self.instance_id),
        )

    def _reconciler(self, resources: ResourceManager) -> Reconciler:
        return Reconciler(
            Views(resources, self.catalog.policies),
            self.catalog.generators,
            self._deliver,
            self.config.seconds("xdsServer.dataplaneConfigurationRefreshInterval"),
            self.catalog.policies,
            self.streams.set_problem,
        )

    def _deliver(self, delivery: Delivery) -> None:
        """The one crossing from the reconciler's thread into the event loop."""
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: nobody is connected any more
            self._loop.call_soon_threadsafe(self._hub.publish, delivery.at_once, delivery.afterwards)

    def _serve_http(self, stack: AsyncExitStack, name: str, listener: Any, app: Any) -> None:
        server = HttpServer(name, app, listener)
        server.start()
        stack.callback(server.close)

    @property
    def listening(self) -> bool:
        """Whether all servers listen."""
        return self._listening


class _Missing:
    """What is not there yet, for ``/ready``."""

    def __init__(self, platform: Platform, store: Store, reconciler: Reconciler) -> None:
        self._platform = platform
        self._store = store
        self._reconciler = reconciler

    def __call__(self) -> list[str]:
        missing = []
        if not self._platform.listening:
            missing.append("not all servers listen yet")
        if not self._reconciler.ready.is_set():
            missing.append("the stored resources were not read yet")
        try:
            self._store.list(MESH)
        except Exception as error:  # noqa: BLE001 - a store plugin may raise anything
            missing.append(f"the store cannot be read: {error}")
        return missing


class _BootstrapMaker:
    """Makes the bootstrap configuration of a Dataplane that exists."""

    def __init__(self, resources: ResourceManager, params: Any) -> None:
        self._resources = resources
        self._params = params

    def __call__(self, request: BootstrapRequest) -> str:
        dataplane = self._resources.get(ResourceKey(DATAPLANE, request.mesh, request.name))
        proxy = Proxy(request.mesh, request.name)
        port = self._admin_port(request, dataplane.spec)
        told = (request.token_path, request.log_pipe, request.log_files)
        return bootstrap_yaml(proxy, dataplane.spec, self._params, port, *told)

    def _admin_port(self, request: BootstrapRequest, dataplane: DataplaneSpec) -> int:
        mesh = self._resources.find(ResourceKey(MESH, request.mesh, request.mesh))
        params = self._params
        return choose_admin_port(
            request.admin_ports,
            params.admin_port,
            params.admin_address,
            dataplane,
            mesh.spec.metrics if mesh else None,
        )
