"""Secrets encrypted in a real PostgreSQL: no row holds one in the clear, and the page is followed to the letter."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_store_postgres
from kuma_core.errors import UnreadableResource
from kuma_core.resources.encryption import Keyring
from kuma_core.resources.key_file import new_line, parse_keyring, read_keyring
from kuma_core.resources.secrets import SecretManager
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import PORTS, make_catalog, running_platform
from kuma_core.testing.ports import free_port
from kuma_store_postgres.opening import open_store

from .server import Server, config_of

HOW_TO = (Path(__file__).parents[3] / "docs/how-to/encrypt-secrets.md").read_text(encoding="utf-8")
PLUGINS = [kuma_store_postgres, kuma_ca_builtin]
PRIVATE = "PRIVATE KEY"


def dump(server: Server, database: str) -> list[str]:
    """Every row of every table, as text; a row that is base64 is added out of it, as deep as it goes."""
    with server.connect(database) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [
            str(row[0])
            for (table,) in tables
            for row in connection.execute(f"SELECT t::text FROM {table} t".encode()).fetchall()
        ]
    assert rows
    return [text for row in rows for text in decoded(row)]


def decoded(text: str) -> Iterator[str]:
    yield text
    for word in re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", text):
        if len(word) % 4 == 0:
            yield from decoded(base64.b64decode(word).decode("latin-1"))


def readable(server: Server, database: str, keyring: Keyring) -> dict[str, int]:
    """How many secrets need which key."""
    with open_store(config_of(server.environ(database))) as store:
        survey = SecretManager(store, keyring).survey()
    assert survey.unreadable == ()
    return dict(survey.readable)


def test_no_row_holds_a_secret_in_the_clear(server: Server, database: str, tmp_path: Path) -> None:
    environ, path = server.environ(database), tmp_path / "keys"
    with running_platform(PLUGINS, environ) as cp:
        cp.apply(mesh("shop", mtls={"enabled": True}))
    assert any(PRIVATE in row for row in dump(server, database)), "a key in the clear would be noticed"
    path.touch(0o600)
    path.write_text(new_line()[1])
    with running_platform(PLUGINS, {**environ, "KUMA_STORE_ENCRYPTION_KEY_FILE": str(path)}) as cp:
        cp.apply(mesh("other", mtls={"enabled": True}))
        cp.platform.core.secrets.rekey()
        secrets = cp.platform.core.secrets
        values = [
            secrets.get(mesh, name).value for mesh in ("default", "shop") for name in secrets.names(mesh)
        ]
    rows = dump(server, database)
    assert not any(PRIVATE in row for row in rows)
    for value in values:
        middle = value[len(value) // 2 :][:24]
        pieces = (middle.decode("latin-1"), base64.b64encode(value).decode()[400:432])
        assert not any(piece in row for piece in pieces for row in rows)
    before = dump(server, database)
    refused = pytest.raises(UnreadableResource, match=r"no key is configured; set store\.enc")
    with refused, running_platform(PLUGINS, environ):
        raise AssertionError("it started")
    assert dump(server, database) == before


def test_a_control_plane_without_the_key_ends_with_one_sentence(
    server: Server, database: str, tmp_path: Path
) -> None:
    """As a process: code 1, the name of a secret, what to do, no traceback, and every row as it was."""
    path = tmp_path / "keys"
    path.touch(0o600)
    path.write_text(new_line()[1])
    environ = server.environ(database)
    with running_platform(PLUGINS, {**environ, "KUMA_STORE_ENCRYPTION_KEY_FILE": str(path)}):
        pass
    before = dump(server, database)
    ports = {
        setting.env: str(free_port()) for setting in make_catalog(PLUGINS).settings if setting.path in PORTS
    }
    ended = subprocess.run(
        [str(Path(sys.executable).parent / "kuma-cp"), "run", "--plugins=store_postgres,ca_builtin"],
        env={"PATH": os.environ["PATH"], **environ, **ports},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(
        'Error: the stored secret type="Secret" name="builtinca.default" mesh="default" cannot'
    )
    assert "no key is configured; set store.encryption.keyFile (KUMA_STORE_ENCRYPTION_KEY_FILE)" in last
    assert dump(server, database) == before


def test_the_steps_of_the_how_to(server: Server, database: str, tmp_path: Path) -> None:
    environ = server.environ(database)
    with running_platform(PLUGINS, environ) as cp:
        cp.apply(mesh("shop", mtls={"enabled": True}))
        count = len(cp.platform.core.store.list("Secret"))
    make, name, encrypt, add, move, again, *back = re.findall(r"```bash\n(.*?)```", HOW_TO, re.DOTALL)
    path = tmp_path / "kuma-secrets.key"

    def run(script: str) -> str:
        found = subprocess.run(
            ["bash", "-eu", "-c", name + script],
            cwd=tmp_path,
            env={
                **environ,
                "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
                "KUMA_PLUGINS": "store_postgres,ca_builtin",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (found.returncode, found.stderr) == (0, ""), found
        return found.stdout

    run(make)
    first = read_keyring(str(path)).key_id
    assert f"{count} secrets changed" in run(encrypt)
    assert readable(server, database, read_keyring(str(path))) == {first: count}
    run(add)
    assert read_keyring(str(path)).key_id == first
    run(move)
    second = read_keyring(str(path)).key_id
    assert second != first
    assert f"{count} secrets encrypted with the key {second} (current)" in run(again)
    alone = path.read_text().splitlines()[0].encode()
    assert readable(server, database, parse_keyring(alone, "the first key")) == {second: count}
    assert f"{count} secrets in the clear (current)" in run("".join(back))
    assert readable(server, database, Keyring()) == {"": count}
