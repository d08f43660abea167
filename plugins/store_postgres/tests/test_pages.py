"""The pages about this store: compared with the settings, and executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import kuma_store_postgres
from kuma_core.testing.platform import make_catalog
from kuma_store_postgres.database import LIVENESS, TLS_MODES
from kuma_store_postgres.migration import migration_status
from kuma_store_postgres.opening import open_store
from kuma_store_postgres.statements import CHANNEL

from .server import Server, config_of, psql

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference" / "store-postgres.md").read_text(encoding="utf-8")
HOW_TO, _, AT_NIGHT = (
    (DOCS / "how-to" / "postgres.md").read_text(encoding="utf-8").partition("## At three in the morning")
)


def test_every_setting_has_its_row() -> None:
    rows = re.findall(
        r"^\| `(store\.postgres\.\S+)` \| `(\w+)` \| (\S+) \| (.*) \|$", REFERENCE, re.MULTILINE
    )
    expected = [
        (
            item.path,
            item.env,
            f"`{shown}`" if (shown := item.type.show(item.default)) != "" else "empty",
            item.help,
        )
        for item in make_catalog([kuma_store_postgres]).settings
        if item.path.startswith("store.postgres.")
    ]
    assert sorted(rows) == sorted((path, env, str(shown), text) for path, env, shown, text in expected)


def test_what_the_page_says_of_tls_and_changes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([a-z-]+)` \|", REFERENCE, re.MULTILINE)
    assert dict(rows) == dict(TLS_MODES)
    assert f"`{CHANNEL}`" in REFERENCE
    silence = LIVENESS["keepalives_idle"] + LIVENESS["keepalives_interval"] * LIVENESS["keepalives_count"]
    assert f"within {silence} s" in REFERENCE


def test_the_steps_of_the_how_to(server: Server, tmp_path: Path) -> None:
    """On databases and a user of their own names; the grants for a schema that somebody else made."""
    with server.connect() as admin:
        name = f"kuma_howto_{os.getpid()}"
        text = HOW_TO.replace("localhost", server.host).replace("=5432", f"={server.port}")
        text = re.sub(
            r"ROLE kuma\b|OWNER kuma\b|USER=kuma\b|-U kuma\b|TO kuma\b", rf"\g<0>_{os.getpid()}", text
        )
        text = re.sub(r"DATABASE kuma\b|DB_NAME=kuma\b|-d kuma\b", lambda found: found[0][:-4] + name, text)
        create, grant = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
        settings, migrate, by_hand = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        environ = dict(re.findall(r"export (\w+)=(.*)", settings))
        try:
            for statement in create.split(";\n"):
                admin.execute(statement.encode())
            _bash(settings + migrate + by_hand, tmp_path)
            assert migration_status(config_of(environ)).pending == ()
            with server.connect(name) as inside:
                inside.execute(b"REASSIGN OWNED BY kuma_%d TO %s" % (os.getpid(), server.user.encode()))
                inside.execute(grant.encode())
            with open_store(config_of(environ)) as store:
                assert store.list("Mesh") == []
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {name}".encode())
            admin.execute(f"DROP ROLE IF EXISTS kuma_{os.getpid()}".encode())


def _bash(script: str, folder: Path) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), str(Path(psql()).parent), os.environ["PATH"]))
    environ = {"PATH": path, "PGPASSWORD": "kuma-password", "KUMA_PLUGINS": "store_postgres"}
    done = subprocess.run(
        ["bash", "-eu", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "the schema is up to date" in done.stdout
