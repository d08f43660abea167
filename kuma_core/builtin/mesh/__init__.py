"""Meshes and Dataplanes as resources: their kinds, the REST API of every kind, and the mesh ``default``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.ca.contract import Authorities
    from kuma_core.errors import Violation
    from kuma_core.model import Resource, ResourceType
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Mesh and Dataplane, and Secret, which no API shows."""
    from kuma_core.builtin.mesh.kinds import KINDS

    return KINDS


@hookimpl
def kuma_prepare(context: Context) -> None:
    """The mesh ``default``, and the roots of all meshes."""
    from kuma_core.builtin.mesh.groundwork import lay_groundwork

    lay_groundwork(context)


@hookimpl
def kuma_register_routes(context: Context) -> Iterable[Route]:
    """The whole REST API: what it says about itself, and every kind."""
    from kuma_core.builtin.mesh.routes import routes

    return routes(context)


@hookimpl
def kuma_admit(
    resource: Resource | None, previous: Resource | None, authorities: Authorities
) -> Iterable[Violation]:
    """What a mesh may say of its certificate authority, and whether certificates can hold a dataplane's services."""
    from kuma_core.builtin.mesh.dataplane_rules import dataplane_violations
    from kuma_core.builtin.mesh.rules import mesh_violations

    return mesh_violations(resource, previous, authorities) + dataplane_violations(resource)
