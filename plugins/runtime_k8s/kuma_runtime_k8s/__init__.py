"""What a control plane does in a Kubernetes cluster. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import Setting, hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import Context


@hookimpl
def kuma_register_config() -> Iterable[Setting]:
    """Add the keys of ``runtime.kubernetes`` that Kuma 0.3.1 did not have."""
    from kuma_runtime_k8s.settings import SETTINGS

    return SETTINGS


@hookimpl
def kuma_open(context: Context) -> object:
    """Open what there is in a cluster; nothing if there is none."""
    from kuma_runtime_k8s.feature import ClusterFeature, NothingOpen

    is_cluster = context.config.text("environment") == "kubernetes"
    return ClusterFeature(context) if is_cluster else NothingOpen()
