"""Who a proxy says that it is: its node id (data plane, 4.1)."""

from __future__ import annotations

from kuma_core.xds.contract import Proxy


def parse_node_id(node_id: str) -> Proxy:
    """``<mesh>.<name>``, split at the first dot: a mesh has none, a name may. Raises ``ValueError``."""
    mesh, dot, name = node_id.partition(".")
    if not mesh:
        raise ValueError(f'node id "{node_id}": mesh must not be empty')
    if not dot:
        raise ValueError(f'node id "{node_id}": the name should be provided after the dot')
    if not name:
        raise ValueError(f'node id "{node_id}": name must not be empty')
    return Proxy(mesh, name)
