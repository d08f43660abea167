"""Secrets: bytes in and out, compare-and-set, and never shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from kuma_core.builtin.mesh.kinds import KINDS
from kuma_core.errors import AlreadyExists, Conflict, NotFound, UnreadableResource
from kuma_core.model import Resource, ResourceKey
from kuma_core.plugin.catalog import Kinds
from kuma_core.resources import codec
from kuma_core.resources.contract import Record, Store
from kuma_core.resources.encryption import Key as EncryptionKey
from kuma_core.resources.encryption import Keyring
from kuma_core.resources.manager import ResourceManager
from kuma_core.resources.secrets import Rekeyed, SecretManager, Survey
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.secret import SecretSpec
from kuma_core.testing.managers import resource_manager


@pytest.fixture
def secrets(store: Store) -> SecretManager:
    return SecretManager(store)


def key(name: str, mesh: str = "shop") -> ResourceKey:
    return ResourceKey("Secret", mesh, name)


def test_a_secret_is_stored_as_a_json_string_of_base64(store: Store, secrets: SecretManager) -> None:
    secrets.create("shop", "pin", b"kuma")
    assert store.get(key("pin")).document == '"a3VtYQ=="'
    assert secrets.get("shop", "pin").value == b"kuma"


@pytest.mark.parametrize("value", [b"", b"\0\xff", b"x" * 10_000])
def test_any_bytes_come_back(secrets: SecretManager, value: bytes) -> None:
    secrets.create("shop", "pin", value)
    assert secrets.get("shop", "pin").value == value


def test_a_secret_that_is_not_there(secrets: SecretManager) -> None:
    assert secrets.find("shop", "pin") is None
    for verb in (secrets.get, secrets.delete):
        with pytest.raises(NotFound):
            verb("shop", "pin")


def test_create_does_not_replace(secrets: SecretManager) -> None:
    secrets.create("shop", "pin", b"1")
    with pytest.raises(AlreadyExists):
        secrets.create("shop", "pin", b"2")
    assert secrets.get("shop", "pin").value == b"1"


def test_replace_takes_what_was_read_and_refuses_what_is_older(secrets: SecretManager) -> None:
    first = secrets.create("shop", "pin", b"1")
    second = secrets.replace(first, b"2")
    assert secrets.get("shop", "pin") == second
    with pytest.raises(Conflict):
        secrets.replace(first, b"3")
    secrets.delete("shop", "pin")
    with pytest.raises(Conflict):
        secrets.replace(second, b"3")


def test_names_are_those_of_one_mesh(secrets: SecretManager) -> None:
    for mesh, name in (("shop", "b"), ("shop", "a"), ("other", "c")):
        secrets.create(mesh, name, b"")
    assert secrets.names("shop") == ["a", "b"]


def test_of_many_that_ensure_at_once_all_get_one_value(secrets: SecretManager) -> None:
    together, found = threading.Barrier(8), []

    def make(number: int) -> bytes:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)  # all have seen by now that there is none
        return b"%d" % number

    threads = [
        threading.Thread(
            target=lambda n=n: found.append(secrets.ensure("shop", "pin", lambda: make(n)).value)
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(found) == 8
    assert set(found) == {secrets.get("shop", "pin").value}


def test_a_value_is_never_shown(secrets: SecretManager) -> None:
    secret = secrets.create("shop", "pin", b"hunter2")
    resource = Resource(key("pin"), SecretSpec(value=b"hunter2"))
    for shown in (repr(secret), str(secret), repr(resource), str(resource.spec)):
        assert "hunter2" not in shown
        assert "aHVudGVyMg" not in shown
    assert "pin" in repr(secret)


@pytest.mark.parametrize("document", ['"aHVudGVyMg"', '{"value": "hunter2"}', "hunter2", "3"])
def test_a_secret_that_cannot_be_read_is_named_and_not_shown(
    store: Store, secrets: SecretManager, document: str
) -> None:
    store.create(key("pin"), document)
    with pytest.raises(UnreadableResource) as caught:
        secrets.get("shop", "pin")
    assert 'name="pin"' in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


class Backwards:
    """A cipher for tests, bound to the key as a real one is."""

    key_id = "backwards"

    def key_id_of(self, stored: bytes) -> str:
        return self.key_id

    def encrypt(self, key: ResourceKey, value: bytes) -> bytes:
        return key.name.encode() + value[::-1]

    def decrypt(self, key: ResourceKey, stored: bytes) -> bytes:
        if not stored.startswith(key.name.encode()):
            raise ValueError("it was not encrypted for this name")
        return stored.removeprefix(key.name.encode())[::-1]


def test_a_cipher_stands_between_the_value_and_the_store(store: Store) -> None:
    secrets = SecretManager(store, Backwards())
    replaced = secrets.replace(secrets.create("shop", "pin", b"abc"), b"abcd")
    assert json.loads(store.get(key("pin")).document) == "cGluZGNiYQ=="
    assert secrets.get("shop", "pin") == replaced
    store.create(key("other"), store.get(key("pin")).document)
    with pytest.raises(UnreadableResource, match="not encrypted for this name"):
        secrets.get("shop", "other")


# -- with their mesh


@pytest.fixture
def resources(store: Store) -> ResourceManager:
    manager = resource_manager(store, Kinds(("builtin", kind) for kind in KINDS))
    for name in ("default", "shop"):
        manager.put(Resource(ResourceKey("Mesh", name, name), MeshSpec()))
    return manager


def test_secrets_go_with_their_mesh(resources: ResourceManager, secrets: SecretManager) -> None:
    for name in ("builtinca.shop", "providedca.shop", "dataplane-token-signing-key"):
        secrets.create("shop", name, b"")
    resources.delete(ResourceKey("Mesh", "shop", "shop"))
    assert secrets.names("shop") == []


OWN = (
    "control-plane-tls",
    "dataplane-token-revocations",
    "dataplane-token-signing-key",
    "dataplane-token-signing-key-2",
)


def test_the_control_planes_own_secrets_outlive_the_mesh_default(
    resources: ResourceManager, secrets: SecretManager
) -> None:
    for name in (*OWN, "builtinca.default", "dataplane-token-signing-keys", "my-control-plane-tls"):
        secrets.create("default", name, b"")
    resources.delete(ResourceKey("Mesh", "default", "default"))
    assert secrets.names("default") == list(OWN)


def test_the_codec_reads_and_writes_secrets_as_any_kind(store: Store, secrets: SecretManager) -> None:
    secrets.create("shop", "pin", b"kuma")
    kind = next(kind for kind in KINDS if kind.name == "Secret")
    resource = codec.decode(kind, store.get(key("pin")))
    assert resource.spec.value == b"kuma"
    assert codec.encode(resource) == store.get(key("pin")).document


# -- encrypted at rest

OLD, NEW = EncryptionKey(bytes(32)), EncryptionKey(b"\1" * 32)


def test_a_survey_counts_by_key_and_names_what_cannot_be_read(store: Store) -> None:
    SecretManager(store).create("shop", "plain", b"1")
    for name, key_ in (("a", OLD), ("b", OLD), ("c", NEW)):
        SecretManager(store, Keyring([key_])).create("shop", name, b"2")
    survey = SecretManager(store, Keyring([OLD])).survey()
    assert survey.readable == {"": 1, OLD.id: 2}
    (problem,) = survey.unreadable
    assert 'name="c" mesh="shop" cannot be read: it is encrypted with the key ' + NEW.id in str(problem)


def test_rekey_changes_what_has_another_key_and_nothing_else(store: Store) -> None:
    SecretManager(store).create("shop", "plain", b"1")
    SecretManager(store, Keyring([OLD])).create("default", "old", b"2")
    current = SecretManager(store, Keyring([NEW])).create("shop", "new", b"3")
    both = SecretManager(store, Keyring([NEW, OLD]))
    assert both.rekey() == Rekeyed(2, 1)
    assert both.survey() == Survey({NEW.id: 3})
    assert both.get("shop", "new") == current
    alone = SecretManager(store, Keyring([NEW]))
    assert [alone.get(*at).value for at in (("shop", "plain"), ("default", "old"))] == [b"1", b"2"]
    before = store.list("Secret")
    assert both.rekey() == Rekeyed(0, 3)
    assert store.list("Secret") == before


def test_rekey_leaves_alone_what_it_cannot_read(store: Store) -> None:
    SecretManager(store, Keyring([OLD])).create("shop", "lost", b"1")
    SecretManager(store).create("shop", "plain", b"2")
    lost = store.get(key("lost"))
    done = SecretManager(store, Keyring([NEW])).rekey()
    assert (done.changed, done.unchanged, len(done.unreadable)) == (1, 0, 1)
    assert store.get(key("lost")) == lost


def test_back_to_the_clear(store: Store) -> None:
    SecretManager(store, Keyring([OLD])).create("shop", "pin", b"kuma")
    assert SecretManager(store, Keyring([OLD], in_clear=True)).rekey() == Rekeyed(1, 0)
    assert store.get(key("pin")).document == '"a3VtYQ=="'
    assert SecretManager(store).get("shop", "pin").value == b"kuma"


class Interrupted:
    """A store in which somebody else acts just before each update."""

    def __init__(self, store: Store, act: Callable[[ResourceKey], object]) -> None:
        self._store, self._act, self._acted = store, act, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        if not self._acted:
            self._acted = True
            self._act(key)
        return self._store.update(key, document, version)


@pytest.mark.parametrize("keyring", [Keyring(), Keyring([NEW])], ids=["in the clear", "with the new key"])
def test_rekey_keeps_what_others_write_meanwhile(store: Store, keyring: Keyring) -> None:
    others = SecretManager(store, keyring)
    others_write = SecretManager(store)
    others_write.create("shop", "pin", b"1")
    contested: Any = Interrupted(store, lambda _: others.replace(others.get("shop", "pin"), b"2"))
    done = SecretManager(contested, Keyring([NEW])).rekey()
    assert done.changed + done.unchanged == 1
    assert SecretManager(store, Keyring([NEW])).survey() == Survey({NEW.id: 1})
    assert SecretManager(store, Keyring([NEW])).get("shop", "pin").value == b"2"


def test_rekey_does_not_bring_back_what_others_delete_meanwhile(store: Store) -> None:
    SecretManager(store).create("shop", "pin", b"1")
    contested: Any = Interrupted(store, store.delete)
    assert SecretManager(contested, Keyring([NEW])).rekey() == Rekeyed(0, 1)
    assert store.list("Secret") == []


def test_ensure_never_replaces_what_it_cannot_read(store: Store) -> None:
    SecretManager(store, Keyring([OLD])).create("shop", "pin", b"1")
    before = store.list("Secret")
    for keyring in (Keyring(), Keyring([NEW])):
        with pytest.raises(UnreadableResource, match=f"encrypted with the key {OLD.id}"):
            SecretManager(store, keyring).ensure("shop", "pin", lambda: b"2")
    assert store.list("Secret") == before
