"""``kuma-cp secrets``: keys, and what is done with the secrets of a store (a real PostgreSQL: in its plugin)."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kuma_store_memory
from kuma_core.commandline import exit_code
from kuma_core.config import Config
from kuma_core.resources.contract import Store
from kuma_core.resources.encryption import Key, Keyring
from kuma_core.resources.key_file import read_keyring
from kuma_core.resources.secrets import SecretManager
from kuma_core.runtime import secrets_commands
from kuma_core.runtime.kuma_cp import root
from kuma_core.testing.platform import make_catalog

from .test_groundwork import SHARED, sharing

OLD, NEW = Key(bytes(range(32))), Key(b"\xff" * 32)
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store() -> Iterator[Store]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as opened:
        yield opened


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(0o600)
    return path


@pytest.fixture
def kuma_cp(
    store: Store, keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """``kuma-cp secrets …`` over the store, with the file of keys."""
    monkeypatch.setattr(secrets_commands, "chosen_catalog", lambda plugins: make_catalog([sharing(store)]))
    for name, value in {**SHARED, "KUMA_STORE_ENCRYPTION_KEY_FILE": str(keys)}.items():
        monkeypatch.setenv(name, value)

    def call(*argv: str) -> tuple[int, str, str]:
        code = exit_code(root, ["secrets", *argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def line(key: Key) -> str:
    return base64.b64encode(key.secret).decode() + "\n"


def test_a_key_is_made_in_a_file_for_its_owner_alone(kuma_cp: Call, tmp_path: Path) -> None:
    path = tmp_path / "new"
    code, out, err = kuma_cp("generate-key", f"--output-file={path}")
    assert (code, err) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert out == f"made the key {read_keyring(str(path)).key_id} in {path}\n"


def test_a_file_is_never_replaced(kuma_cp: Call, keys: Path) -> None:
    code, out, err = kuma_cp("generate-key", f"--output-file={keys}")
    assert (code, out, keys.read_text()) == (1, "", "")
    assert f'"{keys}" exists already; add a key to it: kuma-cp secrets generate-key >> {keys}' in err


def test_a_key_can_be_added_to_a_file(kuma_cp: Call, keys: Path) -> None:
    keys.write_text(line(OLD) + kuma_cp("generate-key")[1])
    assert read_keyring(str(keys)).key_id == OLD.id


def test_a_key_is_not_shown_on_a_screen(kuma_cp: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets_commands.sys.stdout, "isatty", lambda: True)
    code, out, err = kuma_cp("generate-key")
    assert (code, out) == (1, "")
    assert "the key would stand on the screen; use --output-file FILE" in err


def test_rekey_says_how_many_and_may_be_repeated(kuma_cp: Call, store: Store, keys: Path) -> None:
    SecretManager(store).create("shop", "plain", b"1")
    SecretManager(store, Keyring([OLD])).create("shop", "old", b"2")
    keys.write_text(line(NEW) + line(OLD))
    assert kuma_cp("rekey") == (0, f"2 secrets changed, 0 unchanged: encrypted with the key {NEW.id}\n", "")
    assert kuma_cp("rekey") == (0, f"0 secrets changed, 2 unchanged: encrypted with the key {NEW.id}\n", "")
    assert SecretManager(store, Keyring([NEW])).get("shop", "old").value == b"2"
    keys.write_text("plain\n" + line(NEW))
    assert kuma_cp("rekey") == (0, "2 secrets changed, 0 unchanged: in the clear\n", "")
    assert SecretManager(store).get("shop", "old").value == b"2"


def test_rekey_names_what_it_cannot_read(kuma_cp: Call, store: Store, keys: Path) -> None:
    SecretManager(store).create("shop", "plain", b"1")
    SecretManager(store, Keyring([OLD])).create("shop", "lost", b"2")
    keys.write_text(line(NEW))
    code, out, err = kuma_cp("rekey")
    assert (code, out) == (1, f"1 secret changed, 0 unchanged: encrypted with the key {NEW.id}\n")
    problem, last = err.splitlines()
    assert 'the stored secret type="Secret" name="lost" mesh="shop" cannot be read' in problem
    assert last == "Error: 1 secret cannot be read and stayed as they were"


def test_rekey_needs_to_be_told_how(kuma_cp: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUMA_STORE_ENCRYPTION_KEY_FILE")
    code, out, err = kuma_cp("rekey")
    assert (code, out) == (1, "")
    assert "no key is configured; set store.encryption.keyFile (KUMA_STORE_ENCRYPTION_KEY_FILE)" in err


def test_status(kuma_cp: Call, store: Store, keys: Path) -> None:
    keys.write_text(line(NEW) + line(OLD))
    nothing = 'the store "shared" holds no secrets; store.type (KUMA_STORE_TYPE) chooses another one\n'
    assert kuma_cp("status") == (0, nothing, "")
    assert kuma_cp("rekey") == (0, nothing, "")
    SecretManager(store, Keyring([NEW])).create("shop", "new", b"1")
    assert kuma_cp("status") == (0, f"1 secret encrypted with the key {NEW.id} (current)\n", "")
    SecretManager(store, Keyring([OLD])).create("shop", "old", b"1")
    SecretManager(store).create("shop", "plain", b"1")
    SecretManager(store, Keyring([Key(b"x" * 32)])).create("shop", "lost", b"1")
    code, out, err = kuma_cp("status")
    assert (code, err) == (1, "")
    *counted, problem = out.splitlines()
    assert sorted(counted) == sorted(
        [
            "1 secret in the clear",
            f"1 secret encrypted with the key {OLD.id}",
            f"1 secret encrypted with the key {NEW.id} (current)",
        ]
    )
    assert 'name="lost"' in problem


def test_status_without_a_key(kuma_cp: Call, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUMA_STORE_ENCRYPTION_KEY_FILE")
    SecretManager(store).create("shop", "plain", b"1")
    assert kuma_cp("status") == (0, "1 secret in the clear (current)\n", "")


@pytest.mark.parametrize("command", ["rekey", "status"])
def test_a_bad_file_of_keys_is_a_sentence(kuma_cp: Call, keys: Path, command: str) -> None:
    code, out, err = kuma_cp(command)
    assert (code, out) == (1, "")
    assert f'cannot use the file "{keys}": it holds no key' in err
    os.unlink(keys)
    assert "No such file" in kuma_cp(command)[2]
