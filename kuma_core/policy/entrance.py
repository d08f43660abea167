"""Whether connections of one party to another may come in: asked of the policies that also write it for Envoy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kuma_core.policy.contract import Policy, Subject
from kuma_core.policy.explain import Party, ResourcesOf
from kuma_core.policy.matching import MeshPolicies
from kuma_core.specs.dataplane import SERVICE, DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.spiffe import provable
from kuma_core.specs.tags import TagPairs

ALLOWED, PARTLY, DENIED, PLAINTEXT = "allowed", "partly", "denied", "plaintext"
"""Whether connections may come in; the words of the service map."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether connections may come in, and a sentence that says why."""

    access: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Inbound:
    tags: TagPairs
    let_in: tuple[str, ...]


def judge(
    policies: Iterable[Policy],
    stored: MeshPolicies,
    mesh: tuple[str, MeshSpec],
    source: Party,
    destination: Party,
    resources: ResourcesOf,
) -> Verdict:
    """Whether connections of one party may come in at the inbounds of another; arguments as of ``explain``."""
    if not mesh[1].is_encrypted():
        return Verdict(PLAINTEXT, "the mesh has mTLS off, so that everybody may call in plain text")
    doors = [policy for policy in policies if policy.admits is not None]
    ids = provable(mesh[0], sorted(_services(source)))
    inbounds = [
        _Inbound(tags, tuple(_let_in(doors, stored, mesh, destination, tags, ids, resources)))
        for tags in destination.tag_sets
    ]
    return _verdict(inbounds, source.name, destination.name)


def _services(party: Party) -> set[str]:
    return {dict(tags)[SERVICE] for tags in party.tag_sets if SERVICE in dict(tags)}


def _let_in(
    doors: Iterable[Policy],
    stored: MeshPolicies,
    mesh: tuple[str, MeshSpec],
    party: Party,
    tags: TagPairs,
    ids: tuple[str, ...],
    resources: ResourcesOf,
) -> Iterator[str]:
    for policy in doors:
        matches = stored.matches(policy, (), "", tags)
        subject = Subject(party.spec or DataplaneSpec(), *mesh, "", tags, _NO_METADATA, resources)
        conf = policy.resolve(matches, subject) if matches else None
        if conf is not None and policy.admits is not None:
            yield from (f'{policy.kind} "{name}"' for name in policy.admits(conf, ids))


_NO_METADATA: Mapping[str, Any] = {}


def _verdict(inbounds: list[_Inbound], source: str, destination: str) -> Verdict:
    open_ones = [inbound for inbound in inbounds if inbound.let_in]
    named = ", ".join(sorted({name for inbound in open_ones for name in inbound.let_in}))
    if not open_ones:
        return Verdict(DENIED, f'the mesh has mTLS on, and no policy lets "{source}" in at "{destination}"')
    if len(open_ones) == len(inbounds):
        return Verdict(ALLOWED, f"{named} lets them in")
    return Verdict(PARTLY, f"{named} lets them in at {len(open_ones)} of {len(inbounds)} inbounds")
