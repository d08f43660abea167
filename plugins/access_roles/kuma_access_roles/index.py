"""Who has which roles: an index by user and by group, made once for each state of roles and bindings.

A decision looks at the roles of one user and his groups alone, however many bindings there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache

from kuma_access_roles.binding import AccessRoleBindingSpec
from kuma_access_roles.grants import Grant, compiled
from kuma_access_roles.refusals import refusal
from kuma_access_roles.role import NOBODY, AccessRoleSpec
from kuma_core.sdk import Asked, Decision, TagPairs, User

REMEMBERED = 4096
"""Of how many users it is remembered which roles they have."""
TAKING_AWAY = ("delete", "dry-run")


class Index:
    """Frozen once it is made; ``decide`` is pure, and safe for use from several threads.

    Making it notes who is in which binding. Roles are made ready when somebody who has them asks.
    """

    def __init__(
        self, roles: Mapping[str, AccessRoleSpec], bindings: Mapping[str, AccessRoleBindingSpec]
    ) -> None:
        self._bindings = dict(bindings)
        users: dict[str, list[str]] = defaultdict(list)
        groups: dict[str, list[str]] = defaultdict(list)
        for binding in sorted(bindings):
            for holders, names in ((users, bindings[binding].users), (groups, bindings[binding].groups)):
                for name in dict.fromkeys(names):
                    holders[name].append(binding)
        self._users, self._groups = dict(users), dict(groups)
        self._role = cache(lambda name: compiled(name, roles[name]) if name in roles else None)
        self._grants = lru_cache(REMEMBERED)(self._gathered)

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

    def bindings_of(self, user: User) -> list[str]:
        """The bindings of a user and of his groups; whoever proved nothing has none, whatever he says that he is."""
        if user.by == NOBODY:
            return []
        found = dict.fromkeys(self._users.get(user.name, ()))
        for group in sorted(user.groups):
            found |= dict.fromkeys(self._groups.get(group, ()))
        return list(found)

    def _gathered(self, user: User) -> tuple[Grant, ...]:
        """The roles of a user, each once, by the first binding that gives it."""
        found: dict[str, Grant] = {}
        for binding in self.bindings_of(user):
            for name in self._bindings[binding].roles:
                role = self._role(name)
                if role is not None and name not in found:
                    found[name] = Grant(binding, role)
        return tuple(found.values())


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
