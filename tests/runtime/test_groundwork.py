"""What a start makes sure of in the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import structlog

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.config import Config
from kuma_core.errors import ConfigError
from kuma_core.model import ResourceKey
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.resources.contract import Store
from kuma_core.resources.secrets import SecretManager
from kuma_core.sdk import StoreFactory
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import running_platform

SHARED = {"KUMA_STORE_TYPE": "shared"}
ENCRYPTED = "type: Mesh\nname: default\nmtls: {enabled: true, ca: {builtin: {}}}\n"


@pytest.fixture
def store() -> Iterator[Store]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as opened:
        yield opened


def sharing(store: Store) -> ModuleType:
    """A store plugin whose content outlives the control plane."""

    @contextmanager
    def opened(config: Config) -> Iterator[Store]:
        yield store

    def kuma_register_stores() -> list[StoreFactory]:
        return [StoreFactory("shared", opened)]

    made: Any = ModuleType("shared")
    made.kuma_register_stores = hookimpl(kuma_register_stores)
    return made  # type: ignore[no-any-return]


def documents(store: Store) -> dict[tuple[str, str], str]:
    """What stands in the store, the TLS material of the control plane aside."""
    return {
        (record.key.type, f"{record.key.mesh}/{record.key.name}"): record.document
        for kind in ("Mesh", "Secret")
        for record in store.list(kind)
        if not record.key.name.startswith("control-plane-tls")
    }


def test_a_first_start_makes_the_mesh_its_root_and_the_key_and_the_next_changes_nothing(store: Store) -> None:
    plugins = [sharing(store), kuma_ca_builtin]
    with running_platform(plugins, SHARED):
        made = documents(store)
    assert set(made) == {
        ("Mesh", "default/default"),
        ("Secret", "default/builtinca.default"),
        ("Secret", "default/dataplane-token-signing-key"),
    }
    with running_platform(plugins, SHARED):
        assert documents(store) == made


def test_a_token_is_good_after_the_mesh_default_was_deleted_and_the_control_plane_restarted(
    store: Store,
) -> None:
    plugins = [sharing(store), kuma_ca_builtin]
    with running_platform(plugins, SHARED) as cp:
        key = SecretManager(store).get("default", "dataplane-token-signing-key")
        assert cp.delete("/meshes/default").status == 200
    with running_platform(plugins, SHARED):
        assert SecretManager(store).get("default", "dataplane-token-signing-key") == key
        assert ("Secret", "default/builtinca.default") in documents(store)


def test_two_control_planes_may_start_at_once_on_one_empty_store(store: Store) -> None:
    plugins, together, problems = [sharing(store), kuma_ca_builtin], threading.Barrier(3), []

    def start() -> None:
        try:
            with running_platform(plugins, SHARED) as cp:
                cp.token("web-1")
                together.wait(30)
        except BaseException as error:  # noqa: BLE001 - shown below
            problems.append(error)
            together.abort()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert problems == []
    assert len(documents(store)) == 3


def test_an_existing_mesh_default_is_never_modified(store: Store) -> None:
    plugins = [sharing(store), kuma_ca_builtin]
    with running_platform(plugins, SHARED) as cp:
        cp.apply(mesh("default", tracing={}))
    before = documents(store)
    with running_platform(plugins, {**SHARED, "KUMA_DEFAULTS_MESH": ENCRYPTED}):
        assert documents(store) == before


def test_a_root_that_went_missing_comes_back(store: Store) -> None:
    plugins = [sharing(store), kuma_ca_builtin]
    with running_platform(plugins, SHARED) as cp:
        cp.apply(mesh("shop"))
    store.delete(ResourceKey("Secret", "shop", "builtinca.shop"))
    with running_platform(plugins, SHARED):
        assert SecretManager(store).names("shop") == ["builtinca.shop"]


def test_an_authority_that_is_gone_or_fails_costs_its_own_mesh_only(store: Store) -> None:
    with running_platform([sharing(store), kuma_ca_builtin], SHARED) as cp:
        cp.apply(mesh("shop", mtls={"enabled": True}))
    with structlog.testing.capture_logs() as logs, running_platform([sharing(store)], SHARED) as cp:
        assert cp.get("/meshes/shop").status == 200
    (said,) = [entry for entry in logs if entry.get("install")]
    assert (said["mesh"], said["install"]) == ("shop", "kuma-ca-builtin")


def test_defaults_mesh_with_mutual_tls_needs_its_plugin() -> None:
    with (
        pytest.raises(ConfigError, match=r"Mesh is not valid: .*kuma-ca-builtin"),
        running_platform([kuma_store_memory], {"KUMA_DEFAULTS_MESH": ENCRYPTED}),
    ):
        raise AssertionError("it started")


@pytest.mark.parametrize(("mode", "warns"), [("open", True), ("localhostIsAdmin", False), ("token", False)])
def test_an_open_api_is_warned_of(mode: str, warns: bool) -> None:
    with (
        structlog.testing.capture_logs() as logs,
        running_platform([kuma_store_memory], {"KUMA_API_SERVER_AUTH_MODE": mode}),
    ):
        pass
    assert any("apiServer.auth.mode is open" in entry["event"] for entry in logs) is warns
