"""What somebody who turns mutual TLS on should be told: without a permission all traffic stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.sdk import Resource, Severity, Violation

if TYPE_CHECKING:
    from kuma_core.sdk import Resources

NOTHING_PERMITTED = (
    "with mutual TLS on, every connection is denied until a TrafficPermission allows it, "
    "and this mesh has none"
)


def violations(resource: Resource | None, previous: Resource | None, resources: Resources) -> list[Violation]:
    """A warning for a mesh that becomes encrypted with nothing permitted in it."""
    if resource is None or resource.key.type != "Mesh" or not resource.spec.is_encrypted():
        return []
    if (previous and previous.spec.is_encrypted()) or resources.list("TrafficPermission", resource.name):
        return []
    return [Violation("mtls.enabled", NOTHING_PERMITTED, Severity.WARNING)]
