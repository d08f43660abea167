"""What the how-to promises for three in the morning: a changed password, a backup that is restored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kuma_store_postgres
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_store_postgres.migration import migrate_up

from .server import Server, config_of, psql
from .test_pages import AT_NIGHT
from .test_platform import ORDERS, _client, _sees, ready

PLUGINS = [kuma_store_postgres]
ROLE = f"kuma_night_{os.getpid()}"


@pytest.fixture
def environ(server: Server) -> Iterator[dict[str, str]]:
    """A database of that name, and its owner."""
    with server.connect() as admin:
        admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'before'".encode())
        admin.execute(f"CREATE DATABASE {ROLE} OWNER {ROLE} ENCODING 'UTF8' TEMPLATE template0".encode())
    who = {"KUMA_STORE_POSTGRES_USER": ROLE, "KUMA_STORE_POSTGRES_PASSWORD": "before"}
    environ = server.environ(ROLE) | who
    migrate_up(config_of(environ))
    try:
        yield environ
    finally:
        with server.connect() as admin:
            server.terminate_clients(ROLE)
            admin.execute(f"DROP DATABASE IF EXISTS {ROLE}".encode())
            admin.execute(f"DROP ROLE {ROLE}".encode())


def test_a_password_that_was_changed(server: Server, environ: dict[str, str]) -> None:
    """Open connections go on; without them there is the sentence; with the password it goes on."""
    with running_platform(PLUGINS, environ) as cp, server.connect() as admin:
        cp.apply(ORDERS)
        admin.execute(f"ALTER ROLE {ROLE} PASSWORD 'after'".encode())
        assert cp.get("/meshes/default/dataplanes/orders-1").status == 200
        server.terminate_clients(ROLE)
        eventually(lambda: ready(cp) == 503)
        answer = cp.request("GET", "/ready", port=cp.diagnostics)
        assert "user or password is wrong" in str(answer.body)
        assert "before" not in str(answer.body)
        with running_platform(PLUGINS, environ | {"KUMA_STORE_POSTGRES_PASSWORD": "after"}) as other:
            assert other.get("/meshes/default/dataplanes/orders-1").status == 200
        admin.execute(f"ALTER ROLE {ROLE} PASSWORD 'before'".encode())
        eventually(lambda: ready(cp) == 200, 30)


def test_a_backup_that_is_restored_under_a_running_control_plane(
    server: Server, environ: dict[str, str], tmp_path: Path
) -> None:
    """By the commands of the page. Nobody sees half of it, and proxies follow."""
    (restore,) = re.findall(r"```bash\n(.*?)```", AT_NIGHT, re.DOTALL)
    restore = restore.replace("dropdb kuma", "dropdb --force kuma")
    restore = re.sub(r"\bkuma\b(?![-.])", ROLE, restore)
    with running_platform(PLUGINS, environ) as cp, fleet(cp) as envoys:
        cp.apply(ORDERS, _client())
        envoy = envoys.connect(DeltaClient("default.web-1"))
        eventually(lambda: _sees(envoy.client, "10.0.0.1"))
        _run(server, environ, tmp_path, f"pg_dump {ROLE} > kuma.sql")
        cp.apply(dataplane("orders-1", inbound("10.0.0.9:80:80", "orders")), {**ORDERS, "name": "late"})
        eventually(lambda: _sees(envoy.client, "10.0.0.9"))
        _run(server, environ, tmp_path, restore)
        eventually(lambda: _sees(envoy.client, "10.0.0.1") and not _sees(envoy.client, "10.0.0.9"), 20)
        eventually(lambda: cp.get("/meshes/default/dataplanes/late").status == 404)
        cp.apply(dataplane("orders-1", inbound("10.0.0.8:80:80", "orders")))
        eventually(lambda: _sees(envoy.client, "10.0.0.8"))
        removed = [item for item in envoy.client.received if "orders" in item.removed]
    assert removed == [], "the proxy was never emptied"


def test_the_query_for_who_has_all_connections(server: Server) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", AT_NIGHT, re.DOTALL)
    with server.connect() as admin:
        assert admin.execute(query.encode()).fetchall()


def _run(server: Server, environ: dict[str, str], folder: Path, script: str) -> None:
    programs = [str(Path(sys.executable).parent), str(Path(psql()).parent), os.environ["PATH"]]
    where = {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": server.user}
    settings = {"PATH": os.pathsep.join(programs), "PGPASSWORD": server.password, **where, **environ}
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**settings, "KUMA_PLUGINS": "store_postgres"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
