"""What the writer of a role or a binding should be told, beside what its own text says: whom and what it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kuma_access_roles.globs import ANY
from kuma_access_roles.role import BINDING, DATAPLANE, ROLE, AccessRule
from kuma_core.sdk import Resource, ResourceKey, Severity, Violation, hookimpl, of_kinds, shown

if TYPE_CHECKING:
    from kuma_core.sdk import Registered, Resources


_AS_IN_TYPE = "kinds are written as in the field type of a document"


class Admission:
    """Looks at roles and bindings before they are stored."""

    def __init__(self, registered: Registered) -> None:
        self._served = {kind.name for kind in registered.kinds if kind.served}
        self._with_tags = {DATAPLANE, *(policy.kind for policy in registered.policies)}

    @hookimpl
    @of_kinds(ROLE, BINDING)
    def kuma_admit(
        self, resource: Resource | None, previous: Resource | None, resources: Resources
    ) -> Iterator[Violation]:
        """Warnings of kinds that there are not, and of roles that are not there (any more)."""
        if resource is None:
            if previous is not None and previous.key.type == ROLE:
                yield from _still_bound(previous.name, resources)
        elif resource.key.type == ROLE:
            for place, rule in enumerate(resource.spec.rules):
                yield from self._odd_kinds(f"rules[{place}]", rule)
        else:
            yield from _missing_roles(resource, resources)

    def _odd_kinds(self, path: str, rule: AccessRule) -> Iterator[Violation]:
        for index, kind in enumerate(rule.kinds):
            where = f"{path}.kinds[{index}]"
            if kind != ANY and kind not in self._served:
                yield _warning(where, f"this control plane serves no kind {shown(kind)}; {_AS_IN_TYPE}")
            elif rule.tags is not None and kind not in self._with_tags:
                yield _warning(where, f"{kind} has no tags, so that the rule gives nothing of it")


def _missing_roles(binding: Resource, resources: Resources) -> Iterator[Violation]:
    for index, role in enumerate(binding.spec.roles):
        if resources.find(ResourceKey(ROLE, role, role)) is None:
            yield _warning(
                f"roles[{index}]",
                f"there is no AccessRole {shown(role)} yet; until it is there, it gives nothing",
            )


def _still_bound(role: str, resources: Resources) -> Iterator[Violation]:
    bindings = [
        item.name for item in resources.list(BINDING, unreadable=_left_out) if role in item.spec.roles
    ]
    if bindings:
        named = ", ".join(map(shown, bindings[:3])) + (", …" if len(bindings) > 3 else "")
        yield _warning(
            "name", f"AccessRoleBindings name this role still ({named}), and give nothing by it now"
        )


def _left_out(error: Exception) -> None:
    """One that cannot be read gives nothing anyway."""


def _warning(field: str, message: str) -> Violation:
    return Violation(field, message, Severity.WARNING)
