"""An example of a plugin: the kind Greeting, and a feature around it. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import NUMBER, Column, Command, ResourceType, Setting, hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import Context
    from kuma_hello.feature import HelloFeature


@hookimpl
def kuma_register_config() -> Iterable[Setting]:
    """Where the plugin's own server listens."""
    return [Setting("hello.port", "KUMA_HELLO_PORT", 5690, NUMBER, "Port of the hello server.", "Hello")]


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Bring the kind Greeting."""
    from kuma_hello.spec import GreetingSpec

    shown = (Column("TEXT", "text"),)
    return [
        ResourceType("Greeting", "greetings", GreetingSpec, "greeting", affects_proxies=False, columns=shown)
    ]


@hookimpl
def kuma_register_commands() -> Iterable[Command]:
    """Bring ``kumactl greet``."""
    return [Command("kumactl", ("greet",), "Say the greetings of a mesh.", "kuma_hello.commands:greet")]


@hookimpl
def kuma_open(context: Context) -> HelloFeature:
    """Open once: the parts of the feature share its count."""
    from kuma_hello.feature import HelloFeature

    return HelloFeature(context)
