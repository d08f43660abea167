"""What a start makes sure of in the store before the first server listens.

Every start may do all of it again, and several control planes may do it at once.
"""

from __future__ import annotations

from typing import Any

import structlog

from kuma_core import packages
from kuma_core.auth.users import MODE, OPEN
from kuma_core.ca.authorities import OpenedAuthorities
from kuma_core.documents import load_documents
from kuma_core.errors import ConfigError, KumaError, PluginError, StoreUnavailable, UnreadableResource
from kuma_core.model import Resource, ResourceKey
from kuma_core.plugin.contract import Context
from kuma_core.resources.codec import spec_part
from kuma_core.specs.base import parse_spec
from kuma_core.specs.mesh import MESH

_log = structlog.get_logger("kuma-cp.run")

DEFAULT_MESH = "default"


def lay_groundwork(context: Context) -> None:
    """The mesh ``default``, and the roots of all meshes.

    On Kubernetes the mesh is made later: its API server asks us whether it may be, and we do not serve yet.

    Raises ``ConfigError`` for a ``defaults.mesh`` that breaks a rule, and whatever the store raises.
    """
    if context.config.text("environment") != "kubernetes":
        _ensure_default_mesh(context)
    authorities = context.ask("authorities", OpenedAuthorities)
    meshes = context.resources.list(MESH, unreadable=_note_unreadable)
    for mesh in meshes:
        _look_after(mesh, authorities)
    if context.config.text(MODE) == OPEN:
        _warn_of_open_api(context.config.text("apiServer.interface"))


def _ensure_default_mesh(context: Context) -> None:
    """Create the mesh ``default`` unless it is there."""
    text = context.config.text("defaults.mesh")
    try:
        # An empty text has no document, and means a Mesh of defaults.
        document: Any = next(iter(load_documents(text, "defaults.mesh")), {})
        if not isinstance(document, dict):
            raise ConfigError("defaults.mesh is not a YAML mapping")
        spec, _ = parse_spec(context.resources.kinds[MESH].spec, spec_part(document))
        context.resources.ensure(Resource(ResourceKey(MESH, DEFAULT_MESH, DEFAULT_MESH), spec))
    except (StoreUnavailable, PluginError):
        raise
    except KumaError as error:
        raise ConfigError(
            f"Invalid configuration: Defaults validation failed: Mesh is not valid: {error} (defaults.mesh)"
        ) from None


def _look_after(mesh: Resource, authorities: OpenedAuthorities) -> None:
    """One authority that fails costs its own mesh, and not the start."""
    try:
        authorities.prepare(mesh)
    except StoreUnavailable:
        raise
    except KumaError as error:
        _log.error("the certificate authority of a mesh is not ready", mesh=mesh.name, problem=str(error))
    if not mesh.spec.is_encrypted():
        return
    if authorities.of(mesh.spec) is None:
        name = mesh.spec.authority()
        _log.error(
            "no loaded plugin provides the certificate authority of a mesh",
            mesh=mesh.name,
            authority=name,
            install=packages.AUTHORITIES.get(name, "the plugin that does"),
        )


def _warn_of_open_api(interface: str) -> None:
    _log.warning(
        "whoever reaches the REST API can change every mesh: apiServer.auth.mode is open; "
        "set it to localhostIsAdmin or token (KUMA_API_SERVER_AUTH_MODE)",
        interface=interface or "all",
    )


def _note_unreadable(error: UnreadableResource) -> None:
    _log.error("a stored resource is left out", problem=str(error))
