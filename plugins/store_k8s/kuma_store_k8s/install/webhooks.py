"""Where the API server asks: the configurations of webhooks.

Without a certificate by flag, the program that answers fills in ``caBundle``, and keeps it right.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from kuma_store_k8s.install.choices import Choices, Pair
from kuma_store_k8s.names import GROUP, STATUS_KINDS, VERSION

MUTATING = "kuma-admission-mutating-webhook-configuration"
VALIDATING = "kuma-validating-webhook-configuration"
INJECTING = "kuma-injector-webhook-configuration"

DEFAULTING_PATH = "/default-kuma-io-v1alpha1-mesh"
VALIDATING_PATH = "/validate-kuma-io-v1alpha1"

TIMEOUT = 10
"""Seconds that the API server waits for an answer."""

Object = dict[str, Any]


def objects(choices: Choices) -> Iterator[Object]:
    """All configurations; they come last, when what they ask is there."""
    yield _configuration("Mutating", MUTATING, _defaulting(choices))
    if choices.injector_image:
        yield _configuration("Mutating", INJECTING, _injecting(choices))
    yield _configuration("Validating", VALIDATING, _validating(choices))


def _configuration(kind: str, name: str, webhook: Object) -> Object:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }


def _defaulting(choices: Choices) -> Object:
    client = _client(choices, choices.service, DEFAULTING_PATH, choices.admission)
    return _webhook("mesh.defaulter.kuma-admission.kuma.io", client, [_kuma_rule(["meshes"])], "Fail")


def _validating(choices: Choices) -> Object:
    plurals = sorted(kind.plural for kind in choices.kinds if kind.name not in STATUS_KINDS)
    client = _client(choices, choices.service, VALIDATING_PATH, choices.admission)
    return _webhook("validator.kuma-admission.kuma.io", client, [_kuma_rule(plurals)], "Fail")


def _injecting(choices: Choices) -> Object:
    """The system namespace is left out, so that a broken injector cannot stand in its own way."""
    client = _client(choices, choices.injector_service, "/inject-sidecar", choices.injector)
    rule = _rule("", "v1", ["CREATE"], ["pods"])
    webhook = _webhook("kuma-injector.kuma.io", client, [rule], choices.injector_failure_policy)
    elsewhere = {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": [choices.namespace],
    }
    selector = {"matchLabels": {"kuma.io/sidecar-injection": "enabled"}, "matchExpressions": [elsewhere]}
    return {**webhook, "namespaceSelector": selector, "reinvocationPolicy": "IfNeeded"}


def _webhook(name: str, client: Object, rules: list[Object], failure_policy: str) -> Object:
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": client,
        "failurePolicy": failure_policy,
        "matchPolicy": "Equivalent",
        "rules": rules,
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT,
    }


def _client(choices: Choices, service: str, path: str, given: Pair) -> Object:
    client: Object = {"service": {"namespace": choices.namespace, "name": service, "path": path, "port": 443}}
    if given:
        client["caBundle"] = b64encode(given.certificate.encode()).decode()
    return client


def _kuma_rule(plurals: list[str]) -> Object:
    return _rule(GROUP, VERSION, ["CREATE", "UPDATE"], plurals)


def _rule(group: str, version: str, operations: list[str], resources: list[str]) -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": operations,
        "resources": resources,
        "scope": "*",
    }
