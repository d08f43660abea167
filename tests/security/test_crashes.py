"""What a control plane says that cannot start, or that is killed, shows nothing of the database's password."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.testing.ports import free_port, own_ports
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import own_server

from ..end_to_end.support import BIN, start

PASSWORD = "canary-password-of-the-database"


def environ(**settings: str) -> dict[str, str]:
    """Variables of a control plane on free ports; every traceback that Python can write is asked for."""
    ports = {name: str(port) for name, port in own_ports().items()}
    given = {
        "PLUGINS": "store_memory,store_postgres",
        "API_SERVER_INTERFACE": "127.0.0.1",
        **ports,
        **settings,
    }
    said = {f"KUMA_{name}": value for name, value in given.items()}
    return {**os.environ, "PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1", **said}


def run(*words: str, **settings: str) -> tuple[int, str]:
    """The exit code of kuma-cp, and all that it wrote."""
    command = [str(BIN / "kuma-cp"), "--log-level=debug", *words]
    done = subprocess.run(
        command, env=environ(**settings), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def postgres(host: str, port: int) -> dict[str, str]:
    return {
        "STORE_TYPE": "postgres",
        "STORE_POSTGRES_HOST": host,
        "STORE_POSTGRES_PORT": str(port),
        "STORE_POSTGRES_USER": "postgres",
        "STORE_POSTGRES_PASSWORD": PASSWORD,
        "STORE_POSTGRES_DB_NAME": "postgres",
        "STORE_POSTGRES_CONNECTION_TIMEOUT": "1",
    }


def in_yaml(*lines: str) -> str:
    return "\n".join(["store:", "  type: postgres", "  postgres:", *(f"    {line}" for line in lines), ""])


BROKEN = {
    "unquoted bang": in_yaml(f"password: !{PASSWORD}"),
    "unquoted star": in_yaml(f"password: *{PASSWORD}"),
    "unquoted ampersand": in_yaml(f"password: &{PASSWORD} *{PASSWORD}"),
    "unquoted at": in_yaml(f"password: @{PASSWORD}"),
    "open quote": in_yaml(f'password: "{PASSWORD}'),
    "escape": in_yaml(f'password: "\\{PASSWORD}"'),
    "colon": in_yaml(f"password: {PASSWORD}: x"),
    "tab": in_yaml(f"\tpassword: {PASSWORD}"),
    "twice": in_yaml(f"password: {PASSWORD}", f"password: {PASSWORD}"),
    "list": in_yaml(f"password: [{PASSWORD}]"),
    "mapping": in_yaml(f"password: {{{PASSWORD}: {PASSWORD}}}"),
    "no space": in_yaml(f"password:{PASSWORD}"),
    "wrong place": f"store:\n  type: postgres\n  postgres: {PASSWORD}\n",
}


WAYS = (("run",), ("config", "validate"), ("config", "view"), ("migrate", "up"))


@pytest.mark.parametrize(
    ("which", "words"),
    [*((which, ("config", "validate")) for which in BROKEN), *(("unquoted bang", words) for words in WAYS)],
)
def test_a_broken_file_is_told_without_the_password_in_it(
    tmp_path: Path, which: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "kuma-cp.yaml"
    path.write_text(BROKEN[which])
    code, text = run(*words, f"--config-file={path}")
    assert code == 1
    assert str(path) in text
    assert PASSWORD not in text


@pytest.mark.parametrize("words", [("run",), ("migrate", "up")])
def test_a_database_that_is_not_there_is_told_without_its_password(words: tuple[str, ...]) -> None:
    code, text = run(*words, **postgres("127.0.0.1", free_port()))
    assert code == 1
    assert "cannot be reached" in text
    assert PASSWORD not in text


def test_a_database_that_takes_another_password_does_not_show_ours() -> None:
    with own_server() as server:
        for words in (("run",), ("migrate", "up")):
            code, text = run(*words, **postgres(server.host, server.port))
            assert (code, "password" in text) == (1, True)
            assert PASSWORD not in text


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGTERM])
def test_a_control_plane_that_is_killed_shows_no_password(tmp_path: Path, number: signal.Signals) -> None:
    said: Mapping[str, str] = environ(STORE_TYPE="memory", STORE_POSTGRES_PASSWORD=PASSWORD)
    log = tmp_path / "log"
    with ExitStack() as stack:
        command = [str(BIN / "kuma-cp"), "--log-level=debug", "run"]
        process = start(command, log, stack, env=said, cwd=tmp_path)
        eventually(lambda: "the control plane is up" in log.read_text(), 30)
        process.send_signal(number)
        process.wait(timeout=20)
    text = log.read_text()
    crashed = number is not signal.SIGTERM
    assert ("Fatal Python error" in text) is crashed, "what Python writes of a crash is looked at too"
    assert "*****" in text
    assert PASSWORD not in text
