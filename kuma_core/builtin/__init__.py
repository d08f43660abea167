"""The kernel's own kinds, settings, generators, routes, components and rules, through everyone's hooks.

Hook implementations only; what they bring lives in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.auth.contract import Authenticator
    from kuma_core.ca.authorities import Authorities
    from kuma_core.config import Setting
    from kuma_core.errors import Violation
    from kuma_core.model import Resource, ResourceType
    from kuma_core.runtime.contract import Component, Context
    from kuma_core.xds.contract import Draft, Generator
    from kuma_core.xds.view import ProxyView


@hookimpl
def kuma_register_config() -> Iterable[Setting]:
    """Every key of Kuma 0.3.1, so that its files load, and ours."""
    from kuma_core.builtin.settings import SETTINGS

    return SETTINGS


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Mesh, Dataplane, and what the control plane says about dataplanes."""
    from kuma_core.builtin.kinds import KINDS

    return KINDS


@hookimpl
def kuma_register_generators() -> Iterable[Generator]:
    """What every proxy has: its inbounds, its outbounds, and what its Mesh or Dataplane asks for beside."""
    from kuma_core.xds.contract import Generator

    return [
        Generator("metrics", 100, _metrics),
        Generator("transparent", 200, _transparent),
        Generator("inbound", 300, _inbound),
        Generator("outbound", 400, _outbound),
    ]


def _metrics(view: ProxyView) -> Iterable[Draft]:
    """Imported when it is called: phase 1 loads no Envoy message."""
    from kuma_core.xds.generators.metrics import generate_metrics

    return generate_metrics(view)


def _transparent(view: ProxyView) -> Iterable[Draft]:
    from kuma_core.xds.generators.transparent import generate_transparent

    return generate_transparent(view)


def _inbound(view: ProxyView) -> Iterable[Draft]:
    from kuma_core.xds.generators.inbound import generate_inbound

    return generate_inbound(view)


def _outbound(view: ProxyView) -> Iterable[Draft]:
    from kuma_core.xds.generators.outbound import generate_outbound

    return generate_outbound(view)


@hookimpl
def kuma_register_routes(context: Context) -> Iterable[Route]:
    """The whole REST API: what it says about itself, every kind, and the overviews."""
    from kuma_core.builtin.routes import routes

    return routes(context)


@hookimpl
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """Issuing tokens, unless that is switched off."""
    from kuma_core.builtin.admin_routes import admin_routes

    return admin_routes(context)


@hookimpl
def kuma_register_authenticators(context: Context) -> Iterable[Authenticator]:
    """Dataplane tokens, unless they are switched off."""
    from kuma_core.auth.contract import Authenticator, tokens_enabled
    from kuma_core.auth.tokens import TokenVerifier

    if tokens_enabled(context.config):
        yield Authenticator("dataplane-token", TokenVerifier(context.signing_keys, context.revocations))


@hookimpl
def kuma_register_components(context: Context) -> Iterable[Component]:
    """What every control plane does beside serving, and what the leader of several does for all."""
    from kuma_core.builtin.insights import InsightWriter
    from kuma_core.builtin.instances import DeletionFinisher, Heartbeat, InstanceWatch

    return [Heartbeat(context), InsightWriter(context), InstanceWatch(context), DeletionFinisher(context)]


@hookimpl
def kuma_admit(
    resource: Resource | None, previous: Resource | None, authorities: Authorities
) -> Iterable[Violation]:
    """What a mesh may say of its certificate authority, and whether certificates can hold a dataplane's services."""
    from kuma_core.builtin.dataplane_rules import dataplane_violations
    from kuma_core.builtin.mesh_rules import mesh_violations

    return mesh_violations(resource, previous, authorities) + dataplane_violations(resource)
