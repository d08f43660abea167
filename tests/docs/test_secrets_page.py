"""The pages on secrets: their facts are the code's, and the sentences that they explain are said."""

from __future__ import annotations

import re
from pathlib import Path

import click

from kuma_core.builtin.archive import archive, routes
from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.model import ResourceKey
from kuma_core.resources import encryption, key_file
from kuma_core.runtime.secrets_commands import secrets as group
from kuma_core.testing.managers import secret_manager
from kuma_store_memory.store import MemoryStore

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/secrets.md").read_text()
ADMIN = (ROOT / "docs/reference/admin.md").read_text()
HOW_TO = (ROOT / "docs/how-to/encrypt-secrets.md").read_text()


def test_the_setting() -> None:
    (setting,) = [setting for setting in SETTINGS if setting.path == key_file.SETTING]
    assert f"`{setting.path}` (`{setting.env}`)" in PAGE
    assert f"{setting.path} ({setting.env})" == encryption.KEY_FILE


def test_what_outlives_its_mesh() -> None:
    rows = re.findall(r"^\| `Secret`, (.*?), (.*?) \|", PAGE, re.MULTILINE)
    names = {re.findall(r"`(\S+)`", name)[0]: mesh for mesh, name in rows}
    assert len(names) == 5
    for name, mesh in names.items():
        outlives = secret_manager(MemoryStore()).outlives_its_mesh(ResourceKey("Secret", "default", name))
        assert outlives is (mesh == "`default`"), name


def test_the_bounds_of_the_file() -> None:
    flat = " ".join(PAGE.split())
    assert f"at most {key_file.MAX_KEYS}, in at most {key_file.MAX_BYTES // 1024} KiB of ASCII" in flat
    assert f"A key is {encryption.KEY_BYTES} bytes in base64" in flat


def test_the_envelope() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    sizes = [len(encryption.MAGIC), len(encryption.FORMAT), encryption.ID_BYTES, encryption.NONCE_BYTES]
    assert [int(size) for size, _ in rows] == sizes
    assert rows[0][1] == f"`{encryption.MAGIC.hex(' ')}`"
    assert f"its tag of {encryption.TAG_BYTES} bytes" in PAGE
    assert f"the first {sum(sizes[:3])} bytes, then the type" in PAGE


def test_every_command_has_a_row() -> None:
    rows = dict(re.findall(r"^\| `kuma-cp secrets (\S+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(group.list_commands(click.Context(group)))
    assert "--output-file FILE" in rows["generate-key"]


def test_the_sentences_of_a_refused_start_are_said() -> None:
    code = "".join(
        (ROOT / f"kuma_core/resources/{name}.py").read_text()
        for name in ("encryption", "key_file", "secrets")
    )
    rows = re.findall(r"^\| (`.*?) \|", HOW_TO.split("## When a start is refused")[1], re.MULTILINE)
    sentences = [sentence for row in rows for sentence in re.findall(r"`([^`]+)`", row)]
    assert len(sentences) == 5
    assert [sentence for sentence in sentences if sentence not in code] == []


def test_the_archive() -> None:
    flat = " ".join(PAGE.split())
    assert f"`type: {archive.TYPE}`, `format: {archive.FORMAT}`" in flat
    assert f"salt ({archive.SALT_BYTES} bytes), a nonce ({archive.NONCE_BYTES})" in flat
    assert f"N = {archive.COST}, r = {archive.BLOCK_SIZE}, p = {archive.PARALLEL}" in flat
    assert f"At most {archive.MAX_DATA // 1024**2} MiB" in flat


def test_the_bounds_of_the_routes() -> None:
    assert f"{archive.MIN_PASSPHRASE} to {archive.MAX_PASSPHRASE} characters" in ADMIN
    small, large = routes.MAX_REQUEST // 1024, routes.MAX_IMPORT // 1024**2
    assert f"more than {small} KiB, or {large} MiB for an import" in ADMIN
