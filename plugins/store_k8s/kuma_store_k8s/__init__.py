"""Mesh resources as Kubernetes objects. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import Command, OutputFormat, hookimpl


@hookimpl
def kuma_register_commands() -> Iterable[Command]:
    """Bring ``kumactl install crds``."""
    text = "Print the custom resource definitions of all kinds."
    return [Command("kumactl", ("install", "crds"), text, "kuma_store_k8s.commands:crds")]


@hookimpl
def kuma_register_formats() -> Iterable[OutputFormat]:
    """Bring ``-o kubernetes`` of ``kumactl apply`` and ``kumactl get``."""
    text = "manifests for kubectl"
    return [OutputFormat("kubernetes", text, "kuma_store_k8s.manifests:kubernetes")]
