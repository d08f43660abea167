"""Roles: who may do what with which resources. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import hookimpl

if TYPE_CHECKING:
    from kuma_access_roles.admission import Admission
    from kuma_core.sdk import AccessPolicy, Context, ResourceType


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
def kuma_open(context: Context) -> Admission:
    """What is told to the writers of roles depends on the kinds that there are."""
    from kuma_access_roles.admission import Admission

    return Admission(context.registered)
