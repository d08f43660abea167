"""An example of a plugin: it brings the kind Greeting. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import Column, ResourceType, hookimpl


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Bring the kind Greeting."""
    from kuma_hello.spec import GreetingSpec

    return [
        ResourceType(
            name="Greeting",
            path="greetings",
            singular="greeting",
            spec=GreetingSpec,
            affects_proxies=False,
            columns=(Column("TEXT", "text"),),
        )
    ]
