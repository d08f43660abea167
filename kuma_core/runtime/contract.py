"""What a plugin gets in phase 2, and what a long-running part looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kuma_core.lifecycle import Stop

if TYPE_CHECKING:
    from kuma_core.auth.keys import SigningKeys
    from kuma_core.auth.revocations import Revocations
    from kuma_core.ca.authorities import Authorities
    from kuma_core.config import Config
    from kuma_core.plugin.catalog import Catalog
    from kuma_core.resources.instances import Instances
    from kuma_core.resources.manager import ResourceManager
    from kuma_core.resources.secrets import SecretManager
    from kuma_core.xds.contract import Previewer, Streams


@dataclass(frozen=True, slots=True)
class Context:
    """What phase-2 hooks may use: the parsed configuration, what plugins registered, the resources, the
    secrets, which no API may show, the certificate authorities, the keys of dataplane tokens and what of these is
    revoked, what is known about the connected proxies and what they would be sent, and the control planes over the
    same store."""

    config: Config
    catalog: Catalog
    resources: ResourceManager
    secrets: SecretManager
    authorities: Authorities
    signing_keys: SigningKeys
    revocations: Revocations
    streams: Streams
    previewer: Previewer
    instances: Instances

    @property
    def instance_id(self) -> str:
        """The id of this control plane among several."""
        return self.instances.own_id


class Component(Protocol):
    """A long-running part of the control plane.

    ``run`` is called in a thread of its own and returns when ``stop`` is set. If it raises, the control
    plane ends with the component's name. A ``leader_only`` part runs on one instance at a time: it may be started
    again after it was stopped, and must return within a second or so, since another instance then takes over.
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
