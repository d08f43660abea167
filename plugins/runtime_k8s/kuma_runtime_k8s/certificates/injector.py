"""The certificate of the injector: kept by the control plane, so that the injector needs no right to any Secret.

It is there for whoever installed the injector's webhook, which says by which name the API server calls it. The injector
finds the pair in its Pod as a volume, which the kubelet keeps up to date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from kuma_core.sdk import Stop
from kuma_runtime_k8s.certificates import bundles, pairs
from kuma_runtime_k8s.certificates.components import LONGEST_WAIT, Followed, Following, KeptPair
from kuma_runtime_k8s.contract import KubeApi

_log = structlog.get_logger("serving-certificate")

SECRET = "kuma-injector-tls-cert"


class InjectorCertificate(Following):
    """Makes and renews the Secret of the injector while its webhook is there, and has the webhook trust it."""

    name = "injector-certificate"
    leader_only = True

    def __init__(self, api: KubeApi, namespace: str) -> None:
        super().__init__(api)
        self._namespace = namespace

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        secret, webhook = Followed(self._bell), Followed(self._bell)
        kept = KeptPair(self._api, self._namespace, SECRET, secret)
        objects = {SECRET: (kept.collection, secret), bundles.INJECTING: (bundles.MUTATORS, webhook)}
        self._work(objects, lambda: self._step(kept, webhook), stop)

    def _step(self, kept: KeptPair, webhook: Followed) -> float:
        hosts = _hosts(webhook.item or {}, self._namespace)
        if not hosts:
            return LONGEST_WAIT
        data, wait = kept.step(hosts)
        bundle = pairs.trusted_by_webhooks(data)
        if bundle and webhook.item and (patch := bundles.patch(webhook.item, bundle)):
            path = f"{bundles.MUTATORS}/{bundles.INJECTING}"
            webhook.item = self._api.ask("PATCH", path, body=patch, type=bundles.JSON_PATCH)
            _log.info("a webhook trusts another certificate", configuration=bundles.INJECTING)
        return wait


def _hosts(configuration: Mapping[str, Any], namespace: str) -> list[str]:
    """The names of the Service that a configuration asks, if it is one of the namespace."""
    for webhook in configuration.get("webhooks") or ():
        service = (webhook.get("clientConfig") or {}).get("service") or {}
        if service.get("namespace") == namespace and service.get("name"):
            return pairs.hosts_of(str(service["name"]), namespace)
    return []
