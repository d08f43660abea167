"""Who has which roles: an index by user and by group, made once for each state of roles and bindings.

A decision looks at the roles of one user and his groups alone, however many bindings there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from kuma_access_roles.binding import AccessRoleBindingSpec
from kuma_access_roles.grants import Grant, compiled
from kuma_access_roles.refusals import refusal
from kuma_access_roles.role import AccessRoleSpec
from kuma_core.sdk import Asked, Decision, TagPairs, User

NOBODY = "nobody"
"""By what somebody is known who proved nothing."""
TAKING_AWAY = ("delete", "dry-run")


class Index:
    """Frozen once it is made; ``decide`` is pure, and safe for use from several threads."""

    def __init__(
        self, roles: Mapping[str, AccessRoleSpec], bindings: Mapping[str, AccessRoleBindingSpec]
    ) -> None:
        known = {name: compiled(name, spec) for name, spec in roles.items()}
        users: dict[str, dict[str, Grant]] = defaultdict(dict)
        groups: dict[str, dict[str, Grant]] = defaultdict(dict)
        for binding, spec in sorted(bindings.items()):
            grants = [Grant(binding, known[role]) for role in spec.roles if role in known]
            for holders, names in ((users, spec.users), (groups, spec.groups)):
                for name in names:
                    for grant in grants:  # a role that somebody has twice is asked once
                        holders[name].setdefault(grant.role.name, grant)
        self._users = {name: tuple(grants.values()) for name, grants in users.items()}
        self._groups = {name: tuple(grants.values()) for name, grants in groups.items()}

    def decide(self, asked: Asked) -> Decision:
        """Whether bindings allow what is asked: with each set of tags, by whichever of them."""
        grants = self._grants(asked.user)
        allowed_by: dict[str, None] = {}
        for tags in asked.tag_sets or _without_tags(asked):
            found = _allowing(grants, asked, tags)
            if found is None:
                return refusal(grants, asked, tags)
            allowed_by[str(found)] = None
        return Decision(True, " and ".join(allowed_by))

    def _grants(self, user: User) -> tuple[Grant, ...]:
        """The roles of a user and of his groups; whoever proved nothing has none, whatever he says that he is."""
        if user.by == NOBODY:
            return ()
        found = self._users.get(user.name, ())
        for group in sorted(user.groups):
            found += self._groups.get(group, ())
        return found


def _without_tags(asked: Asked) -> tuple[TagPairs | None]:
    """What is asked where no tags are named: of a deletion, whether anything may be deleted there at all.

    The kernel asks again, with the tags of what is stored, before it deletes that.
    """
    return (None,) if asked.verb.value in TAKING_AWAY else ((),)


def _allowing(grants: Iterable[Grant], asked: Asked, tags: TagPairs | None) -> Grant | None:
    """The first grant that allows it with these tags."""
    verb, kind = asked.verb.value, asked.kind
    for grant in grants:
        for rule in grant.role.rules_for(verb, kind):
            if not rule.misfit(asked, tags):
                return grant
    return None
