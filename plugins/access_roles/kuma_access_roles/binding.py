"""The spec of an AccessRoleBinding: who has which roles."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_access_roles.globs import ANY
from kuma_access_roles.role import size_problems
from kuma_core.sdk import Severity, Spec, Violation, odd_text

MOST_ITEMS = 100
"""Users, groups or roles of one binding; groups are for more."""
MOST_CHARACTERS = 253
ADMINS = "kuma:admin"


class AccessRoleBindingSpec(Spec):
    """Users and groups, told by their whole names, and the roles that each of them has."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def violations(self) -> Iterator[Violation]:
        """A binding names somebody, and what he gets."""
        if not self.users and not self.groups:
            yield Violation("users", "must have at least one element, unless groups have")
        for field, names in (("users", self.users), ("groups", self.groups)):
            if len(names) > MOST_ITEMS:
                yield Violation(field, f"has more than {MOST_ITEMS} elements")
            for index, name in enumerate(names[:MOST_ITEMS]):
                yield from _name_problems(f"{field}[{index}]", name)
        yield from size_problems("roles", self.roles, MOST_ITEMS)
        for index, role in enumerate(self.roles[:MOST_ITEMS]):
            yield from _name_problems(f"roles[{index}]", role)
        if ADMINS in self.groups:
            where = f"groups[{self.groups.index(ADMINS)}]"
            yield Violation(
                where, f"whoever is of {ADMINS} may do everything, with and without roles", Severity.WARNING
            )


def _name_problems(path: str, name: str) -> Iterator[Violation]:
    if not name:
        yield Violation(path, "cannot be empty")
    elif len(name) > MOST_CHARACTERS:
        yield Violation(path, f"has more than {MOST_CHARACTERS} characters")
    elif ANY in name:
        yield Violation(path, f'is the whole name of one; "{ANY}" stands for nothing here')
    else:
        yield from odd_text(path, name)
