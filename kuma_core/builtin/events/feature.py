"""The feature: the ring, what fills it, and the server that tells it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from kuma_core.api.audit_ring import AuditRing
from kuma_core.api.contract import Route
from kuma_core.api.cors import Cors
from kuma_core.api.pages import KnownHosts, known_hosts
from kuma_core.auth.access import AccessControl
from kuma_core.auth.contract import Right
from kuma_core.auth.users import MODE, TOKENS
from kuma_core.builtin.events.app import EventsApp
from kuma_core.builtin.events.clients import Clients
from kuma_core.builtin.events.contract import Event
from kuma_core.builtin.events.recent import RecentChanges
from kuma_core.builtin.events.ring import Ring
from kuma_core.builtin.events.sources import LeadershipEvents, StoreEvents, told_kinds, transition_events
from kuma_core.builtin.status.contract import ProxyStatuses
from kuma_core.plugin.contract import (
    COUNTER,
    EVERYTHING,
    NOTHING,
    Access,
    AsgiServer,
    ChangeListener,
    Component,
    Context,
    Metric,
    Port,
    Server,
)
from kuma_core.plugin.hookspecs import hookimpl

CONNECTIONS = 2000
"""How many clients may follow at once; more get a 503."""
ARRIVALS = 200
"""How many a second are let in when very many come back; each costs half a millisecond of the interpreter."""


class EventsFeature:
    """What is open of the events; it offers ``Events``."""

    def __init__(self, context: Context) -> None:
        self._context, self.offer = context, self
        self._ring = Ring(uuid.uuid4().hex[:12])
        self._clients = Clients(self._ring)
        statuses = context.ask("builtin.status", ProxyStatuses)
        statuses.listen(lambda transition: transition_events(transition, self))

    def publish(self, event: Event) -> None:
        """Tell an event."""
        self._ring.add(event)

    def is_followed(self) -> bool:
        """Whether anybody follows events now."""
        return len(self._clients) > 0

    @hookimpl
    def kuma_register_servers(self) -> Iterable[Server]:
        """The server of ``GET /events``; it stands where the REST API does, and web pages get from both the same."""
        config = self._context.config
        by_token = config.text(MODE) == TOKENS
        access = self._context.ask("access", AccessControl)
        ring = self._context.ask("audited", AuditRing)
        cors = Cors(config.texts("apiServer.corsAllowedDomains"))
        hosts = KnownHosts(known_hosts(config))
        app = EventsApp(self._clients, told_kinds(self._context.registered.kinds), cors, hosts, access, ring)
        port = Port("eventsServer.port", config.text("apiServer.interface"))
        return [
            AsgiServer(
                "events-server",
                port,
                app,
                connections=CONNECTIONS,
                arrivals=ARRIVALS,
                stopping=self._clients.close,
                asks_for=lambda: "a user's token" if by_token else "nothing",
                access=Access(NOTHING if by_token else EVERYTHING, EVERYTHING),
            )
        ]

    @hookimpl
    def kuma_register_routes(self) -> Iterable[Route]:
        """What happened lately, for whoever comes later."""
        return [Route("/changes", RecentChanges(self._ring), right=Right.READER)]

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """Every write and deletion."""
        return [ChangeListener(StoreEvents(self._context.registered.kinds, self).changed)]

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """The leader says that it leads."""
        return [LeadershipEvents(self._context.store, self._context.instance_id, self)]

    @hookimpl
    def kuma_register_metrics(self) -> Iterable[Metric]:
        """Who follows, and how much there was to tell."""
        return [
            Metric("kuma_events_clients", "Clients that follow events.", self._following),
            Metric("kuma_events_total", "Events that were told.", self._told, COUNTER),
        ]

    def _following(self) -> Iterator[tuple[tuple[str, ...], float]]:
        yield (), float(len(self._clients))

    def _told(self) -> Iterator[tuple[tuple[str, ...], float]]:
        yield (), float(self._ring.newest)
