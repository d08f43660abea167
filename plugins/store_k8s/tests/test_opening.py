"""The start of the store: what is wrong is told at once, or waited for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import kuma_store_k8s
from kuma_core.config import Config, build_config
from kuma_core.sdk import ConfigError, StoreUnavailable
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.waiting import eventually
from kuma_store_k8s import opening
from kuma_store_k8s.opening import open_store

from .doubleserver import Served
from .places import doubled


@pytest.fixture
def config() -> Config:
    settings = make_catalog([kuma_store_k8s]).settings
    return build_config(settings, {}, "test", {"KUMA_STORE_TYPE": "kubernetes"})


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with doubled(tmp_path) as served:
        monkeypatch.setitem(os.environ, "KUBECONFIG", str(served.kubeconfig))
        yield served


def test_a_server_that_is_late_is_waited_for(served: Served, config: Config) -> None:
    served.kill()
    opened = threading.Event()

    def start() -> None:
        with open_store(config):
            opened.set()

    thread = threading.Thread(target=start)
    thread.start()
    served.start()
    assert eventually(opened.is_set)
    thread.join(timeout=10)


def test_a_server_that_does_not_come_is_named(
    served: Served, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.3)
    served.kill()
    named = rf"the Kubernetes API at http://127\.0\.0\.1:{served.port} cannot be reached: .*refused"
    with pytest.raises(StoreUnavailable, match=named), open_store(config):
        pass


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", "current-context: there\nclusters: []\ncontexts: []\n"]
)
def test_a_kubeconfig_that_leads_nowhere_is_told(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    path = tmp_path / "elsewhere"
    if content is not None:
        path.write_text(content)
    monkeypatch.setitem(os.environ, "KUBECONFIG", str(path))
    with (
        pytest.raises(ConfigError, match=r"the Kubernetes API cannot be found: .*KUBECONFIG"),
        open_store(config),
    ):
        pass


def test_a_server_that_is_too_old_is_refused(served: Served, config: Config) -> None:
    served.double.minor = "29+"
    with pytest.raises(ConfigError, match=r"has version 1\.29 of Kubernetes"), open_store(config):
        pass


def test_a_namespace_that_is_missing_is_told(served: Served, config: Config) -> None:
    served.double.namespaces.discard("kuma-system")
    with (
        pytest.raises(ConfigError, match=r'no namespace "kuma-system" \(store\.kubernetes'),
        open_store(config),
    ):
        pass
    served.double.refuse(403, "Forbidden", part="/namespaces/kuma-system")
    with open_store(config):
        pass
