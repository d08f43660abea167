"""Stand-ins for Envoys that speak SDS alone, short times for rotations, and several control planes on one store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from kuma_ca_builtin.authority import BuiltinCa
from kuma_core.builtin.cluster import components as instances
from kuma_core.builtin.rotation import driver as rotation_driver
from kuma_core.builtin.rotation import rotations
from kuma_core.runtime import leadership
from kuma_core.testing.platform import JsonAnswer, RunningPlatform

from ..security.support import SDS, RawStream, stream

NAMES = ("identity_cert", "mesh_ca")


def shorten(monkeypatch: pytest.MonkeyPatch, shortest: float = 0.3) -> None:
    """Times of the same proportions, within seconds; ``shortest`` is how long a stage lasts at least."""
    for module, name, seconds in (
        (leadership, "RENEW_SECONDS", 0.1),
        (instances, "BEAT_SECONDS", 0.1),
        (instances, "DEAD_SECONDS", 1.0),
        (instances, "LOOK_SECONDS", 0.1),
        (rotations, "LOOK_SECONDS", 0.05),
        (rotations, "RETRY_SECONDS", 0.2),
        (rotation_driver, "STEP_SECONDS", 0.05),
        (rotation_driver, "GRACE_SECONDS", 0.1),
        (rotation_driver, "SHORTEST_SECONDS", shortest),
    ):
        monkeypatch.setattr(module, name, seconds)


class SecretClient:
    """One stream that acknowledges each response, but for those while ``stubborn``; ``secrets`` are all of them."""

    def __init__(self, opened: RawStream, name: str, node: str) -> None:
        self._stream, self._name, self._node = opened, name, node
        self._kept: list[Any] = []
        self.stubborn = False
        self.secrets: list[Any] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Ask, and answer from then on."""
        self._stream.ask(self._name, node=self._node)
        self._thread.start()

    def relent(self) -> None:
        """Acknowledge what was kept back."""
        self.stubborn = False
        for response in self._kept[-1:]:
            self._acknowledge(response)

    def join(self) -> None:
        """Wait for the end of the stream."""
        self._thread.join(timeout=10)

    def _acknowledge(self, response: Any) -> None:
        self._stream.ask(self._name, node=self._node, nonce=response.nonce, version=response.version_info)

    def _run(self) -> None:
        try:
            while True:
                response, secret = self._stream.secret()
                self.secrets.append(secret)
                if self.stubborn:
                    self._kept.append(response)
                else:
                    self._acknowledge(response)
        except (grpc.RpcError, StopIteration):
            return


class SecretProxy:
    """The two streams of a proxy."""

    def __init__(self, identity: SecretClient, bundle: SecretClient) -> None:
        self.identity, self.bundle = identity, bundle

    def chain(self) -> str:
        """The certificate that it has now."""
        return str(self.identity.secrets[-1].tls_certificate.certificate_chain.inline_bytes.decode())

    def trusted(self) -> list[str]:
        """The roots that it trusts now, in PEM."""
        end = "-----END CERTIFICATE-----\n"
        text = self.bundle.secrets[-1].validation_context.trusted_ca.inline_bytes.decode()
        return [part + end for part in text.split(end)[:-1]]


@contextmanager
def proxy(cp: RunningPlatform, name: str, mesh: str = "default") -> Iterator[SecretProxy]:
    """A proxy that is connected to a control plane until the end of the block."""
    token, node = cp.token(name, mesh), f"{mesh}.{name}"
    with stream(cp, SDS, token) as first, stream(cp, SDS, token) as second:
        clients = [
            SecretClient(opened, name, node) for opened, name in zip((first, second), NAMES, strict=True)
        ]
        for client in clients:
            client.start()
        try:
            yield SecretProxy(*clients)
        finally:
            first.close()
            second.close()
            for client in clients:
                client.join()


VERBS = ("validate", "ensure", "trust_anchors", "issue", "signer", "rotation", "rotate", "advance")


def copied(provider: Any, **others: Any) -> Any:
    """A provider as another one, but for some verbs."""
    return SimpleNamespace(**{verb: getattr(provider, verb) for verb in VERBS} | others)


def builtin_ca(cp: RunningPlatform) -> BuiltinCa:
    """The provider of a control plane."""
    provider = cp.platform.core.authorities["builtin"].provider
    assert isinstance(provider, BuiltinCa)
    return provider


def rotation(cp: RunningPlatform, method: str = "GET", mesh: str = "default") -> JsonAnswer:
    """Ask the admin server for the roots of a mesh, or have them rotated."""
    return cp.request(method, f"/meshes/{mesh}/ca/builtin/rotations", port=cp.admin)


def stage(cp: RunningPlatform, mesh: str = "default") -> str:
    """The stage of the rotation that goes on; empty if there is none."""
    answer = rotation(cp, mesh=mesh)
    assert answer.status == 200, answer
    return str(answer.body.get("rotation", {}).get("stage", ""))


def stays(cp: RunningPlatform, expected: str, seconds: float = 1.0) -> bool:
    """Whether the stage is still the same after a time in which it would have been over several times."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if stage(cp) != expected:
            return False
        time.sleep(0.05)
    return True
