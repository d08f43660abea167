"""The file of keys: what it may hold, who may read it, and that no error shows any of it."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.errors import ConfigError
from kuma_core.resources.encryption import Key
from kuma_core.resources.key_file import MAX_BYTES, MAX_KEYS, new_line, parse_keyring, read_keyring

OLD, NEW = Key(bytes(range(32))), Key(b"\xff" * 32)
CODES = {key: base64.b64encode(key.secret).decode() for key in (OLD, NEW)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that only its owner may use, still empty."""
    made = tmp_path / "keys"
    made.touch(0o600)
    return made


@pytest.mark.parametrize(
    "text",
    [
        CODES[OLD],
        f"{OLD.id}:{CODES[OLD]}",
        f"{OLD.id}:{CODES[OLD]}\n",
        f"\n# made in spring\r\n  {OLD.id}:{CODES[OLD]}  \r\n\n",
    ],
    ids=["bare", "with its id", "newline", "comments and spaces"],
)
def test_one_key(path: Path, text: str) -> None:
    path.write_text(text)
    assert read_keyring(str(path)).key_id == OLD.id


def test_the_first_key_encrypts_and_plain_stands_for_none(path: Path) -> None:
    path.write_text(f"{CODES[NEW]}\n{CODES[OLD]}\n")
    assert read_keyring(str(path)).key_id == NEW.id
    path.write_text(f"plain\n{CODES[NEW]}\n")
    ring = read_keyring(str(path))
    assert (ring.key_id, ring.is_configured) == ("", True)


def test_what_is_made_can_be_read(path: Path) -> None:
    id, line = new_line()
    path.write_text(line)
    assert read_keyring(str(path)).key_id == id
    assert new_line() != (id, line)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it holds no key; make one: kuma-cp secrets generate-key"),
        ("# nothing\n\n", "it holds no key"),
        (f"{CODES[OLD]}\nhunter2hunter2\n", "line 2 is no key: 32 bytes in base64"),
        (base64.b64encode(b"hunter2hunter2").decode(), "line 1 is no key"),
        (f"{CODES[OLD]}\nplain\n", "line 2 is no key"),
        (f"{NEW.id}:{CODES[OLD]}", "line 1: the key does not belong to its id"),
        (CODES[OLD][:-2], "line 1 is no key"),
        ("\u00e4", "it is no ASCII text"),
        (f"{CODES[OLD]}\n" * (MAX_KEYS + 1), f"more than {MAX_KEYS} keys"),
        ("#" * (MAX_BYTES + 1), "more than 16 KiB"),
    ],
)
def test_what_is_no_file_of_keys(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(problem)) as caught:
        read_keyring(str(path))
    said = str(caught.value)
    assert str(path) in said
    assert "KUMA_STORE_ENCRYPTION_KEY_FILE" in said
    assert not any(word in said for word in ("hunter2", CODES[OLD][:9], CODES[NEW][:9]))
    assert caught.value.__cause__ is None


@given(st.binary(max_size=200))
def test_anything_else_is_a_sentence(content: bytes) -> None:
    with pytest.raises(ConfigError, match='cannot use the file "the file"'):
        parse_keyring(b"-" + content, "the file")


@pytest.mark.parametrize(
    ("mode", "owner", "is_fine"),
    [
        (0o600, 1234, True),
        (0o400, 1234, True),
        (0o440, 1234, False),
        (0o620, 1234, False),
        (0o604, 1234, False),
        (0o600, 0, True),
        (0o640, 0, True),
        (0o660, 0, False),
        (0o644, 0, False),
    ],
)
def test_others_than_the_owner_may_not_use_it(path: Path, mode: int, owner: int, is_fine: bool) -> None:
    """A file of root's may be read by its group, as Kubernetes and PostgreSQL have it."""
    if os.geteuid() != 0:
        if owner == 0:
            pytest.skip("only root can make a file of root's")
        owner = os.geteuid()
    os.chown(path, owner, -1)
    path.write_text(CODES[OLD])
    path.chmod(mode)
    if is_fine:
        assert read_keyring(str(path)).key_id == OLD.id
        return
    with pytest.raises(ConfigError, match=f"others than its owner may use it; run: chmod 600 {path}"):
        read_keyring(str(path))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_keyring(str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="no regular file"):
        read_keyring(str(tmp_path))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="no regular file"):
        read_keyring(str(tmp_path / "pipe"))
    with pytest.raises(ConfigError, match="null byte"):
        read_keyring("a\0b")
