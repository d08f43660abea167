"""What has to change in the configuration of webhooks so that the API server trusts our certificate. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kuma_runtime_k8s.objects import mapping

MUTATING = "kuma-admission-mutating-webhook-configuration"
VALIDATING = "kuma-validating-webhook-configuration"

INJECTING = "kuma-injector-webhook-configuration"

_API = "/apis/admissionregistration.k8s.io/v1"
MUTATORS = f"{_API}/mutatingwebhookconfigurations"
CONFIGURATIONS = {
    MUTATING: MUTATORS,
    VALIDATING: f"{_API}/validatingwebhookconfigurations",
}
"""The configurations that ask a control plane, and the collection of each."""

JSON_PATCH = "application/json-patch+json"


def patch(configuration: Mapping[str, Any], bundle: str) -> list[dict[str, Any]]:
    """The JSON Patch that has every webhook of a configuration trust a bundle; empty if all do.

    It applies to the configuration as it was read, and to no other.
    """
    changes = list(_changes(configuration, bundle))
    version = mapping(configuration.get("metadata"), "metadata").get("resourceVersion")
    return (
        [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *changes] if changes else []
    )


def _changes(configuration: Mapping[str, Any], bundle: str) -> Iterator[dict[str, Any]]:
    for place, webhook in enumerate(configuration.get("webhooks") or ()):
        client = webhook.get("clientConfig") or {}
        if client.get("service") and client.get("caBundle") != bundle:
            yield {"op": "add", "path": f"/webhooks/{place}/clientConfig/caBundle", "value": bundle}
