"""How the two kinds are called."""

from __future__ import annotations

from kuma_access_roles.binding import AccessRoleBindingSpec
from kuma_access_roles.role import BINDING, ROLE, AccessRoleSpec
from kuma_core.sdk import Column, ResourceType, Scope

KINDS = (
    ResourceType(
        name=ROLE,
        path="access-roles",
        path_aliases=("accessroles",),
        singular="access-role",
        spec=AccessRoleSpec,
        scope=Scope.GLOBAL,
        affects_proxies=False,
        columns=(Column("VERBS", "rules.*.verbs.*"), Column("KINDS", "rules.*.kinds.*")),
    ),
    ResourceType(
        name=BINDING,
        path="access-role-bindings",
        path_aliases=("accessrolebindings",),
        singular="access-role-binding",
        spec=AccessRoleBindingSpec,
        scope=Scope.GLOBAL,
        affects_proxies=False,
        columns=(
            Column("USERS", "users.*"),
            Column("GROUPS", "groups.*"),
            Column("ROLES", "roles.*"),
        ),
    ),
)
