"""The keys of ``store.postgres`` that Kuma 0.3.1 lacks; the kernel owns all others."""

from __future__ import annotations

from kuma_core.sdk import DURATION, NUMBER, Setting

SECTION = "Store validation failed: Postgres"
CHOSEN = ("store.type", "postgres")
SECOND = 1_000_000_000

SETTINGS = (
    Setting(
        "store.postgres.maxOpenConnections",
        "KUMA_STORE_POSTGRES_MAX_OPEN_CONNECTIONS",
        20,
        NUMBER,
        "How many connections may be open at once; one more listens for changes.",
        SECTION,
        lambda value: None if value > 0 else "MaxOpenConnections must be positive",
        checked_if=CHOSEN,
    ),
    Setting(
        "store.postgres.statementTimeout",
        "KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT",
        10 * SECOND,
        DURATION,
        "How long one statement may take before it is given up.",
        SECTION,
        lambda value: None if value >= SECOND // 1000 else "StatementTimeout must be at least 1ms",
        checked_if=CHOSEN,
    ),
)
