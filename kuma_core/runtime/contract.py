"""What a plugin gets in phase 2, and what a long-running part looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kuma_core.lifecycle import Stop

if TYPE_CHECKING:
    from kuma_core.config import Config
    from kuma_core.plugin.catalog import Catalog
    from kuma_core.resources.manager import ResourceManager
    from kuma_core.xds.contract import Streams


@dataclass(frozen=True, slots=True)
class Context:
    """What phase-2 hooks may use: the parsed configuration, what plugins registered, the resources, what is
    known about the connected proxies, and the id of this control plane among several."""

    config: Config
    catalog: Catalog
    resources: ResourceManager
    streams: Streams
    instance_id: str


class Component(Protocol):
    """A long-running part of the control plane.

    ``run`` is called in a thread of its own and returns when ``stop`` is set. If it raises, the control
    plane ends with the component's name. A ``leader_only`` part runs on one instance at a time.
    """

    @property
    def name(self) -> str:
        """A unique name, for logs."""
        ...

    @property
    def leader_only(self) -> bool:
        """Whether one instance alone may run it."""
        ...

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        ...
