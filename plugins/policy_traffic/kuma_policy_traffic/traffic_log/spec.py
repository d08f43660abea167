"""The spec of a TrafficLog."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.sdk import Spec, Violation
from kuma_policy_traffic.selectors import Selectors, connection_problems


class LogConf(Spec):
    """The name of one of the mesh's logging backends; none means the mesh's default one."""

    backend: str = ""


class TrafficLogSpec(Spec):
    """Log the connections from the sources to the destinations."""

    sources: Selectors = ()
    destinations: Selectors = ()
    conf: LogConf | None = None

    def violations(self) -> Iterator[Violation]:
        """Whether the mesh has the backend is not checked: mesh and policy may come in any order."""
        return connection_problems(self.sources, self.destinations)
