"""All secrets in a file of the operator's, encrypted with a passphrase, and back into a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """``/secrets/export`` and ``/secrets/import``."""
    from kuma_core.api.contract import Route
    from kuma_core.auth.contract import Right
    from kuma_core.builtin.archive.routes import ExportSecrets, ImportSecrets

    yield Route("/secrets/export", ExportSecrets(context.secrets), confidential=True, right=Right.ADMIN)
    yield Route("/secrets/import", ImportSecrets(context.secrets), confidential=True, right=Right.ADMIN)
