"""The plugin while it works: what speaks against a write, as the configuration has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kuma_core.sdk import Violation, hookimpl, log_pipe, of_kinds
from kuma_policy_traffic.places import said_outside
from kuma_policy_traffic.settings import ALLOWED, DIRECTORY
from kuma_policy_traffic.traffic_permission import admission

if TYPE_CHECKING:
    from kuma_core.sdk import Config, MeshSpec, Resource, Resources
    from kuma_policy_traffic.proxy_template.spec import ProxyTemplateConf


class Admission:
    """Looks at meshes and templates before they are stored."""

    def __init__(self, config: Config) -> None:
        self._allowed = frozenset(config.texts(ALLOWED))
        self._directory = config.text(DIRECTORY)

    @hookimpl
    @of_kinds("Mesh", "ProxyTemplate")
    def kuma_admit(
        self, resource: Resource | None, previous: Resource | None, resources: Resources
    ) -> list[Violation]:
        """Warn of a mesh in which nothing is permitted; refuse what would reach beyond the proxies."""
        found = admission.violations(resource, previous, resources)
        if resource is not None and resource.key.type == "Mesh":
            found += _stray_logs(resource.spec, self._directory)
        if resource is not None and resource.key.type == "ProxyTemplate" and resource.spec.conf:
            found += self._template(resource.spec.conf)
        return found

    def _template(self, conf: ProxyTemplateConf) -> Iterator[Violation]:
        from kuma_policy_traffic.proxy_template.known import known_resource
        from kuma_policy_traffic.proxy_template.met import outside, refusals

        for index, raw in enumerate(conf.resources):
            met = known_resource(raw.resource).met
            for text in filter(None, (*refusals(met, self._allowed), outside(met, self._directory))):
                yield Violation(f"conf.resources[{index}].resource", text)


def _stray_logs(spec: MeshSpec, directory: str) -> Iterator[Violation]:
    for index, backend in enumerate(spec.logging.backends if spec.logging and directory else ()):
        if backend.file and not log_pipe.is_below(backend.file.path, directory):
            yield Violation(
                f"logging.backends[{index}].file.path", said_outside(backend.file.path, directory)
            )
