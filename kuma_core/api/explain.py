"""``GET /meshes/{mesh}/explain``: which policies apply to a connection or a proxy, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import falcon

from kuma_core.api.exchange import answer_json
from kuma_core.errors import InvalidResource, Violation
from kuma_core.model import ResourceKey
from kuma_core.policy.contract import Destination, Policy
from kuma_core.policy.entrance import judge
from kuma_core.policy.explain import Candidate, Explanation, Party, explain_connection, explain_proxy
from kuma_core.policy.matching import MeshPolicies, PolicyIndex, destination_tags, entries
from kuma_core.resources.contract import Resources
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.mesh import MESH
from kuma_core.specs.tags import sorted_tags

TITLE = "Could not explain"


class Explain:
    """Answers from the stored resources, whether a proxy is connected or not."""

    def __init__(self, resources: Resources, policies: Iterable[Policy]) -> None:
        self._resources = resources
        self._policies = tuple(policies)

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """``source`` is a must; without ``destination`` the policies of the proxy itself are explained."""
        req.context.title = TITLE
        found = self._resources.get(ResourceKey(MESH, mesh, mesh))
        source = self._party(mesh, "source", req.get_param("source"))
        stored = self._stored(mesh)
        answer: dict[str, Any] = {"mesh": mesh, "source": source.name}
        if req.has_param("destination"):
            destination = self._party(mesh, "destination", req.get_param("destination"))
            asked = (self._policies, stored, (mesh, found.spec), source, destination)
            explained, routed = explain_connection(*asked, partial(self._specs, mesh))
            verdict = judge(*asked, partial(self._specs, mesh))
            answer |= {
                "destination": destination.name,
                "access": verdict.access,
                "reason": verdict.reason,
                "routed": [_destination(item) for item in routed],
            }
        else:
            explained = explain_proxy(self._policies, stored, source)
        answer_json(resp, {**answer, "policies": [_explanation(item) for item in explained]})

    def _specs(self, mesh: str, kind: str) -> Mapping[str, Any]:
        return {item.name: item.spec for item in self._resources.list(kind, mesh)}

    def _stored(self, mesh: str) -> MeshPolicies:
        indexes: Mapping[str, PolicyIndex] = {
            policy.kind: PolicyIndex(
                entries(policy, ((item.name, item.spec) for item in self._resources.list(policy.kind, mesh)))
            )
            for policy in self._policies
        }
        return MeshPolicies(indexes)

    def _party(self, mesh: str, parameter: str, text: str | None) -> Party:
        """``service:x``, ``dataplane:x``, or a bare name: a dataplane if there is one, else a service."""
        prefix, colon, name = (text or "").partition(":")
        if not text or (colon and prefix in ("service", "dataplane") and not name):
            message = "expected the name of a dataplane or a service, or dataplane:NAME or service:NAME"
            raise InvalidResource([Violation(parameter, message)], details="The request is not valid")
        if colon and prefix == "service":
            return Party(text, (destination_tags(name),))
        wanted = name if colon and prefix == "dataplane" else text
        dataplane = self._resources.find(ResourceKey(DATAPLANE, mesh, wanted))
        if dataplane:
            tag_sets = tuple(sorted_tags(tags) for tags in dataplane.spec.tag_sets())
            return Party(f"dataplane:{wanted}", tag_sets, dataplane.spec)
        if colon and prefix == "dataplane":
            missing = f'There is no Dataplane "{wanted}" in mesh "{mesh}"'
            raise falcon.HTTPNotFound(title=TITLE, description=missing)
        return Party(f"service:{text}", (destination_tags(text),))


def _explanation(item: Explanation) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "scope": item.scope.value,
        "service": item.service,
        "candidates": [_candidate(candidate) for candidate in item.candidates],
    }


def _candidate(item: Candidate) -> dict[str, Any]:
    rank = {"total": item.rank.total, "exact": item.rank.exact} if item.rank else None
    return {"name": item.name, "applies": item.applies, "rank": rank, "reason": item.reason}


def _destination(item: Destination) -> dict[str, Any]:
    return {"tags": dict(item.tags), "weight": item.weight}
