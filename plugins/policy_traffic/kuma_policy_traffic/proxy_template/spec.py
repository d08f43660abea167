"""The spec of a ProxyTemplate."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from kuma_core.sdk import Spec, Violation
from kuma_policy_traffic.selectors import Selectors, selector_problems

DEFAULT_PROFILE = "default-proxy"
PROFILES = (DEFAULT_PROFILE,)

EMPTY = "cannot be empty"
MAX_REASON = 1000
"""Characters: the path of a field is made of the document's own keys, and those may be long."""


class RawResource(Spec):
    """One Envoy resource as YAML or JSON text; ``name`` and ``version`` have no effect on the wire."""

    name: str = ""
    version: str = ""
    resource: str = ""


class ProxyTemplateConf(Spec):
    """What the configuration of a proxy is made of: ready profiles first, raw resources after them."""

    imports: tuple[str, ...] = ()
    resources: tuple[RawResource, ...] = ()

    def violations(self) -> Iterator[Violation]:
        """Only resources that are there cost the loading of Envoy's types."""
        for index, profile in enumerate(self.imports):
            if not profile:
                yield Violation(f"conf.imports[{index}]", EMPTY)
            elif profile not in PROFILES:
                known = ", ".join(PROFILES)
                yield Violation(f"conf.imports[{index}]", f"profile not found. Available profiles: {known}")
        if self.resources:
            yield from self._resource_problems()

    def _resource_problems(self) -> Iterator[Violation]:
        from kuma_core.sdk.envoy import check_names
        from kuma_policy_traffic.proxy_template.addresses import check_place
        from kuma_policy_traffic.proxy_template.convert import NativeResource, read_resource
        from kuma_policy_traffic.proxy_template.reader import Budget
        from kuma_policy_traffic.proxy_template.route_clusters import lacking_clusters

        budget, listening = Budget(), dict[Hashable, str]()
        sound: list[tuple[str, NativeResource]] = []
        for index, raw in enumerate(self.resources):
            path = f"conf.resources[{index}]"
            for field in ("name", "version", "resource"):
                if not getattr(raw, field):
                    yield Violation(f"{path}.{field}", EMPTY)
            if raw.resource:
                try:
                    found = read_resource(raw.resource, budget, thorough=True)
                    check_names(found.name, found.message)
                    check_place(found.name, found.message, listening)
                    sound.append((path, found))
                except ValueError as error:
                    reason = f"{error!s:.{MAX_REASON}}"
                    yield Violation(f"{path}.resource", f"native Envoy resource is not valid: {reason}")
        yield from lacking_clusters(sound)


class ProxyTemplateSpec(Spec):
    """The configuration of the proxies that the selectors match."""

    selectors: Selectors = ()
    conf: ProxyTemplateConf | None = None

    def violations(self) -> Iterator[Violation]:
        """No selector at all means every proxy that no other template matches."""
        yield from selector_problems("selectors", self.selectors)
        if self.conf:
            yield from self.conf.violations()
