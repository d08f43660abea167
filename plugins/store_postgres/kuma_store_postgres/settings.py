"""The keys of ``store.postgres`` that Kuma 0.3.1 lacks; the kernel owns all others."""

from __future__ import annotations

from kuma_core.sdk import DURATION, NUMBER, Setting

SECTION = "Store validation failed: Postgres"
CHOSEN = ("store.type", "postgres")
SECOND = 1_000_000_000

MOST_CONNECTIONS = 1000


def _connections(value: int) -> str | None:
    if value <= 0:
        return f"MaxOpenConnections must be positive, from 1 to {MOST_CONNECTIONS}"
    return None if value <= MOST_CONNECTIONS else f"MaxOpenConnections must be from 1 to {MOST_CONNECTIONS}"


def _statement_timeout(value: int) -> str | None:
    """PostgreSQL counts in milliseconds, up to 24 days."""
    if value < SECOND // 1000:
        return "StatementTimeout must be at least 1ms, from 1ms to 1h"
    return None if value <= 3600 * SECOND else "StatementTimeout must be from 1ms to 1h"


SETTINGS = (
    Setting(
        "store.postgres.maxOpenConnections",
        "KUMA_STORE_POSTGRES_MAX_OPEN_CONNECTIONS",
        20,
        NUMBER,
        f"How many connections may be open at once; one more listens for changes. From 1 to {MOST_CONNECTIONS}.",
        SECTION,
        _connections,
        checked_if=CHOSEN,
    ),
    Setting(
        "store.postgres.statementTimeout",
        "KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT",
        10 * SECOND,
        DURATION,
        "How long one statement may take before it is given up. From 1ms to 1h.",
        SECTION,
        _statement_timeout,
        checked_if=CHOSEN,
    ),
)
