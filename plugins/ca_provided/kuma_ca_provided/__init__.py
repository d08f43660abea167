"""The provided certificate authority. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import Command, hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import CaProvider, CaProviderFactory, Config, Context, Route, Secrets


@hookimpl
def kuma_register_ca_providers() -> Iterable[CaProviderFactory]:
    """Bring the authority ``provided``."""
    from kuma_core.sdk import CaProviderFactory  # needs pydantic, which is not beside kumactl

    return [CaProviderFactory("provided", _open)]


@hookimpl
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """Where the certificate of a mesh is uploaded, listed and deleted."""
    from kuma_ca_provided.admin import routes

    return routes(context)


@hookimpl
def kuma_register_commands() -> Iterable[Command]:
    """Bring ``kumactl manage ca provided``."""
    text = "Manage the CA whose certificate you provide."
    return [Command("kumactl", ("manage", "ca", "provided"), text, "kuma_ca_provided.commands:provided")]


def _open(config: Config, secrets: Secrets) -> CaProvider:
    """Imported when it is called: phase 1 loads no cryptography."""
    from kuma_ca_provided.authority import ProvidedCa

    return ProvidedCa(secrets)
