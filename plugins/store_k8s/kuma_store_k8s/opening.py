"""The start of the store: find the API server, wait for it a little, and hand the store over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from kuma_core.sdk import Config, ConfigError, StoreUnavailable
from kuma_store_k8s.answers import ApiRefusal
from kuma_store_k8s.client import ApiClient, Json, connect, part
from kuma_store_k8s.store import KubernetesStore

_log = structlog.get_logger("store-kubernetes")

PATIENCE_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
OLDEST_MINOR = 30


@contextmanager
def open_store(config: Config) -> Iterator[KubernetesStore]:
    """A store over the cluster that we run in, or that the kubeconfig chooses.

    An API server that does not answer is asked again for 30 seconds. Raises ``StoreUnavailable`` after that, and
    ``ConfigError`` at once for what no waiting mends.
    """
    client = connect()
    store = KubernetesStore(client, config.text("store.kubernetes.systemNamespace"))
    try:
        _require_version(_first_answer(client), client.where)
        _require_namespace(client, config.text("store.kubernetes.systemNamespace"))
        yield store
    finally:
        store.close()


def _first_answer(client: ApiClient) -> Json:
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_PAUSE
    while True:
        try:
            return client.get("/version")
        except StoreUnavailable as error:
            if isinstance(error, ApiRefusal) and not error.is_passing:
                raise ConfigError(str(error)) from None
            if time.monotonic() + pause > deadline:
                raise
            _log.warning("the Kubernetes API cannot be reached yet", problem=str(error), seconds=pause)
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _require_version(told: Json, where: str) -> None:
    minor = "".join(filter(str.isdigit, str(told.get("minor", ""))))
    if told.get("major") == "1" and minor and int(minor) < OLDEST_MINOR:
        raise ConfigError(
            f"{where} has version 1.{minor} of Kubernetes; version 1.{OLDEST_MINOR} or newer is needed"
        )


def _require_namespace(client: ApiClient, name: str) -> None:
    """Secrets and leases lie in it. Without the right to look we go on."""
    try:
        client.get(f"/api/v1/namespaces/{part(name)}")
    except ApiRefusal as error:
        if error.code == 404:
            raise ConfigError(
                f'{client.where} has no namespace "{name}" (store.kubernetes.systemNamespace); '
                "`kumactl install control-plane | kubectl apply -f -` makes it"
            ) from None
