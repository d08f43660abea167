"""The provided certificate authority. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import CaProviderFactory, hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import CaProvider, Config, Context, Route, Secrets


@hookimpl
def kuma_register_ca_providers() -> Iterable[CaProviderFactory]:
    """Bring the authority ``provided``."""
    return [CaProviderFactory("provided", _open)]


@hookimpl
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """Where the certificate of a mesh is uploaded, listed and deleted."""
    from kuma_ca_provided.admin import routes

    return routes(context)


def _open(config: Config, secrets: Secrets) -> CaProvider:
    """Imported when it is called: phase 1 loads no cryptography."""
    from kuma_ca_provided.authority import ProvidedCa

    return ProvidedCa(secrets)
