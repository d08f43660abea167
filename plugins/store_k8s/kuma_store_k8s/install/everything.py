"""All objects of an installation, in an order in which ``kubectl apply -f -`` can make them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kuma_store_k8s.crds import crds
from kuma_store_k8s.install import rbac, webhooks, workloads
from kuma_store_k8s.install.choices import Choices

ORDER = (
    "Namespace",
    "Secret",
    "ConfigMap",
    "ServiceAccount",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "Deployment",
    "PodDisruptionBudget",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
)


def control_plane(choices: Choices) -> list[dict[str, Any]]:
    """The objects, by ``ORDER``."""
    return sorted(_all(choices), key=lambda item: ORDER.index(item["kind"]))


def _all(choices: Choices) -> Iterator[dict[str, Any]]:
    yield workloads.namespace(choices)
    yield from workloads.secrets(choices)
    yield from workloads.config_maps(choices)
    yield from workloads.accounts(choices)
    yield from crds(choices.kinds)
    yield from rbac.objects(choices)
    yield from workloads.services(choices)
    yield from workloads.deployments(choices)
    yield from workloads.budgets(choices)
    yield from webhooks.objects(choices)
