"""A start over encrypted secrets: it reads every one of them, or ends and leaves all as it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import structlog

import kuma_ca_builtin
from kuma_core.errors import ConfigError, UnreadableResource
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Store
from kuma_core.resources.encryption import Key, Keyring
from kuma_core.resources.secrets import SecretManager, Survey
from kuma_core.sdk import CaProviderFactory, hookimpl
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import running_platform

from .test_groundwork import SHARED, documents, sharing
from .test_groundwork import store as store  # the fixture

OLD, NEW = Key(bytes(range(32))), Key(b"\xff" * 32)
ROOT = ResourceKey("Secret", "shop", "builtinca.shop")


@pytest.fixture
def plugins(store: Store) -> list[ModuleType]:
    return [sharing(store), kuma_ca_builtin]


@pytest.fixture
def keys(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The settings with a file of these keys."""

    def write(*keys: Key, head: str = "") -> dict[str, str]:
        path = tmp_path / "keys"
        path.write_text(head + "".join(base64.b64encode(key.secret).decode() + "\n" for key in keys))
        path.chmod(0o600)
        return {**SHARED, "KUMA_STORE_ENCRYPTION_KEY_FILE": str(path)}

    return write


Keys = Callable[..., dict[str, str]]


@pytest.fixture
def encrypted(store: Store, plugins: list[ModuleType], keys: Keys) -> dict[tuple[str, str], str]:
    """The store after a run of a control plane with the old key: its documents."""
    with running_platform(plugins, keys(OLD)) as cp:
        cp.apply(mesh("shop", mtls={"enabled": True}))
    return documents(store)


def refused(plugins: list[ModuleType], settings: dict[str, str], problem: str) -> str:
    """The error that a start ends with."""
    with pytest.raises(UnreadableResource, match=problem) as caught, running_platform(plugins, settings):
        raise AssertionError("it started")
    return str(caught.value)


def test_everything_is_encrypted_and_the_next_start_reads_it(
    store: Store, plugins: list[ModuleType], keys: Keys, encrypted: dict[tuple[str, str], str]
) -> None:
    survey = SecretManager(store, Keyring([OLD])).survey()
    assert set(survey.readable) == {OLD.id}
    assert survey.readable[OLD.id] >= 3
    with running_platform(plugins, keys(NEW, OLD)) as cp:
        assert documents(store) == encrypted
        assert cp.platform.core.authorities["builtin"].trust_anchors("shop")
        cp.token("web-1")


@pytest.mark.parametrize(
    ("ring", "problem"),
    [
        ([], "no key is configured; set store.encryption.keyFile"),
        ([NEW], f"the key {OLD.id}, which is not in the file of store.encryption.keyFile"),
    ],
)
def test_without_the_key_the_start_ends_and_nothing_is_made_anew(
    store: Store,
    plugins: list[ModuleType],
    keys: Keys,
    encrypted: dict[tuple[str, str], str],
    ring: list[Key],
    problem: str,
) -> None:
    said = refused(plugins, keys(*ring) if ring else SHARED, problem)
    assert 'type="Secret" name="' in said
    assert said.endswith("Nothing was started, and nothing is made anew in its place")
    assert documents(store) == encrypted


