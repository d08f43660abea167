"""What a generator sees of the world, and what it looked at."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from typing import Any

from kuma_core.errors import PluginError
from kuma_core.mesh.context import MeshContext
from kuma_core.mesh.contract import EndpointSet
from kuma_core.plugin.boundary import PluginFailed, told
from kuma_core.policy.contract import Destination, Edit, Match, Policy, Scope, Subject
from kuma_core.policy.matching import MeshPolicies
from kuma_core.policy.routing import route
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.spiffe import spiffe_id
from kuma_core.specs.tags import TagPairs, sorted_tags
from kuma_core.xds.contract import SecretServer, SecretSource
from kuma_core.xds.preparing import NotPrepared
from kuma_core.xds.proxy import ADMIN_PORT, TOKEN_PATH, Proxy

ResourcesOf = Callable[[str], Mapping[str, Any]]
"""The specs of all resources of a kind in the proxy's mesh, by name; raises ``KeyError``."""


class PolicyError(PluginError):
    """A policy failed for one proxy; the text names its plugin, its kind and the resource."""


class TrackedView:
    """The ``ProxyView`` of a generation.

    It notes for which services and kinds generators ask: a change of those generates the proxy anew. One that ``waits``
    raises ``NotPrepared`` where a policy has long work to do first.
    """

    def __init__(
        self,
        proxy: Proxy,
        dataplane: DataplaneSpec,
        mesh: MeshSpec,
        context: MeshContext,
        stored: MeshPolicies | None = None,
        policies: Iterable[Policy] = (),
        secrets: SecretServer | None = None,
        resources_of: ResourcesOf = lambda kind: {},
        waits: bool = False,
        setting: Callable[[str], Any] = lambda path: None,
    ) -> None:
        self.proxy = proxy
        self.dataplane = dataplane
        self.mesh = mesh
        self.services: set[str] = set()
        self.kinds: set[str] = set()
        self.warnings: dict[str, None] = {}
        self._context = context
        self._stored = stored or MeshPolicies()
        self._policies = tuple(policies)
        self._secrets = secrets
        self._resources_of = resources_of
        self._waits = waits
        self._setting = setting

    @cached_property
    def tag_sets(self) -> tuple[TagPairs, ...]:
        """The tags of each inbound, or of the gateway: who the proxy is as a source."""
        return tuple(sorted_tags(tags) for tags in self.dataplane.tag_sets())

    @cached_property
    def admin_port(self) -> int:
        """The port of the proxy's admin API, 0 if it has none or tells nonsense."""
        text = self.metadata.get(ADMIN_PORT, "")
        port = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
        return port if port <= 65535 else 0

    def warn(self, text: str) -> None:
        """Tell who inspects the proxy what it does not get, why, and what to do about it."""
        self.warnings[text] = None

    @property
    def is_virtual(self) -> bool:
        """Whether iptables redirects connections, so that Envoy binds no listener but ``catch_all``."""
        return self.dataplane.redirect_port != 0

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What the proxy said about itself when it connected."""
        return dict(self.proxy.metadata)

    def secret_source(self) -> SecretSource | None:
        """Where the proxy gets its certificates; ``None`` while the mesh is not encrypted.

        Without an SDS server nobody gets any, and an encrypted mesh stays closed.
        """
        if not self.mesh.is_encrypted():
            return None
        server = self._secrets or SecretServer(target="127.0.0.1:1", root="")
        return SecretSource(server.target, server.root, self.metadata.get(TOKEN_PATH, ""))

    def spiffe_id(self, service: str) -> str:
        """The identity of a service of the mesh."""
        return spiffe_id(self.proxy.mesh, service)

    def resources(self, kind: str) -> Mapping[str, Any]:
        """The specs of all resources of a kind in the proxy's mesh, by name; raises ``KeyError``."""
        self.kinds.add(kind)
        return self._resources_of(kind)

    def endpoints(self, selector: Mapping[str, str]) -> EndpointSet:
        """The endpoints of the destination that the tags select; one of the tags is ``service``."""
        self.services.add(selector["service"])
        return self._context.endpoints(selector)

    def destinations(self, service: str) -> tuple[Destination, ...]:
        """Where connections to a service go: what its route says, else the service itself."""
        self.services.add(service)
        try:
            return route(self._policies, service, lambda policy: self._route(policy, service))
        except PluginError as error:
            raise PolicyError(str(error), error.plugin) from None

    def outbound_edits(self, service: str) -> tuple[Edit, ...]:
        """What policies do to the listeners of outbounds to a service."""
        return self._edits(Scope.OUTBOUND, service)

    def destination_edits(self, service: str) -> tuple[Edit, ...]:
        """What policies do to the clusters of a service that a route leads to."""
        return self._edits(Scope.DESTINATION, service)

    def inbound_edits(self, tags: Mapping[str, str]) -> tuple[Edit, ...]:
        """What policies do to the listener of an inbound."""
        return self._edits(Scope.INBOUND, tags=sorted_tags(tags))

    def proxy_edits(self) -> tuple[Edit, ...]:
        """What policies do to everything that generators made."""
        return self._edits(Scope.PROXY)

    def _of(self, scope: Scope) -> Iterable[Policy]:
        return (policy for policy in self._policies if policy.scope is scope)

    def _edits(self, scope: Scope, service: str = "", tags: TagPairs = ()) -> tuple[Edit, ...]:
        if service:
            self.services.add(service)
        edits = []
        for policy in self._of(scope):
            matches = self._matches(policy, service, tags)
            resolved = self._resolved(policy, matches, service, tags) if matches else None
            if resolved is not None and policy.apply is not None:
                self._wait_for(policy, resolved)
                names = tuple(match.name for match in matches)
                edits.append(Edit(policy.kind, policy.apply, resolved, names))
        return tuple(edits)

    def _wait_for(self, policy: Policy, resolved: Hashable) -> None:
        """Raise ``NotPrepared`` if the policy has long work to do first, and whoever asks would rather wait."""
        if policy.prepare is None or not self._waits:
            return
        try:
            work = policy.prepare(resolved)
        except Exception as error:
            said = error.said if isinstance(error, PluginFailed) else told(error)
            raise PolicyError(f'plugin "{policy.plugin}": {policy.kind}: {said}', policy.plugin) from error
        if work is not None:
            raise NotPrepared(policy.plugin, (policy.kind, resolved), work)

    def _route(self, policy: Policy, service: str) -> Hashable | None:
        matches = self._matches(policy, service)
        return self._resolved(policy, matches, service) if matches else None

    def _matches(self, policy: Policy, service: str, tags: TagPairs = ()) -> tuple[Match, ...]:
        """The resources of a policy that apply.

        Raises ``PolicyError`` if of one nobody knows to whom it applies: it may be this proxy.
        """
        for problem in self._stored.unplaced(policy.kind).values():
            raise PolicyError(problem, policy.plugin)
        return self._stored.matches(policy, self.tag_sets, service, tags)

    def _resolved(
        self, policy: Policy, matches: tuple[Match, ...], service: str, tags: TagPairs = ()
    ) -> Hashable | None:
        subject = Subject(
            self.dataplane,
            self.proxy.mesh,
            self.mesh,
            service,
            tags,
            self.metadata,
            self.resources,
            self._setting,
            self.admin_port,
        )
        try:
            return policy.resolve(matches, subject)
        except Exception as error:
            raise PolicyError(_failure(policy, matches, error), policy.plugin) from error


def _failure(policy: Policy, matches: tuple[Match, ...], error: Exception) -> str:
    names = ", ".join(f'"{match.name}"' for match in matches)
    said = error.said if isinstance(error, PluginFailed) else told(error)
    return f'plugin "{policy.plugin}": {policy.kind} {names}: {said}'
