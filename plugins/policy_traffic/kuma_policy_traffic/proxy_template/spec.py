"""The spec of a ProxyTemplate."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.sdk import Spec, Violation
from kuma_policy_traffic.selectors import Selectors, selector_problems

DEFAULT_PROFILE = "default-proxy"
PROFILES = (DEFAULT_PROFILE,)

EMPTY = "cannot be empty"
MAX_RESOURCES = 500
"""Far more than anybody writes by hand, and each costs every proxy of the template something."""
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
        from kuma_policy_traffic.proxy_template.checking import Checker

        if len(self.resources) > MAX_RESOURCES:
            message = f"has {len(self.resources)} resources; a ProxyTemplate may have {MAX_RESOURCES} at most"
            yield Violation("conf.resources", message)
            return
        checker = Checker()
        for index, raw in enumerate(self.resources):
            path = f"conf.resources[{index}]"
            for field in ("name", "version", "resource"):
                if not getattr(raw, field):
                    yield Violation(f"{path}.{field}", EMPTY)
            if reason := raw.resource and checker.problem(path, raw.resource):
                message = f"native Envoy resource is not valid: {reason:.{MAX_REASON}}"
                yield Violation(f"{path}.resource", message)
            if checker.spent:
                return
        yield from checker.warnings()
        checker.remember()


class ProxyTemplateSpec(Spec):
    """The configuration of the proxies that the selectors match."""

    selectors: Selectors = ()
    conf: ProxyTemplateConf | None = None

    def violations(self) -> Iterator[Violation]:
        """No selector at all means every proxy that no other template matches."""
        yield from selector_problems("selectors", self.selectors)
        if self.conf:
            yield from self.conf.violations()
