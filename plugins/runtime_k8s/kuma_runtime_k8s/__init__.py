"""What a control plane does in a Kubernetes cluster. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import Context, Server


@hookimpl
def kuma_register_servers(context: Context) -> Iterable[Server]:
    """Answer the API server's questions about resources that somebody writes, on Kubernetes only."""
    if not _is_on(context):
        return []
    from kuma_runtime_k8s.admission.server import server

    return [server(context)]


def _is_on(context: Context) -> bool:
    return context.config.text("environment") == "kubernetes"
