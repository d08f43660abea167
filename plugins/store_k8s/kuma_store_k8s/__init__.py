"""A store in the Kubernetes API, and mesh resources as its objects. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import Command, OutputFormat, StoreFactory, hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import Context
    from kuma_store_k8s.offer import Opened


@hookimpl
def kuma_register_commands() -> Iterable[Command]:
    """Bring ``kumactl install crds`` and ``kumactl install control-plane``."""
    kinds = "Print the custom resource definitions of all kinds."
    yield Command("kumactl", ("install", "crds"), kinds, "kuma_store_k8s.commands:crds")
    everything = "Print the objects of a control plane on Kubernetes."
    place = "kuma_store_k8s.install.commands:control_plane"
    yield Command("kumactl", ("install", "control-plane"), everything, place)


@hookimpl
def kuma_register_formats() -> Iterable[OutputFormat]:
    """Bring ``-o kubernetes`` of ``kumactl apply`` and ``kumactl get``."""
    text = "manifests for kubectl"
    return [OutputFormat("kubernetes", text, "kuma_store_k8s.manifests:kubernetes")]


@hookimpl
def kuma_register_stores() -> Iterable[StoreFactory]:
    """Bring the store ``kubernetes``."""
    from kuma_store_k8s.factory import FACTORY

    return [FACTORY]


@hookimpl
def kuma_open(context: Context) -> Opened:
    """Offer the way to the API server to other plugins."""
    from kuma_store_k8s.offer import Opened

    return Opened()
