"""Every hook there is. A plugin implements the ones it needs, each as a plain function marked ``hookimpl``.

The kernel calls each hook named ``kuma_register_…`` exactly once, at start, and gets a list of typed values, which it
checks and freezes. It calls ``kuma_open`` once, too: what that returns implements the hooks of phase 2 for a plugin
whose parts share something open. ``kuma_admit`` is a question that the kernel asks while the control plane works. The
order of plugins changes nothing.
``docs/reference/hooks.md`` has an example for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

if TYPE_CHECKING:  # a start that only asks which hooks there are stays light
    from kuma_core.api.contract import Route
    from kuma_core.auth.contract import AccessPolicy, Authenticator
    from kuma_core.ca.contract import Authorities, CaProviderFactory
    from kuma_core.config import Setting
    from kuma_core.errors import Violation
    from kuma_core.model import Resource, ResourceType
    from kuma_core.plugin.command import Command, OutputFormat
    from kuma_core.plugin.contract import (
        BootstrapFragment,
        ChangeListener,
        Component,
        Context,
        Metric,
        Server,
    )
    from kuma_core.policy.contract import Policy
    from kuma_core.resources.contract import OwnSecret, Resources, StoreFactory
    from kuma_core.xds.contract import Generator

NAMESPACE = "kuma"
"""Prefix of every hook, and the entry-point group of plugins."""

hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)

KINDS = "kuma_kinds"
"""The attribute in which ``of_kinds`` notes what a function is about."""
F = TypeVar("F", bound=Callable[..., Any])


def of_kinds(*kinds: str) -> Callable[[F], F]:
    """Decorator below ``hookimpl``: ``kuma_admit`` is asked about writes of these kinds alone.

    Other writes do not wait for the plugin, also while it is in quarantine.
    """

    def note(function: F) -> F:
        setattr(function, KINDS, frozenset(kinds))
        return function

    return note


# Phase 1: no arguments. A plugin opens nothing and imports nothing heavy: `kuma-cp plugins` calls these hooks, too.


@hookspec
def kuma_register_config() -> Iterable[Setting]:
    """Return the configuration keys that the plugin reads."""
    raise NotImplementedError  # a specification has no body


@hookspec
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Return the kinds of resources that the plugin brings; REST, kumactl and validation follow from them."""
    raise NotImplementedError


@hookspec
def kuma_register_secrets() -> Iterable[OwnSecret]:
    """Return what the kernel has to know of secrets that belong to the control plane itself, and to no mesh."""
    raise NotImplementedError


@hookspec
def kuma_register_stores() -> Iterable[StoreFactory]:
    """Return the stores that ``store.type`` may name."""
    raise NotImplementedError


@hookspec
def kuma_register_ca_providers() -> Iterable[CaProviderFactory]:
    """Return the certificate authorities that a mesh may select by ``mtls.ca``."""
    raise NotImplementedError


@hookspec
def kuma_register_generators() -> Iterable[Generator]:
    """Return generators of Envoy resources that every proxy gets and no policy owns."""
    raise NotImplementedError


@hookspec
def kuma_register_policies() -> Iterable[Policy]:
    """Return how the kernel matches resources of the plugin's kinds of policies, and what a match does to a proxy."""
    raise NotImplementedError


@hookspec
def kuma_register_commands() -> Iterable[Command]:
    """Return the commands that the plugin adds to ``kumactl`` and ``kuma-cp``; both ask without starting anything."""
    raise NotImplementedError


@hookspec
def kuma_register_formats() -> Iterable[OutputFormat]:
    """Return the output formats that the plugin adds to ``kumactl apply`` and ``kumactl get``."""
    raise NotImplementedError


# Phase 2: the configuration is parsed and the store is open; ``context`` is narrow and typed. A plugin implements these
# hooks in its module, or as methods of the object that its ``kuma_open`` returns.


@hookspec
def kuma_open(context: Context) -> object:
    """Return an object whose methods are hooks of phase 2 and share what is open; ``offer`` is for other plugins."""
    raise NotImplementedError


@hookspec
def kuma_prepare(context: Context) -> None:
    """Make what has to be in the store before the first server listens; the kernel holds all ports by then."""
    raise NotImplementedError


@hookspec
def kuma_register_routes(context: Context) -> Iterable[Route]:
    """Return falcon resources that the REST API is to serve."""
    raise NotImplementedError


@hookspec
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """Return falcon resources that the admin server is to serve, which is closed to other machines."""
    raise NotImplementedError


@hookspec
def kuma_register_authenticators(context: Context) -> Iterable[Authenticator]:
    """Return ways for proxies to prove who they are, as far as the configuration asks for them: the kernel uses one."""
    raise NotImplementedError


@hookspec
def kuma_register_access(context: Context) -> Iterable[AccessPolicy]:
    """Return how to decide what users may do who are neither admins nor readers: the kernel uses one."""
    raise NotImplementedError


@hookspec
def kuma_register_change_listeners(context: Context) -> Iterable[ChangeListener]:
    """Return who is to hear of changes in the store."""
    raise NotImplementedError


@hookspec
def kuma_register_components(context: Context) -> Iterable[Component]:
    """Return long-running parts; each runs in a thread of its own until the kernel stops it."""
    raise NotImplementedError


@hookspec
def kuma_register_metrics(context: Context) -> Iterable[Metric]:
    """Return what the plugin counts, for ``/metrics`` of the control plane."""
    raise NotImplementedError


@hookspec
def kuma_register_servers(context: Context) -> Iterable[Server]:
    """Return servers with a port of their own; the kernel takes the port, starts them and stops them in order."""
    raise NotImplementedError


@hookspec
def kuma_register_bootstrap(context: Context) -> Iterable[BootstrapFragment]:
    """Return what every Envoy's bootstrap has beside the kernel's part; each by its own name."""
    raise NotImplementedError


# Questions: asked again and again, from several threads; an answer must come fast and changes nothing.


@hookspec
def kuma_admit(
    resource: Resource | None,
    previous: Resource | None,
    resources: Resources,
    authorities: Authorities,
) -> Iterable[Violation]:
    """Return what speaks against a write: errors refuse it, warnings go to its writer."""
    raise NotImplementedError
