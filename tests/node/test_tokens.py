"""A token that rotates is the one that proxies show.

Behind all else on the node: while a kubelet starts, Pods are not ready for a moment.
"""

from __future__ import annotations

import json

import pytest

from kuma_core.testing.waiting import eventually

from .conftest import SECONDS, Mesh
from .node import Node
from .pods import SYSTEM, name_of, pods, said

pytestmark = pytest.mark.node
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def _tokens(node: Node) -> dict[str, str]:
    found = [pod for app in ("web", "backend") for pod in pods(node, "demo", app)]
    words = ("-c", "kuma-sidecar", "--", "cat", TOKEN)
    return {name_of(pod): said(node, "-n", "demo", name_of(pod), *words).strip() for pod in found}


def _asked(node: Node) -> set[str]:
    """The tokens that the API server was asked about."""
    return {
        json.loads(line)["requestObject"]["spec"]["token"]
        for line in node.audit.read_text().splitlines()
        if line.endswith("}")
    }


def _rotate(node: Node) -> set[str]:
    """New tokens for all Pods, by a kubelet that is started anew."""
    old = _tokens(node)
    node.kubelet.kill()
    node.kubelet.start()
    eventually(lambda: set(_tokens(node).values()).isdisjoint(old.values()), SECONDS, "new tokens")
    new = _tokens(node)
    assert set(new) == set(old)
    return set(new.values())


def test_tokens_that_rotate_are_those_that_proxies_show(mesh: Mesh) -> None:
    """Other control planes are asked by proxies that run on."""
    node = mesh.node
    tokens = _rotate(node)
    node.kubectl("-n", SYSTEM, "delete", "pod", "-l", "app=kuma-control-plane")
    eventually(lambda: tokens <= _asked(node), SECONDS, "questions about the new tokens")
    eventually(lambda: mesh.online() == mesh.dataplanes(), SECONDS, "all proxies at a control plane")
    assert mesh.answer().startswith("hello from backend-")
