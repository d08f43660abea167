"""Whether a user may write a resource: what would be written counts, and what is there now.

What is there is looked at by whoever replaces it, in the same step of compare-and-set: what somebody else wrote in
between is looked at, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import falcon

from kuma_core.api.rights import visit_of
from kuma_core.api.xds import dry_run_of
from kuma_core.auth.contract import ADMINS, Verb
from kuma_core.model import Resource, ResourceKey, ResourceType, Scope
from kuma_core.policy.contract import Policy
from kuma_core.policy.whose import configured
from kuma_core.specs.dataplane import DATAPLANE, DataplaneSpec
from kuma_core.specs.tags import TagPairs, sorted_tags

TagsOf = Callable[[Any], tuple[TagPairs, ...]]
"""The sets of tags that a spec is about: whoever writes it needs the right over all of them."""


@dataclass(frozen=True, slots=True)
class WritableKind:
    """A kind, and what its specs are about."""

    kind: ResourceType
    tags_of: TagsOf


def writable(kind: ResourceType, policies: Iterable[Policy]) -> WritableKind:
    """A Dataplane is about the services of its inbounds, a policy about the proxies that it configures."""
    policy = next((policy for policy in policies if policy.kind == kind.name), None)
    if kind.name == DATAPLANE:
        return WritableKind(kind, _of_dataplane)
    return WritableKind(kind, partial(configured, policy) if policy else _of_nobody)


class MayWrite:
    """One write. ``spec`` is what would be stored, ``None`` for a deletion."""

    def __init__(
        self, req: falcon.Request, key: ResourceKey, kind: WritableKind, spec: object = None
    ) -> None:
        self._visit, self._key, self._kind = visit_of(req), key, kind.kind
        self._tags_of = kind.tags_of
        self._sets = () if spec is None or self._is_admin else kind.tags_of(spec)
        self._gives = spec is not None
        self._verb = Verb.PUT if self._gives else Verb.DELETE
        if dry_run_of(req):
            self._verb = Verb.DRY_RUN

    def check(self) -> None:
        """Go on if the user may write what they give; else raise the refusal.

        Who deletes gives nothing: what is there decides alone.
        """
        if self._is_admin or self._gives:
            self._require(self._sets)

    def there(self, found: Resource | None) -> None:
        """Go on if the user may delete what is there. Who may not is not told that nothing is, either."""
        self._require(() if found is None else self._tags_of(found.spec))

    def previous(self, found: Resource | None) -> None:
        """Go on if the user may write over what is there; else raise the refusal.

        Nobody is asked again about what would be written.
        """
        if found is None or self._is_admin:
            return
        others = set(self._tags_of(found.spec)) - set(self._sets)
        if others:
            self._require(tuple(sorted(others)))

    @property
    def over(self) -> Callable[[Resource], None] | None:
        """What looks at what is there; nothing for an admin, who may write over what nobody can read, too."""
        return None if self._is_admin else self.previous

    def wrote(self) -> None:
        """It is stored: what users may do may depend on it."""
        self._visit.wrote(self._kind.name)

    @property
    def _is_admin(self) -> bool:
        return ADMINS in self._visit.user.groups

    def _require(self, sets: tuple[TagPairs, ...]) -> None:
        mesh = "" if self._kind.scope is Scope.GLOBAL else self._key.mesh
        self._visit.require(self._verb, self._kind.name, mesh, self._key.name, sets)


def _of_dataplane(spec: Any) -> tuple[TagPairs, ...]:
    """The tags of a Dataplane's inbounds, or of its gateway."""
    assert isinstance(spec, DataplaneSpec)
    return tuple(sorted({sorted_tags(tags) for tags in spec.tag_sets()}))


def _of_nobody(spec: Any) -> tuple[TagPairs, ...]:
    return ()
