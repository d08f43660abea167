"""What a TrafficPermission does to an inbound of an encrypted mesh: it lets its sources in."""

from __future__ import annotations

from typing import Any

from kuma_core.sdk import Match, Subject, spiffe_id

ANY = "*"
RBAC_FILTER = "envoy.filters.network.rbac"

Permissions = tuple[tuple[str, tuple[str, ...]], ...]
"""By name of the permission, in order: the principals that it lets in; ``*`` is everybody of the mesh."""


def resolve(matches: tuple[Match, ...], subject: Subject) -> Permissions | None:
    """All permissions for the inbound together; none counts while the mesh is not encrypted."""
    if not subject.mesh.is_encrypted():
        return None
    found = ((match.name, _principals(match, subject.mesh_name)) for match in matches)
    return tuple((name, principals) for name, principals in found if principals)


def _principals(match: Match, mesh: str) -> tuple[str, ...]:
    services = (selector.match.get("service", "") for selector in match.spec.sources)
    return tuple(ANY if service == ANY else spiffe_id(mesh, service) for service in services if service)


def admits(conf: Permissions, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The permissions that let in a client with these SPIFFE ids: Envoy compares the same principals with them."""
    return tuple(name for name, principals in conf if any(item in (ANY, *ids) for item in principals))


def apply(draft: Any, conf: Permissions) -> None:
    """Add a rule for each permission to the filter that the kernel put in front."""
    from kuma_core.sdk.envoy import Permission, RbacPolicy

    rules = draft.filter(RBAC_FILTER).rules
    for name, principals in conf:
        rules.policies[name] = RbacPolicy(
            permissions=[Permission(any=True)], principals=[_principal(item) for item in principals]
        )


def _principal(item: str) -> Any:
    from kuma_core.sdk.envoy import Principal, PrincipalAuthenticated, StringMatcher

    if item == ANY:
        return Principal(any=True)
    return Principal(authenticated=PrincipalAuthenticated(principal_name=StringMatcher(exact=item)))
