"""Pods and settings for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kuma_core.sdk import Config
from kuma_injector_k8s import settings
from kuma_injector_k8s.injection.patch import patch
from kuma_injector_k8s.injection.pods import mesh_of

from .patching import applied

TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"
MOUNT = {"name": "kube-api-access-x", "mountPath": TOKENS, "readOnly": True}


def config(environ: Mapping[str, str] | None = None, document: Mapping[str, Any] | None = None) -> Config:
    """Settings; the folder of certificates is given."""
    given = {"KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR": "/certificates", **(environ or {})}
    return settings.read(document or {}, "config.yaml", given)


WITHOUT_HOOKS = config({"KUMA_INJECTOR_LEAVING_HOOKS_ENABLED": "false"})
"""Those with which a Pod is the one of Kuma 0.3."""


def pod(annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A Pod as the API server asks about it: the token is mounted already."""
    app = {"name": "app", "image": "app", "volumeMounts": [MOUNT], "ports": [{"containerPort": 8080}]}
    metadata: dict[str, Any] = {"generateName": "web-", "namespace": "demo", "labels": {"app": "web"}}
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [app], **spec}}


def injected(
    item: dict[str, Any], mesh: Mapping[str, Any] | None = None, settings: Config | None = None, **more: Any
) -> dict[str, Any]:
    """The Pod after the patch for a mesh of this content; as that of Kuma 0.3, unless settings say otherwise."""
    operations = patch(item, mesh_of(item), mesh or {}, settings or WITHOUT_HOOKS, **more)
    changed: dict[str, Any] = applied(item, operations)
    return changed


def container(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The container of that name, wherever it is."""
    spec = item["spec"]
    (found,) = (one for one in [*spec["containers"], *spec.get("initContainers", ())] if one["name"] == name)
    return dict(found)


def environment(item: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the sidecar that have values."""
    return {one["name"]: one["value"] for one in container(item, "kuma-sidecar")["env"] if "value" in one}
