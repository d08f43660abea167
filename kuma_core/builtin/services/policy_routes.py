"""``/meshes/{mesh}/policies[/{kind}[/{name}]]``: what policies do in a mesh, of every kind that a plugin brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import falcon

from kuma_core.api.exchange import answer_json
from kuma_core.api.paging import answer_page, read_page
from kuma_core.api.searching import Searchable, read_search
from kuma_core.builtin.services.influence import Influences
from kuma_core.builtin.services.lag import LagOf
from kuma_core.builtin.services.mesh_map import Maps, MeshMap
from kuma_core.builtin.services.policy_picture import detail, summary
from kuma_core.builtin.services.routes import Mapped, StatusesOf
from kuma_core.kinds import Kinds
from kuma_core.model import Resource, ResourceKey
from kuma_core.policy.contract import Policy
from kuma_core.resources.contract import Record
from kuma_core.resources.listed import ListedRecords

TITLE = "Could not look at policies"


class _Policies(Mapped):
    """What the routes share: the policies by the path of their kind, in each of its spellings."""

    def __init__(self, maps: Maps, statuses: StatusesOf, kinds: Kinds, policies: Iterable[Policy]) -> None:
        super().__init__(maps, statuses)
        self._kinds = kinds
        self._policies = {policy.kind: policy for policy in policies}
        self._by_path = {
            spelling: policy
            for policy in self._policies.values()
            for spelling in (kinds[policy.kind].path, *kinds[policy.kind].path_aliases)
        }

    def _policy(self, path: str) -> Policy:
        if path in self._by_path:
            return self._by_path[path]
        known = ", ".join(sorted(self._kinds[name].path for name in self._policies)) or "none"
        missing = f'No policy has the path "{path}"; there are: {known}'
        raise falcon.HTTPNotFound(title=TITLE, description=missing)


class PolicyKinds(_Policies):
    """``/meshes/{mesh}/policies``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """The kinds of policies, in the order in which they are applied, with how many resources there are of each."""
        found, _ = self._look(req, mesh, TITLE)
        items = [self._item(found, one) for one in self._policies.values()]
        answer_json(resp, {"mesh": mesh, "current": self._maps.is_current(found), "items": items})

    def _item(self, found: MeshMap, policy: Policy) -> dict[str, object]:
        return {
            "kind": policy.kind,
            "path": self._kinds[policy.kind].path,
            "plugin": self._kinds.owner(policy.kind).partition(".")[0],
            "scope": policy.scope.value,
            "letsIn": policy.admits is not None,
            "total": len(_names(found, policy)),
        }


class PolicyList(_Policies):
    """``/meshes/{mesh}/policies/{kind}``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, kind: str) -> None:
        """All resources of a kind with what each does, in pages; ``kind`` is the path of its collection."""
        found, _ = self._look(req, mesh, TITLE)
        policy, page, search = self._policy(kind), read_page(req), read_search(req, Searchable())
        records = [Record(ResourceKey(policy.kind, mesh, name), "", "") for name in _names(found, policy)]
        listed = ListedRecords(records, lambda record: Resource(record.key, None))
        influences, current = Influences(found), [("current", self._maps.is_current(found))]
        answer_page(
            req, resp, page, listed, lambda item: summary(influences, policy, item.name), search, current
        )


class PolicyItem(_Policies):
    """``/meshes/{mesh}/policies/{kind}/{name}``."""

    def __init__(
        self,
        maps: Maps,
        statuses: StatusesOf,
        kinds: Kinds,
        policies: Iterable[Policy],
        lag: Callable[[str], LagOf],
    ) -> None:
        super().__init__(maps, statuses, kinds, policies)
        self._lag = lag

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, kind: str, name: str) -> None:
        """One resource: where it applies, against which it loses and why, and which proxies have taken it."""
        found, statuses = self._look(req, mesh, TITLE)
        policy = self._policy(kind)
        if name not in _names(found, policy):
            missing = f'There is no {policy.kind} "{name}" in mesh "{mesh}"'
            raise falcon.HTTPNotFound(title=TITLE, description=missing)
        known = detail(Influences(found), policy, name, statuses, self._lag(mesh))
        answer_json(resp, {"mesh": mesh, "current": self._maps.is_current(found), **known})


def _names(found: MeshMap, policy: Policy) -> list[str]:
    return sorted({*found.stored.index(policy.kind).entries, *found.stored.unplaced(policy.kind)})
