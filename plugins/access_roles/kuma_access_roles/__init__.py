"""Roles: who may do what with which resources. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import hookimpl, of_kinds

if TYPE_CHECKING:
    from kuma_core.sdk import AccessPolicy, Resource, Resources, ResourceType, Violation


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Bring AccessRole and AccessRoleBinding."""
    from kuma_access_roles.kinds import KINDS

    return KINDS


@hookimpl
def kuma_register_access() -> Iterable[AccessPolicy]:
    """Decide by roles about users who are in neither group of the kernel."""
    from kuma_access_roles.policy import POLICY

    return [POLICY]


@hookimpl
@of_kinds("AccessRole", "AccessRoleBinding")
def kuma_admit(
    resource: Resource | None, previous: Resource | None, resources: Resources
) -> Iterable[Violation]:
    """Warn of a role that names unknown kinds, and of a binding to roles that are not there."""
    from kuma_access_roles.admission import violations

    return violations(resource, previous, resources)
