"""Which route applies: the one answer for generators, for ``explain`` and for maps of services."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from kuma_core.errors import PluginError
from kuma_core.policy.contract import Destination, Policy, Scope
from kuma_core.policy.matching import destination_tags

WHOLE = 100
"""The weight of the one destination that an outbound has when no route says otherwise."""


def route(
    policies: Iterable[Policy], service: str, resolve: Callable[[Policy], Hashable | None]
) -> tuple[Destination, ...]:
    """Where connections to a service go: what the first route that applies says, else the service itself.

    ``resolve`` gives what a policy says of this service; ``None`` if no resource of it applies. Raises ``PluginError``
    that names the plugin for anything else than a tuple of ``Destination``.
    """
    for policy in policies:
        if policy.scope is Scope.ROUTE and (resolved := resolve(policy)) is not None:
            return _checked(policy, resolved)
    return (Destination(destination_tags(service), WHOLE),)


def _checked(policy: Policy, resolved: Hashable) -> tuple[Destination, ...]:
    if isinstance(resolved, tuple) and all(isinstance(item, Destination) for item in resolved):
        return resolved
    raise PluginError(
        f'plugin "{policy.plugin}": the policy for "{policy.kind}" resolved to {resolved!r:.200}, '
        "and a route is a tuple of Destination",
        policy.plugin,
    )
