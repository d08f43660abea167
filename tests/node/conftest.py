"""The mesh of the page on Kubernetes, once for all tests on a node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kuma_core.testing.waiting import eventually

from .guide import CALL, ENCRYPT, INSPECT, INSTALL, NAMESPACE, OUTSIDE, SERVICES, Reader
from .node import Node

REFUSE = "--injector-failure-policy=Fail"
SECONDS = 300.0
"""For what takes a moment once everybody has heard of it."""


@dataclass(frozen=True)
class Told:
    """What the blocks of the page printed."""

    install: str
    inspect: str
    call: str
    call_encrypted: str
    outside: str


@dataclass(frozen=True)
class Mesh:
    """The node, the one who installed the mesh on it, and what was printed meanwhile."""

    node: Node
    reader: Reader
    told: Told

    def install(self, *options: str) -> None:
        """Install the control plane and the injector again, as the page does, with these options."""
        block = INSTALL.partition("kubectl -n")[0] if options else INSTALL
        self.reader.types(block.replace("control-plane ", " ".join(["control-plane", *options, ""]), 1))

    def answer(self) -> str:
        """What ``backend`` answers ``web``."""
        return eventually(lambda: self.reader.types(CALL), SECONDS, "an answer")

    def dataplanes(self) -> set[str]:
        """The names of all Dataplanes, as REST has them."""
        items = self.node.get("/apis/kuma.io/v1alpha1/dataplanes")["items"]
        return {f"{item['metadata']['name']}.{item['metadata']['namespace']}" for item in items}

    def online(self) -> set[str]:
        """The names of those that ``kumactl`` shows online."""
        told = self.reader.kumactl("inspect dataplanes")
        return set(re.findall(r"^default\s+(\S+)\s.*\sOnline\s", told, re.MULTILINE))


def _are_injected(node: Node) -> bool:
    """Whether Pods get sidecars: at once after the installation a busy node may not know yet who answers."""
    words = ("-n", "demo", "run", "trial", "--image=trial", "--dry-run=server")
    return "kuma-sidecar" in node.kubectl(*words, "-o", "jsonpath={.spec.containers[*].name}")


@pytest.fixture(scope="session")
def mesh(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """An encrypted mesh with ``web`` and ``backend`` in the namespace ``demo``, as the page makes it."""
    reader = Reader(node, tmp_path_factory.mktemp("reader"))
    try:
        install = reader.types(INSTALL)
        reader.types(NAMESPACE)
        eventually(lambda: _are_injected(node), SECONDS, "the injector, as the API server reaches it")
        reader.types(SERVICES)
        inspect, call = reader.types(INSPECT), eventually(lambda: reader.types(CALL), SECONDS)
        reader.types(ENCRYPT)
        encrypted = eventually(lambda: reader.types(CALL), SECONDS, "an answer in the encrypted mesh")
        told = Told(install, inspect, call, encrypted, reader.types(OUTSIDE))
        reader.open_door()
        yield Mesh(node, reader, told)
    finally:
        reader.end()
