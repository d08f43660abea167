"""What only the whole control plane can say of a Mesh."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core import packages
from kuma_core.ca.contract import Authorities
from kuma_core.errors import Severity, Violation
from kuma_core.model import Resource
from kuma_core.specs.mesh import BUILTIN_CA, MESH, MeshSpec

_CHANGED = "Changing CA when mTLS is enabled is forbidden. Disable mTLS first and then change the CA"
_TURNED_OFF = (
    "this write turns mutual TLS off: the proxies of the mesh talk in plain text, whoever reaches a proxy may "
    "call it, and TrafficPermissions have no effect"
)


def mesh_violations(
    resource: Resource | None, previous: Resource | None, authorities: Authorities
) -> list[Violation]:
    """What speaks against a write of a Mesh: the first error alone, as those behind it follow from it."""
    if resource is None or resource.key.type != MESH:
        return []
    found = []
    for violation in _violations(resource, previous.spec if previous else None, authorities):
        if violation.severity is Severity.ERROR:
            return [violation]
        found.append(violation)
    return found


def _violations(
    resource: Resource, previous: MeshSpec | None, authorities: Authorities
) -> Iterator[Violation]:
    spec: MeshSpec = resource.spec
    stays_on = previous and previous.is_encrypted() and spec.is_encrypted()
    if previous and stays_on and previous.authority() != spec.authority():
        yield Violation("mtls.ca", _CHANGED)
    authority = authorities.of(spec)
    if authority and spec.mtls and spec.mtls.ca:
        yield from authority.validate(resource.name, spec.mtls.ca[authority.name])
    elif _needs_plugin(spec):
        yield _missing_plugin(spec.authority())
    if previous and previous.is_encrypted() and not spec.is_encrypted():
        yield Violation("mtls.enabled", _TURNED_OFF, Severity.WARNING)


def _needs_plugin(spec: MeshSpec) -> bool:
    """Whether the authority has to be there: ``builtin``, which meshes select by default, only once mTLS uses it."""
    return spec.is_encrypted() or spec.authority() not in (BUILTIN_CA, "")


def _missing_plugin(name: str) -> Violation:
    package = packages.AUTHORITIES.get(name)
    way = f"kuma-ca-{name} ({packages.pip_install(package, 'cp')})" if package else "that does"
    return Violation(
        f"mtls.ca.{name}",
        f'no loaded plugin provides the "{name}" certificate authority; '
        f"install the plugin {way} and restart the control plane",
    )
