"""Who a proxy says that it is: its node id and its metadata."""

from __future__ import annotations

from dataclasses import dataclass, field

from kuma_core.specs.tags import TagPairs

ADMIN_PORT = "dataplane.admin.port"
TOKEN_PATH = "dataplaneTokenPath"
LOG_PIPE = "accessLogPipe"
LOG_FILES = "accessLogFiles"
"""There, and not empty, if kuma-dp writes into files what comes out of the pipe for them."""

IPV6 = "dataplane.ipv6"
"""There, and not empty, if Envoy can listen on ::1."""

TELLS_SERVING = "dataplane.tellsServing"
"""There, and not empty, if somebody beside Envoy tells whether the instance serves: its kuma-dp, or its platform."""

KNOWN = (ADMIN_PORT, IPV6, LOG_FILES, LOG_PIPE, TELLS_SERVING, TOKEN_PATH)
"""What the control plane looks at; it leaves everything else aside that a node says about itself."""


@dataclass(frozen=True, slots=True, order=True)
class Proxy:
    """A proxy as it introduced itself: the mesh and name of its Dataplane, and what it said about itself.

    Two streams of one Dataplane with different metadata are different proxies: they may need other listeners.
    """

    mesh: str
    name: str
    metadata: TagPairs = ()

    @property
    def id(self) -> tuple[str, str]:
        """Mesh and name."""
        return (self.mesh, self.name)

    def __str__(self) -> str:
        return f"{self.mesh}.{self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """Who is asking: an id, and those members of its metadata that are texts."""

    id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


def identify(node: Node) -> Proxy:
    """The proxy of a node. Raises ``ValueError`` if its id is not ``<mesh>.<name>``."""
    mesh, name = parse_node_id(node.id)
    known = tuple((key, node.metadata[key]) for key in KNOWN if node.metadata.get(key))
    return Proxy(mesh, name, known)


def tells_serving(proxy: Proxy) -> bool:
    """Whether somebody beside Envoy tells whether the instance serves."""
    return any(key == TELLS_SERVING for key, _ in proxy.metadata)


def parse_node_id(node_id: str) -> tuple[str, str]:
    """``<mesh>.<name>``, split at the first dot: a mesh has none, a name may. Raises ``ValueError``."""
    mesh, dot, name = node_id.partition(".")
    if not mesh:
        raise ValueError(f'node id "{node_id}": mesh must not be empty')
    if not dot:
        raise ValueError(f'node id "{node_id}": the name should be provided after the dot')
    if not name:
        raise ValueError(f'node id "{node_id}": name must not be empty')
    return mesh, name
