"""Mesh resources as Kubernetes objects. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import Command, hookimpl


@hookimpl
def kuma_register_commands() -> Iterable[Command]:
    """Bring ``kumactl install crds``."""
    text = "Print the custom resource definitions of all kinds."
    return [Command("kumactl", ("install", "crds"), text, "kuma_store_k8s.commands:crds")]
