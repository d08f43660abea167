"""A connection that does not wait for ever, not even for a server that hangs without closing it."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus


class PatientConnection(psycopg.Connection):
    """Closes itself when a statement has no answer after ``patience`` seconds (``None``: waits for ever).

    The database's own ``statement_timeout`` comes first; this is for a server that cannot even tell that.
    """

    patience: float | None = None

    def wait(self, gen: Any, *more: Any, **options: Any) -> Any:
        """What every verb of the driver goes through."""
        if self.patience is None or more or "timeout" in options:
            return super().wait(gen, *more, **options)
        begun = time.monotonic()
        try:
            return super().wait(gen, timeout=self.patience, **options)
        except psycopg.OperationalError:
            hangs = self.pgconn.transaction_status == TransactionStatus.ACTIVE
            if not hangs or time.monotonic() - begun < self.patience:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {self.patience:g} s") from None
