"""The builtin certificate authority. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import Command, hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import CaProvider, CaProviderFactory, Config, Context, Route, Secrets


@hookimpl
def kuma_register_ca_providers() -> Iterable[CaProviderFactory]:
    """Bring the authority ``builtin``."""
    from kuma_core.sdk import CaProviderFactory  # needs pydantic, which is not beside kumactl

    return [CaProviderFactory("builtin", _open)]


@hookimpl
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """Where the root of a mesh is rotated."""
    from kuma_ca_builtin.admin import routes

    return routes(context)


@hookimpl
def kuma_register_commands() -> Iterable[Command]:
    """Bring ``kumactl manage ca builtin``."""
    text = "Manage the CA whose roots the control plane makes."
    return [Command("kumactl", ("manage", "ca", "builtin"), text, "kuma_ca_builtin.commands:builtin")]


def _open(config: Config, secrets: Secrets) -> CaProvider:
    """Imported when it is called: phase 1 loads no cryptography."""
    from kuma_ca_builtin.authority import BuiltinCa

    return BuiltinCa(secrets)
