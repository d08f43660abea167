"""``kumactl install database-schema``."""

from __future__ import annotations

import subprocess
import sys

from kuma_store_postgres.schema import schema_sql
from tests.kumactl.conftest import Call


def test_the_schema(kumactl: Call) -> None:
    result = kumactl("install", "database-schema")
    assert (result.code, result.err, result.out[-1:]) == (0, "", "\n")
    assert "CREATE TABLE IF NOT EXISTS resources" in result.out
    assert result.out == kumactl("install", "database-schema", "--target=postgres").out
    assert (
        kumactl("install", "database-schema", "--target", "mysql").err
        == "Error: unknown target type: mysql\n"
    )


def test_it_is_the_whole_schema_of_this_store(kumactl: Call) -> None:
    assert kumactl("install", "database-schema").out == schema_sql() + "\n"


def test_it_needs_no_library_of_databases() -> None:
    code = "import sys, kuma_store_postgres.commands; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert {"alembic", "psycopg", "sqlalchemy", "pydantic"}.isdisjoint(done.stdout.split())
