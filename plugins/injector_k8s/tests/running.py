"""The program in a process of its own, and what a test asks of it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

PROGRAM = str(Path(sys.executable).parent / "kuma-injector")


@dataclass
class Injector:
    """A running ``kuma-injector``."""

    process: subprocess.Popen[bytes]
    port: int
    certificates: Path
    log: Path
    began: float

    def seconds(self) -> float:
        """How long it runs."""
        return time.monotonic() - self.began

    def connection(self) -> http.client.HTTPSConnection:
        """A connection that trusts the certificate which is in the folder now."""
        tls = ssl.create_default_context(cafile=str(self.certificates / "tls.crt"))
        return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=tls)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request over a connection of its own."""
        connection = self.connection()
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def review(self, pod: Any, **request: Any) -> dict[str, Any]:
        """The response to a question about a Pod, its patch decoded."""
        code, body = self.ask("POST", "/inject-sidecar?timeout=10s", asked(pod, **request))
        assert code == 200, body
        found: dict[str, Any] = json.loads(body)["response"]
        if "patch" in found:
            found["patch"] = json.loads(base64.b64decode(found["patch"]))
        return found

    def is_ready(self) -> bool:
        """Whether it says so; ``False`` also while it does not listen."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.ask("GET", "/ready")[0] == 200
        except OSError:
            return False

    def resident_mib(self) -> float:
        """Its memory (RSS) in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


def asked(pod: Any, **request: Any) -> bytes:
    """An AdmissionReview about a Pod that is created."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    made = {"uid": "u-1", "kind": kind, "operation": "CREATE", "namespace": "demo", "object": pod, **request}
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": made}
    ).encode()


@contextmanager
def started(folder: Path, kubeconfig: Path, **environ: str) -> Iterator[Injector]:
    """One that is ready; ``folder`` holds its certificates."""
    with launched(folder, kubeconfig, **environ) as injector:
        eventually(injector.is_ready, 60, "the readiness of the injector")
        yield injector


@contextmanager
def launched(folder: Path, kubeconfig: Path, **environ: str) -> Iterator[Injector]:
    """One that was started; it is asked to end at the end of the block, and has to end well."""
    port = free_port()
    own = {key: value for key, value in os.environ.items() if not key.startswith(("KUMA_", "KUBERNETES_"))}
    own |= {
        "KUBECONFIG": str(kubeconfig),
        "KUMA_INJECTOR_WEBHOOK_SERVER_ADDRESS": "127.0.0.1",
        "KUMA_INJECTOR_WEBHOOK_SERVER_PORT": str(port),
        "KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR": str(folder),
        **environ,
    }
    log, began = folder / "injector.log", time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAM, "run", "--log-level=debug"], env=own, stderr=output)
    try:
        yield Injector(process, port, folder, log, began)
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
