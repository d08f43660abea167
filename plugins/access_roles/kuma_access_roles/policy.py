"""The policy that the kernel asks: from the stored roles and bindings to a function that decides."""

from __future__ import annotations

from kuma_access_roles.index import Index
from kuma_access_roles.role import BINDING, OWN, ROLE
from kuma_core.sdk import AccessPolicy, Decide, Snapshot


def prepare(snapshot: Snapshot) -> Decide:
    """The decisions of this state. A role that is not there, or cannot be read, gives nothing."""
    roles, bindings = (
        {resource.name: resource.spec for resource in snapshot[kind]} for kind in (ROLE, BINDING)
    )
    return Index(roles, bindings).decide


POLICY = AccessPolicy("roles", OWN, prepare)
