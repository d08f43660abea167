"""A real Kubernetes on loopback: etcd, the API server and the controller-manager, without any node.

Every process is ended by its id. Nothing is kept: the data lie in a folder of the run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .assets import Assets
from .certificates import write_certificates

ADMIN, NOBODY = "admin-for-tests", "nobody-for-tests"
"""Tokens: of one that may do everything, and of one that may do nothing but what a test allows to the user "nobody"."""

CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
)
START_SECONDS = 120.0


@dataclass(frozen=True)
class Place:
    """Where the programs of a cluster run, and what they do there beside what all do."""

    addresses: tuple[str, ...] = ()
    """Where the API server is reached beside loopback."""
    apiserver: tuple[str, ...] = ()
    """More arguments of the API server; the last one of a name counts."""
    controllers: tuple[str, ...] = CONTROLLERS


LOOPBACK = Place()


class Refused(LookupError):
    """The API server answered with another code than 2xx; ``eventually`` asks again."""

    def __init__(self, code: int, body: str) -> None:
        super().__init__(f"{code}: {body}")
        self.code = code


class Process:
    """A program of the cluster, which can be killed, stopped for a while, and started again."""

    def __init__(self, folder: Path, name: str, command: list[str]) -> None:
        self.log = folder / f"{name}.log"
        self._command = command
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it writes to its log."""
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it at once. An API server that is asked kindly takes a minute while somebody watches."""
        if self._running:
            with suppress(ProcessLookupError):
                self._send(signal.SIGCONT)
                self._send(signal.SIGKILL)
            self._running.wait()
            self._running = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It does nothing until the end of the block, and keeps its connections."""
        self._send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._running, "it does not run"
        self._running.send_signal(number)

    def require_running(self) -> None:
        """Fail with the end of its log if it has ended."""
        assert self._running, "it was never started"
        code = self._running.poll()
        assert code is None, f"{self._command[0]} ended with {code}: {self.log.read_text()[-2000:]}"


class Cluster:
    """The cluster, and what tests ask of it. ``url`` and ``kubeconfig`` are where it is."""

    def __init__(self, assets: Assets, folder: Path, place: Place = LOOPBACK) -> None:
        self.assets, self.folder, self._place = assets, folder, place
        self.port, self.etcd_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificates = write_certificates(folder, place.addresses)
        tokens = f"{ADMIN},admin,1,system:masters\n{NOBODY},nobody,2\n"
        (folder / "tokens.csv").write_text(tokens)
        self.kubeconfig = self.write_kubeconfig("kubeconfig", ADMIN)
        self._tls = ssl.create_default_context(cafile=str(self.certificates.authority))
        self.etcd = self.process("etcd", self._etcd())
        self.apiserver = self.process("kube-apiserver", self._apiserver())
        self.manager = self.process("kube-controller-manager", self._manager())

    def process(self, name: str, command: list[str]) -> Process:
        """A program of the cluster, which somebody starts later."""
        return Process(self.folder, name, command)

    def _etcd(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, free_port()))
        return [
            str(self.assets.etcd),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def _apiserver(self) -> list[str]:
        files = self.certificates
        return [
            str(self.assets.apiserver),
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={files.certificate}",
            f"--tls-private-key-file={files.key}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={files.accounts}",
            f"--service-account-signing-key-file={files.accounts}",
            "--endpoint-reconciler-type=none",  # the other ones refuse loopback
            "--profiling=false",
            "--v=0",
            *self._place.apiserver,
        ]

    def _manager(self) -> list[str]:
        return [
            str(self.assets.controller_manager),
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(self._place.controllers)}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            "--leader-elect=false",
            f"--service-account-private-key-file={self.certificates.accounts}",
            f"--root-ca-file={self.certificates.authority}",
            "--concurrent-gc-syncs=2",
            "--v=0",
        ]

    def write_kubeconfig(self, name: str, token: str) -> Path:
        """A kubeconfig for the user of a token."""
        authority = b64encode(self.certificates.authority.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [
                {"name": "test", "cluster": {"server": self.url, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "test", "user": {"token": token}}],
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    def start(self) -> None:
        """Start all of it, and wait until it answers and makes ServiceAccounts."""
        self.etcd.start()
        self.start_apiserver()
        self.manager.start()
        eventually(lambda: self.get("/api/v1/namespaces/default/serviceaccounts/default"), START_SECONDS)

    def start_apiserver(self) -> None:
        """Start the API server, and wait until it is ready."""
        self.apiserver.start()
        eventually(self._is_ready, START_SECONDS, "the readiness of the API server")

    def end(self) -> None:
        """End every process."""
        for process in (self.manager, self.apiserver, self.etcd):
            process.kill()

    def _is_ready(self) -> bool:
        self.apiserver.require_running()
        return self.text("/readyz") == "ok"

    @contextmanager
    def lost(self) -> Iterator[None]:
        """The API server is killed, and started again at the end of the block."""
        self.apiserver.kill()
        try:
            yield
        finally:
            self.start_apiserver()

    def lose_everything(self) -> None:
        """Empty the storage, as whoever restores it from nothing does; versions begin anew."""
        self.end()
        shutil.rmtree(self.folder / "etcd")
        self.start()

    # -- what tests ask

    def text(
        self, path: str, method: str = "GET", body: object = None, type: str = "application/json"
    ) -> str:
        """The answer to one request, as the one that may do everything. Raises ``Refused`` or ``OSError``."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": type, "Accept": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode()) from None

    def get(self, path: str) -> dict[str, Any]:
        """An object, or a list of them."""
        found: dict[str, Any] = json.loads(self.text(path))
        return found

    def create(self, path: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object in a collection."""
        made: dict[str, Any] = json.loads(self.text(path, "POST", item))
        return made

    def patch(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into an object."""
        made: dict[str, Any] = json.loads(self.text(path, "PATCH", change, "application/merge-patch+json"))
        return made

    def delete(self, path: str) -> None:
        """Delete an object, or with a path of a collection all that are in it; none is right, too."""
        try:
            self.text(path, "DELETE")
        except Refused as error:
            if error.code != 404:
                raise

    def kubectl(self, *words: str, input: str = "") -> str:
        """What kubectl prints. Raises ``CalledProcessError``."""
        command = [str(self.assets.kubectl), f"--kubeconfig={self.kubeconfig}", *words]
        environ = {**os.environ, "HOME": str(self.folder)}
        return subprocess.run(
            command, input=input, env=environ, capture_output=True, text=True, timeout=600, check=True
        ).stdout

    def install(self, definitions: list[dict[str, Any]]) -> None:
        """Create custom resource definitions that are not there yet, and wait until they are served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for item in definitions:
            with suppress(Refused):
                self.create(path, item)
        for item in definitions:
            group, version = item["spec"]["group"], item["spec"]["versions"][0]["name"]
            served = f"/apis/{group}/{version}/{item['spec']['names']['plural']}?limit=1"
            eventually(lambda served=served: self.get(served), START_SECONDS)  # type: ignore[misc]
