"""Whether a policy matches anything of a mesh at all, asked for every policy without trying it on every proxy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from kuma_core.builtin.services.parties import Traits, service_of
from kuma_core.policy.contract import Ends, Policy, Scope
from kuma_core.policy.matching import Entry, MeshPolicies
from kuma_core.specs.dataplane import SERVICE
from kuma_core.specs.tags import ANY, TagPairs, matches


class Reach:
    """The tag sets of a mesh by the service that they name, and what each service calls."""

    def __init__(self, traits: Mapping[str, Traits]) -> None:
        self._kinds = set(traits.values())
        self._by_service: dict[str, dict[TagPairs, set[str]]] = defaultdict(dict)
        self._inbounds: set[TagPairs] = set()
        for kind in self._kinds:
            for tags in kind.tag_sets:
                self._by_service[service_of(tags)].setdefault(tags, set()).update(kind.calls)
            if not kind.is_gateway:
                self._inbounds.update(kind.tag_sets)

    def touches(self, policy: Policy, ends: Ends) -> bool:
        """Whether a policy with these selectors matches a connection, an inbound or a proxy."""
        if policy.scope is Scope.INBOUND:
            return any(matches(selector, tags) for selector in ends.destinations for tags in self._inbounds)
        if policy.scope is Scope.PROXY:
            return bool(self._kinds) and (not ends.sources or any(True for _ in self._called(ends.sources)))
        wanted = {service_of(selector) for selector in ends.destinations if len(selector) == 1}
        return any(calls and (ANY in wanted or calls & wanted) for calls in self._called(ends.sources))

    def governs(self, policy: Policy, entry: Entry, stored: MeshPolicies) -> bool:
        """Whether a policy that no map shows on an edge applies nevertheless: to inbounds together with all others,
        to a proxy that it fits best."""
        if policy.scope is Scope.INBOUND:
            return self.touches(policy, entry.ends)
        if policy.scope is not Scope.PROXY:
            return False
        index = stored.index(policy.kind)
        return any(index.best_for_proxy(kind.tag_sets) is entry for kind in self._kinds)

    def _called(self, selectors: Iterable[TagPairs]) -> Iterable[set[str]]:
        """What those call whom the selectors match."""
        for selector in selectors:
            service = dict(selector).get(SERVICE, ANY)
            places = self._by_service.values() if service == ANY else [self._by_service.get(service, {})]
            for place in places:
                yield from (calls for tags, calls in place.items() if matches(selector, tags))
