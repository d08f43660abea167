"""Everything between a change in the store and an Envoy: the reconciler, the streams, and the two gRPC servers.

ADS and SDS share one guard, which ends streams whose credential is good no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from typing import Any

from kuma_core.auth.authenticators import Attributed
from kuma_core.ca.authorities import OpenedAuthorities
from kuma_core.ca.contract import IDENTITY_CERT, MESH_CA
from kuma_core.ca.identity import IdentityIssuer
from kuma_core.ca.server_tls import ServerTls, configured_tls, own_tls
from kuma_core.config import Config
from kuma_core.errors import Busy
from kuma_core.lifecycle import Stop
from kuma_core.plugin.catalog import Catalog
from kuma_core.plugin.contract import NOTHING, Access, ChangeListener, GrpcServer, KeyPair, Port
from kuma_core.resources.contract import Change, Op, Resources, Secrets
from kuma_core.resources.secrets import SECRET
from kuma_core.runtime.open_files import most_connections
from kuma_core.xds.bootstrap import BootstrapParams, bootstrap_params, grpc_target
from kuma_core.xds.contract import Behind, SecretServer
from kuma_core.xds.identities import ProxySecrets
from kuma_core.xds.mesh_views import Effects, MeshViews
from kuma_core.xds.presences import Presences
from kuma_core.xds.preview import Preview
from kuma_core.xds.proxy import Proxy, identify
from kuma_core.xds.reconciler import Delivery, Reconciler
from kuma_core.xds.server import ads, sds
from kuma_core.xds.server.ads import AdsService
from kuma_core.xds.server.guard import Guard
from kuma_core.xds.server.hub import Hub, Turning
from kuma_core.xds.server.sds import SdsService
from kuma_core.xds.server.sds_hub import SdsHub
from kuma_core.xds.status import StreamBook
from kuma_core.xds.supervision import Supervised

ROOTS = "the certificates of meshes' roots"
PLAIN = "configuration of proxies in meshes without mTLS"
"""What SDS gives to everybody: a proxy needs it before it can prove who it is, and it is no secret."""

FRESH_SECONDS = 30.0
"""A store in memory has forgotten who served. If proxies come back so soon after the start, what is applied until then
may be there, and their callers are to find it as before: each looks for its control plane every 5 s."""
DEADLINE_SECONDS = 10.0
"""How long other threads wait for an answer about the streams."""


class ProxyServers:
    """Made in the event loop in which the servers will run; ``prepare`` reads TLS material before they start.

    As ``Identities``, it tells which proxies have not acknowledged what their authority says.
    """

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        resources: Resources,
        secrets: Secrets,
        authorities: OpenedAuthorities,
    ) -> None:
        self._config, self._secrets = config, secrets
        self._loop = asyncio.get_running_loop()
        self._guard = Guard()
        self._authenticator: Attributed | None = None
        self._tls: ServerTls | None = None
        self.streams = StreamBook()
        everybody = config.text("xdsServer.endpoints") == "registered"
        fresh = FRESH_SECONDS if config.text("store.type") == "memory" else 0.0
        presences = Presences(everybody, fresh)
        self.views = MeshViews(resources, catalog.policies, presences)
        self.reconciler = Reconciler(
            self.views,
            catalog.generators,
            self._deliver,
            config.seconds("xdsServer.dataplaneConfigurationRefreshInterval"),
            catalog.policies,
            self.streams.set_problem,
            self._looked,
            config.value,
        )
        self.streams.culprits = self.reconciler.culprits
        self.supervised = Supervised(self.reconciler, catalog.boundary.quarantine)
        self.preview = Preview(self.reconciler, self.streams, self.supervised.held_elsewhere)
        self._hub: Hub[Proxy] = Hub(self.reconciler)
        self.awaited = self._hub.awaited
        lifetime = timedelta(seconds=config.seconds("caDefaults.leafLifetime"))
        self._maker = ProxySecrets(
            resources, self.views, IdentityIssuer(authorities, lifetime), self.streams.certificates
        )
        self.secrets_hub: SdsHub[Proxy] = SdsHub()
        authorities.listen(self.authority_changed)

    def prepare(self, authenticator: Attributed | None) -> None:
        """Make what has to be there before a proxy connects; raises ``ConfigError`` for files that cannot be used."""
        self._authenticator = self._maker.authenticator = authenticator
        files = self._config.text("sdsServer.tlsCertFile"), self._config.text("sdsServer.tlsKeyFile")
        hosts = [host for host, _ in bootstrap_params(self._config).hosts]
        hosts.append(self._config.text("general.advertisedHostname"))
        self._tls = configured_tls(*files) if files[0] else own_tls(self._secrets, hosts)
        self.reconciler.maker.secret_server = self._secret_server()

    def servers(self) -> Iterator[GrpcServer]:
        """ADS and SDS."""
        encrypted = self._config.flag("xdsServer.tlsEnabled")
        plain = PLAIN if self._maker.spares_plain else NOTHING
        bound = ("grpc.max_allowed_incoming_connections", most_connections(2))
        for name, setting, handler, tls, options, strangers in (
            ("xds-server", "xdsServer.grpcPort", self._ads, encrypted, ads.SERVER_OPTIONS, plain),
            ("sds-server", "sdsServer.grpcPort", self._sds, True, sds.SERVER_OPTIONS, ROOTS),
        ):
            pair = self._key_pair if tls else None
            yield GrpcServer(
                name,
                Port(setting),
                handler,
                pair,
                [*options, bound],
                self._guard.close,
                self._asks_for,
                Access(strangers, NOTHING),
            )

    def _asks_for(self) -> str:
        return f"a credential of the kind {self._authenticator.name}" if self._authenticator else "nothing"

    def listeners(self) -> list[ChangeListener]:
        """Who of these parts hears of changes in the store."""
        seen = ChangeListener(self.reconciler.changed, self.views.kinds)
        return [seen, ChangeListener(self._secret_changed, (SECRET,))]

    @property
    def bootstrap(self) -> BootstrapParams:
        """What the bootstrap tells a starting proxy about the ADS server."""
        encrypted = self._config.flag("xdsServer.tlsEnabled")
        return bootstrap_params(self._config, self._root() if encrypted else "")

    def _secret_server(self) -> SecretServer:
        port = self._config.number("sdsServer.grpcPort")
        hosts = tuple((host, port) for host, _ in self.bootstrap.hosts)
        return SecretServer(grpc_target(hosts), self._root())

    @property
    def certificate(self) -> tuple[bytes, bytes]:
        """The chain and the key by which others know the control plane, in PEM."""
        assert self._tls is not None
        return self._tls.chain, self._tls.key

    def _root(self) -> str:
        assert self._tls is not None
        return self._tls.root.decode()

    def _key_pair(self) -> KeyPair:
        assert self._tls is not None
        return KeyPair(self._tls.key, self._tls.chain)

    def _ads(self) -> Sequence[Any]:
        recognise = self._maker.recognise_for_configuration
        service = AdsService(
            self._hub, identify, self.streams.begin, recognise, self._guard, _belongs, self._came_back
        )
        return [service.handler()]

    def _came_back(self) -> None:
        """A proxy came that had a configuration: if our store forgot it, look at everything before it is served."""
        if self.views.presences.came_back():
            self.reconciler.changed(Change(Op.RESYNC))

    def _sds(self) -> Sequence[Any]:
        return [SdsService(self._maker, self.secrets_hub, self._guard, _belongs).handler()]

    def _deliver(self, delivery: Delivery) -> None:
        """The one crossing from the reconciler's thread into the event loop."""
        self._in_loop(self._hub.publish, delivery.at_once, delivery.afterwards, delivery.since)

    def require(self, mesh: str, name: str, credential: str) -> bool:
        """Return if whoever shows a credential may open the streams of a Dataplane's proxies; ``""`` if none is shown.

        Whether that is proved, too: where a proxy needs no credential anybody may be any. Raises ``Unauthenticated`` if
        not, and what the authenticator raises. For any thread.
        """
        recognised = self._maker.recognise_for_configuration((credential,) if credential else ())
        if recognised is None:
            return True  # everybody is believed, here and there
        recognised.proof.confirm()
        recognised.allows(Proxy(mesh, name))
        return not recognised.is_anyone

    def behind_snapshots(self, meshes: Collection[str]) -> list[Proxy]:
        """Who of some meshes (``""``: of all) does not run yet with all that was handed over.

        Raises ``Busy``. Not for the event loop's own thread.
        """
        answer: Future[list[Proxy]] = Future()

        def wanted(proxy: Proxy) -> bool:
            return "" in meshes or proxy.mesh in meshes

        self._in_loop(lambda: answer.set_result(self._hub.behind(wanted)))
        try:
            return answer.result(timeout=DEADLINE_SECONDS)
        except TimeoutError:
            raise Busy(f"the streams did not answer within {DEADLINE_SECONDS:g} s") from None

    def follow(self, turning: Turning, proxies: Collection[Proxy]) -> None:
        """Have somebody wait until these have acknowledged their endpoints."""
        self._in_loop(self._hub.follow, turning, proxies)

    def give_up(self, turning: Turning) -> None:
        """Somebody waits no longer."""
        self._in_loop(self._hub.give_up, turning)

    def certificates_waiting(self) -> int:
        """How much is to be asked of authorities that is not asked yet."""
        return self._maker.waiting()

    def look_at_credentials(self) -> None:
        """End the streams of credentials that somebody took back."""
        self._in_loop(self._guard.look_again)

    def _in_loop(self, function: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is connected any more
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- reasons to look at the secrets again; other threads call these

    def _secret_changed(self, change: Change) -> None:
        """Take a hint from the store's watch: an authority may say something else now."""
        self._nudge(None if change.key is None else {change.key.mesh})

    def _looked(self, effects: Effects) -> None:
        """The views show other meshes and dataplanes now."""
        if effects.proxies:
            self._in_loop(self._guard.look_at, frozenset(effects.proxies))
        if effects.meshes and self._maker.spares_plain:
            self.look_at_credentials()  # a mesh may have mTLS now, and some of its proxies none to show
        if effects.meshes or effects.proxies:
            self._nudge(set(effects.meshes), set(effects.proxies))

    def authority_changed(self, mesh: str) -> None:
        """Take a hint from a certificate authority."""
        self._nudge({mesh})

    def _nudge(
        self, meshes: Collection[str] | None, proxies: Collection[tuple[str, str]] = frozenset()
    ) -> None:
        """Have the streams of some meshes (``None``: of all), and of some proxies, look again."""
        for mesh in (None,) if meshes is None else meshes:
            self._maker.look_anew(mesh)
        self._in_loop(
            self.secrets_hub.nudge,
            lambda proxy: meshes is None or proxy.mesh in meshes or proxy.id in proxies,
        )

    def behind(self, mesh: str) -> list[Proxy]:
        """The proxies connected here that have not acknowledged yet what the authority of their mesh says now.

        Raises ``KumaError`` if it says nothing. It is asked before the streams are looked at, so that what was
        acknowledged is as new as the answer.
        """
        in_force = {name: self._maker.authority(mesh, name) for name in (IDENTITY_CERT, MESH_CA)}
        return self.secrets_hub.behind(lambda proxy: proxy.mesh == mesh, in_force)


def _belongs(proxy: Proxy) -> tuple[str, str]:
    return proxy.id


class Enforced:
    """Says which proxies do not run with the newest yet; see ``kuma_core.xds.contract.Enforcement``."""

    def __init__(self, proxies: ProxyServers) -> None:
        self._proxies = proxies

    def mark(self) -> int:
        """The number of the newest round: what is stored from now on is in the view of a later one only."""
        return self._proxies.reconciler.begun

    def newest(self, meshes: Collection[str]) -> int:
        """The number of the newest round that made something for a proxy of some meshes."""
        made = self._proxies.reconciler.made().items()
        return max((number for (mesh, _), number in made if "" in meshes or mesh in meshes), default=0)

    def behind_newest(self, meshes: Collection[str]) -> dict[tuple[str, str], Behind]:
        """Wait until what was told so far is generated and handed to the streams, and then ask them.

        What the reconciler handed over is in the loop before our question is.
        """
        proxies = self._proxies
        proxies.reconciler.settle(DEADLINE_SECONDS)
        waiting = dict.fromkeys(
            (proxy.id for proxy in proxies.behind_snapshots(meshes)),
            "it has not acknowledged its newest configuration yet",
        )
        found = waiting | proxies.streams.troubles()
        made = proxies.reconciler.made() if found else {}
        return {
            place: Behind(why, made.get(place, proxies.reconciler.begun + 1))
            for place, why in found.items()
            if "" in meshes or place[0] in meshes
        }


class AuthenticatorWatch:
    """A component: hears that somebody took credentials of proxies back, and calls ``changed``."""

    name = "proxy-authenticator"
    leader_only = False

    def __init__(self, authenticator: Attributed | None, changed: Callable[[], None]) -> None:
        self._authenticator, self._changed = authenticator, changed

    def run(self, stop: Stop) -> None:
        """Listen until ``stop`` is set."""
        if self._authenticator:
            self._authenticator.watch(self._changed, stop)
        else:
            stop.wait()
