"""The policies that govern one dataplane's proxies, as data that an operator can read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kuma_core.builtin.services.decisions import Decisions
from kuma_core.builtin.services.mesh_map import MeshMap
from kuma_core.policy.applied import Called, Governed, governed
from kuma_core.policy.contract import Policy
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.tags import TagPairs, sorted_tags

NONE_STORED = "there is none in this mesh"
NONE_MATCHES = "the selectors of none match this dataplane, its inbounds or what it calls"


def governing(found: MeshMap, name: str, decisions: Decisions, policies: Iterable[Policy]) -> dict[str, Any]:
    """What governs a dataplane of the map: ``items``, the kinds of which nothing does, and what failed.

    ``decisions`` are of the same view, and used for this alone.
    """
    spec, traits = found.context.dataplanes[name], found.traits[name]
    policies = tuple(policies)
    leads = {service: decisions.lead(traits, spec, service) for service in traits.calls}
    calls = [
        Called(service, tuple(sorted({share.service for share in lead.shares})))
        for service, lead in leads.items()
    ]
    inbounds, mesh = [sorted_tags(item.tags) for item in spec.networking.inbound], found.context.mesh
    encrypted = mesh is not None and mesh.is_encrypted()
    applied = list(governed(policies, found.stored, traits.tag_sets, calls, inbounds, encrypted))
    return {
        "items": _items(applied, _interfaces(spec)),
        "none": list(_none(policies, found, {item.kind for item in applied})),
        "problems": list(_problems(policies, found, decisions)),
    }


def _interfaces(spec: DataplaneSpec) -> dict[TagPairs, list[str]]:
    """The inbounds by their tags; several may have the same."""
    found: dict[TagPairs, list[str]] = {}
    for item in spec.networking.inbound:
        found.setdefault(sorted_tags(item.tags), []).append(item.interface)
    return found


def _items(applied: Iterable[Governed], interfaces: dict[TagPairs, list[str]]) -> list[dict[str, Any]]:
    """One item for each policy and reason, with all that it governs."""
    items: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in applied:
        start: dict[str, Any] = {
            "kind": one.kind,
            "name": one.name,
            "scope": one.scope.value,
            "reason": one.reason,
            "services": [],
            "inbounds": [],
        }
        item = items.setdefault((one.kind, one.name, one.reason), start)
        item["services"] += [one.service] if one.service else []
        item["inbounds"] += interfaces[one.tags] if one.tags else []
    return list(items.values())


def _none(policies: Iterable[Policy], found: MeshMap, applied: set[str]) -> Iterator[dict[str, Any]]:
    for policy in policies:
        if policy.kind not in applied:
            there = len(found.stored.index(policy.kind).entries)
            yield {
                "kind": policy.kind,
                "stored": there,
                "reason": NONE_MATCHES if there else NONE_STORED,
            }


def _problems(policies: Iterable[Policy], found: MeshMap, decisions: Decisions) -> Iterator[str]:
    """Why what the proxy has may be older than what is told here."""
    yield from decisions.problems
    for policy in policies:
        yield from found.stored.unplaced(policy.kind).values()