def flipped(store: Store) -> None:
    record = store.get(ROOT)
    raw = bytearray(base64.b64decode(json.loads(record.document)))
    raw[len(raw) // 2] ^= 1
    store.update(ROOT, json.dumps(base64.b64encode(raw).decode()), record.version)


def exchanged(store: Store) -> None:
    """The root of another mesh in the place of this one's."""
    other = store.get(ResourceKey("Secret", "default", "builtinca.default"))
    store.update(ROOT, other.document, store.get(ROOT).version)


def cut(store: Store) -> None:
    record = store.get(ROOT)
    store.update(ROOT, record.document[:41] + '"', record.version)


@pytest.mark.parametrize("tamper", [flipped, exchanged, cut])
def test_a_secret_that_was_tampered_with_stops_the_start_by_its_name(
    store: Store,
    plugins: list[ModuleType],
    keys: Keys,
    encrypted: dict[tuple[str, str], str],
    tamper: Callable[[Store], None],
) -> None:
    tamper(store)
    before = documents(store)
    said = refused(plugins, keys(OLD), "restore it from a backup of the store")
    assert 'name="builtinca.shop" mesh="shop"' in said
    assert "\n" not in said
    assert documents(store) == before


def test_several_are_counted(
    store: Store, plugins: list[ModuleType], keys: Keys, encrypted: dict[tuple[str, str], str]
) -> None:
    count = len(store.list("Secret"))
    assert f"{count - 1} more cannot be read either" in refused(plugins, keys(NEW), OLD.id)


def test_secrets_in_the_clear_are_read_and_told_and_encrypted_at_their_next_write(
    store: Store, plugins: list[ModuleType], keys: Keys
) -> None:
    with running_platform(plugins, SHARED):
        before = documents(store)
    with structlog.testing.capture_logs() as logs, running_platform(plugins, keys(OLD)) as cp:
        assert documents(store) == before
        cp.apply(mesh("shop"))
    (said,) = [entry for entry in logs if "kuma-cp secrets rekey" in entry["event"]]
    assert said["secrets"] == len(store.list("Secret")) - 1
    assert OLD.id in said["wanted"]
    survey = SecretManager(store, Keyring([OLD])).survey()
    assert survey.readable == {"": said["secrets"], OLD.id: 1}


def test_rekey_while_control_planes_run_disturbs_none(
    store: Store, plugins: list[ModuleType], keys: Keys, encrypted: dict[tuple[str, str], str]
) -> None:
    """With both keys in the file; the bundle, the tokens and later starts with the new key alone stay good."""
    with running_platform(plugins, keys(OLD, NEW)) as cp:
        bundle = cp.platform.core.authorities["builtin"].trust_anchors("shop")
        token = cp.token("web-1")
        SecretManager(store, Keyring([NEW, OLD])).rekey()
        assert cp.platform.core.authorities["builtin"].trust_anchors("shop") == bundle
        assert cp.token("web-1")
        trusted = cp.trusted
    assert SecretManager(store, Keyring([NEW])).survey() == Survey({NEW.id: len(store.list("Secret"))})
    with running_platform(plugins, keys(NEW)) as cp:
        assert cp.platform.core.authorities["builtin"].trust_anchors("shop") == bundle
        assert cp.trusted == trusted
        assert cp.token("web-1") != token


def test_plain_first_leads_back_to_the_clear(
    store: Store, plugins: list[ModuleType], keys: Keys, encrypted: dict[tuple[str, str], str]
) -> None:
    with running_platform(plugins, keys(OLD, head="plain\n")) as cp:
        cp.apply(mesh("new"))
        survey = SecretManager(store, Keyring([OLD])).survey()
    assert survey.readable == {"": 1, OLD.id: len(store.list("Secret")) - 1}


def test_the_settings_show_the_path_alone(plugins: list[ModuleType], keys: Keys) -> None:
    settings = keys(OLD)
    with running_platform(plugins, settings) as cp:
        shown = cp.get("/config")
    path = settings["KUMA_STORE_ENCRYPTION_KEY_FILE"]
    assert shown.body["store"]["encryption"] == {"keyFile": path}
    assert base64.b64encode(OLD.secret).decode()[:20] not in json.dumps(shown.body)


def test_a_file_that_cannot_be_used_stops_the_start(plugins: list[ModuleType], tmp_path: Path) -> None:
    settings = {**SHARED, "KUMA_STORE_ENCRYPTION_KEY_FILE": str(tmp_path / "nothing")}
    with pytest.raises(ConfigError, match="No such file"), running_platform(plugins, settings):
        raise AssertionError("it started")


def test_no_plugin_gets_the_secrets_before_all_were_read(
    store: Store, keys: Keys, encrypted: dict[tuple[str, str], str]
) -> None:
    opened: list[SecretManager] = []

    def kuma_register_ca_providers() -> list[CaProviderFactory]:
        return [CaProviderFactory("eager", lambda config, secrets: opened.append(secrets))]  # type: ignore[arg-type, return-value]

    eager: Any = ModuleType("eager")
    eager.kuma_register_ca_providers = hookimpl(kuma_register_ca_providers)
    refused([sharing(store), eager], keys(NEW), OLD.id)
    assert opened == []
