"""What the tests of roles share: documents, and questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kuma_access_roles.binding import AccessRoleBindingSpec
from kuma_access_roles.index import Index
from kuma_access_roles.role import AccessRoleSpec
from kuma_core.sdk import Asked, TagPairs, User, Verb, parse_spec, sorted_tags

ALICE = User("alice", frozenset({"web-team"}), "token")
WRITES = ["put", "delete", "dry-run", "generate-token"]
OWNER = {"verbs": WRITES, "kinds": ["Dataplane"], "meshes": ["default"], "tags": {"service": ["web"]}}
"""The rule of who speaks for the service web."""


def role(*rules: dict[str, Any]) -> AccessRoleSpec:
    return parse_spec(AccessRoleSpec, {"rules": list(rules)})[0]


def binding(**document: Any) -> AccessRoleBindingSpec:
    return parse_spec(AccessRoleBindingSpec, document)[0]


def index(*rules: dict[str, Any], users: tuple[str, ...] = ("alice",)) -> Index:
    """One role with the rules, and who has it."""
    return Index({"r": role(*rules)}, {"b": binding(users=list(users), roles=["r"])})


def tags(**pairs: str) -> TagPairs:
    return sorted_tags(pairs)


def asked(
    verb: str, kind: str, mesh: str = "", name: str = "", *sets: Mapping[str, str], user: User = ALICE
) -> Asked:
    return Asked(user, Verb(verb), kind, mesh, name, tuple(map(sorted_tags, sets)))
