"""The parts that keep the certificate of admission: its Secret and its files, and what webhooks trust."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from kuma_core.sdk import Stop, StoreUnavailable
from kuma_runtime_k8s.certificates import bundles, pairs
from kuma_runtime_k8s.contract import KubeApi, code_of
from kuma_runtime_k8s.controllers.work import ended

_log = structlog.get_logger("serving-certificate")

SECRET = "kuma-admission-server-tls-cert"

RETRY_SECONDS = 5.0
LONGEST_WAIT = 24 * 3600.0
"""Of a wait for a renewal, so that a clock that was wrong does no lasting harm."""


class Followed:
    """The last state of one object, and a bell for whoever waits for another one."""

    def __init__(self, bell: threading.Event) -> None:
        self._bell = bell
        self.item: Mapping[str, Any] | None = None
        self.is_settled = False

    def replaced(self, items: Mapping[str, Any]) -> None:
        """All that is there now: the object, or nothing."""
        self.item = next(iter(items.values()), None)
        self._bell.set()

    def put(self, item: Any) -> None:
        """It came or changed."""
        self.item = item
        self._bell.set()

    def deleted(self, item: Any) -> None:
        """It is gone."""
        self.item = None
        self._bell.set()

    def settled(self) -> None:
        """Whether it is there is known."""
        self.is_settled = True
        self._bell.set()

    def troubled(self, problem: StoreUnavailable) -> None:
        """What was known goes on to count."""


class Following:
    """Follows single objects in threads of its own, and calls ``step`` when one changes, or in so many seconds."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._bell = threading.Event()

    def _work(
        self, objects: Mapping[str, tuple[str, Followed]], step: Callable[[], float], stop: Stop
    ) -> None:
        """``objects`` are collections with the receiver of one object each, by its name."""
        inner = Stop()
        threads = [
            threading.Thread(
                target=self._api.follow,
                args=(path, {"fieldSelector": f"metadata.name={name}"}, receiver, inner),
                name=f"follow-{name}",
                daemon=True,
            )
            for name, (path, receiver) in objects.items()
        ]
        for thread in threads:
            thread.start()
        try:
            with stop.calling(self._bell.set):
                while not stop.is_set():
                    self._bell.clear()
                    self._bell.wait(min(self._try(step), LONGEST_WAIT))
        finally:
            inner.set()
            ended(threads)

    def _try(self, step: Callable[[], float]) -> float:
        try:
            return step()
        except StoreUnavailable as error:
            if code_of(error) not in (404, 409, 422):  # somebody else was faster: the next event tells
                _log.warning("the certificate of admission has to wait", problem=str(error))
            return RETRY_SECONDS


class KeptPair:
    """A pair in a Secret of ours, which is made if there is none, and renewed in time."""

    def __init__(self, api: KubeApi, namespace: str, name: str, followed: Followed) -> None:
        self._api, self._name, self._followed = api, name, followed
        self.collection = f"/api/v1/namespaces/{namespace}/secrets"

    def step(self, hosts: Sequence[str]) -> tuple[Mapping[str, str], float]:
        """The data of the Secret for these names, and in how many seconds to look again.

        The data are empty as long as nobody knows whether there is one.
        """
        if not self._followed.is_settled:
            return {}, LONGEST_WAIT
        item, now = self._followed.item, datetime.now(UTC)
        if item is None:
            made = pairs.new_pair(hosts, now)
            secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": self._name}}
            secret |= {"type": "kubernetes.io/tls", "data": made}
            item = self._followed.item = self._api.ask("POST", self.collection, body=secret)
            _log.info("a certificate for admission is made", secret=self._name, hosts=list(hosts))
        data = item.get("data") or {}
        if not pairs.is_ours(data):
            return data, LONGEST_WAIT
        due = pairs.renewal(data, hosts, now)
        if due > now:
            return data, (due - now).total_seconds()
        changed = {**item, "data": {**data, **pairs.new_pair(hosts, now, data)}}
        renewed = self._api.ask("PUT", f"{self.collection}/{self._name}", body=changed)
        self._followed.item = renewed
        _log.info("the certificate of admission is renewed", secret=self._name)
        return renewed["data"], LONGEST_WAIT


class ServingCertificate(Following):
    """Makes the Secret if there is none, renews it, and has its pair in the folder that the server reads."""

    name = "serving-certificate"
    leader_only = False

    def __init__(self, api: KubeApi, namespace: str, service: str, folder: str) -> None:
        super().__init__(api)
        self._hosts = pairs.hosts_of(service, namespace)
        self._folder = Path(folder)
        self._secret = Followed(self._bell)
        self._kept = KeptPair(api, namespace, SECRET, self._secret)
        self._written: Mapping[str, bytes] | None = None

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        self._work({SECRET: (self._kept.collection, self._secret)}, self._step, stop)

    def _step(self) -> float:
        if self._secret.item:
            self._write(
                self._secret.item.get("data") or {}
            )  # served meanwhile, whatever becomes of a renewal
        data, wait = self._kept.step(self._hosts)
        self._write(data)
        return wait

    def _write(self, data: Mapping[str, str]) -> None:
        found = pairs.files(data)
        if found is None or found == self._written:
            return
        self._written = found
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name, content in found.items():
                _replace(self._folder / name, content)
        except OSError as error:
            _log.warning(
                "the certificate of admission cannot be written",
                folder=str(self._folder),
                problem=error.strerror,
            )


def _replace(path: Path, content: bytes) -> None:
    """Put a file in its place in one step; nobody else reads it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    os.replace(fresh, path)


class CaBundles(Following):
    """Has the webhooks of a control plane trust the certificate in the Secret. The leader's."""

    name = "webhook-ca-bundles"
    leader_only = True

    def __init__(self, api: KubeApi, namespace: str) -> None:
        super().__init__(api)
        self._secrets = f"/api/v1/namespaces/{namespace}/secrets"

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        secret = Followed(self._bell)
        found = {name: Followed(self._bell) for name in bundles.CONFIGURATIONS}
        objects = {name: (bundles.CONFIGURATIONS[name], receiver) for name, receiver in found.items()}
        self._work({SECRET: (self._secrets, secret), **objects}, lambda: self._step(secret, found), stop)

    def _step(self, secret: Followed, found: Mapping[str, Followed]) -> float:
        bundle = pairs.trusted_by_webhooks((secret.item or {}).get("data") or {})
        for name, followed in found.items():
            if bundle and followed.item and (patch := bundles.patch(followed.item, bundle)):
                path = f"{bundles.CONFIGURATIONS[name]}/{name}"
                followed.item = self._api.ask("PATCH", path, body=patch, type=bundles.JSON_PATCH)
                _log.info("a webhook trusts another certificate", configuration=name)
        return LONGEST_WAIT
