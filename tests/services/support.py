"""Maps of meshes that are written down, without a control plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import kuma_policy_traffic
from kuma_core.builtin.services import picture
from kuma_core.builtin.services.mesh_map import Maps, MeshMap
from kuma_core.mesh.context import MeshContext, build_context
from kuma_core.plugin.catalog import Catalog
from kuma_core.policy.matching import MeshPolicies, PolicyIndex, entries
from kuma_core.resources.codec import spec_part
from kuma_core.specs.base import parse_spec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.testing.platform import make_catalog

ENCRYPTED = {"type": "Mesh", "name": "default", "mtls": {"enabled": True, "ca": {"builtin": {}}}}
PLAIN = {"type": "Mesh", "name": "default"}

CATALOG = make_catalog([kuma_policy_traffic])


class Frozen:
    """One view of the mesh ``default``, as the reconciler would hold it."""

    def __init__(self, documents: Iterable[Mapping[str, Any]], catalog: Catalog = CATALOG) -> None:
        specs = [(item["type"], item["name"], _spec(catalog, item)) for item in documents]
        mesh = next((spec for kind, _, spec in specs if kind == "Mesh"), MeshSpec())
        dataplanes = [(name, spec) for kind, name, spec in specs if kind == "Dataplane"]
        self.context = build_context("default", mesh.with_defaults(), dataplanes)
        indexes = {
            policy.kind: PolicyIndex(entries(policy, [(n, s) for kind, n, s in specs if kind == policy.kind]))
            for policy in catalog.policies
        }
        self.stored = MeshPolicies(indexes)

    def mesh(self, name: str) -> MeshContext:
        return self.context if name == "default" else MeshContext(name)

    def policies(self, mesh: str) -> MeshPolicies:
        return self.stored

    def resources(self, kind: str, mesh: str) -> Mapping[str, Any]:
        return {}

    def are_behind(self) -> bool:
        return False


def _spec(catalog: Catalog, document: Mapping[str, Any]) -> Any:
    return parse_spec(catalog.kinds[document["type"]].spec, spec_part(document))[0]


def mapped(*documents: Mapping[str, Any]) -> MeshMap:
    """The map of the mesh ``default`` with these documents in it."""
    found = Maps(Frozen(documents), CATALOG.policies).of("default")
    assert found
    return found


def online(found: MeshMap) -> dict[str, str]:
    """Statuses with which every proxy is there."""
    return dict.fromkeys(found.traits, picture.ONLINE)


def edges(*documents: Mapping[str, Any], **statuses: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The edges of a map by source and destination; proxies are online unless another status is given."""
    found = mapped(*documents)
    known = {**online(found), **{name.replace("_", "-"): word for name, word in statuses.items()}}
    return {(item.source, item.destination): picture.edge(item, known) for item in found.edges}
