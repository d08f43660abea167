"""What went wrong between us and the database, in one sentence that never holds a password."""

from __future__ import annotations

import re

import psycopg
import sqlalchemy.exc

ERRORS = (psycopg.Error, sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError)
"""Everything that the driver, SQLAlchemy and its pool raise for a database that does not do as it should."""

_LONGEST = 400

_HINTS = {
    "42P01": "its tables are missing; run `kuma-cp migrate up`",
    "42501": "its user may not do this; give it the rights to read and write the tables of Kuma",
    "57014": "a statement took too long (store.postgres.statementTimeout)",
}
"""By SQLSTATE, in words that fit behind the name of the database."""

_NO_WRITES = {
    "53100": "its disk is full",
    "25006": "it is read-only, as a replica is",
}
"""By SQLSTATE, why a database that can be read cannot be written to."""

_REFUSALS = (
    ("password authentication failed", "user or password is wrong (store.postgres.user and .password)"),
    ("no password supplied", "it asks for a password (store.postgres.password)"),
    ('role ".*" does not exist', "there is no such user (store.postgres.user)"),
    (
        'database ".*" does not exist',
        "there is no database of that name (store.postgres.dbName); create it first",
    ),
    (
        "no pg_hba.conf entry",
        "it lets nobody in like this; look at its pg_hba.conf and at store.postgres.tls.mode",
    ),
    ("server does not support SSL", "it offers no TLS; look at store.postgres.tls.mode"),
    ("certificate verify failed", "its certificate is not from the authority in store.postgres.tls.caPath"),
    ("does not match host name", "its certificate is for another host than store.postgres.host"),
    ("root certificate file", "store.postgres.tls.caPath cannot be used"),
    ("could not load SSL", "a file of store.postgres.tls cannot be used"),
    ("could not read SSL", "a file of store.postgres.tls cannot be used"),
    ("certificate file", "store.postgres.tls.certPath cannot be used"),
    ("private key file", "store.postgres.tls.keyPath cannot be used"),
    ("could not read root certificate", "store.postgres.tls.caPath cannot be used"),
)
"""What a database or libpq says (as a pattern) where no waiting helps, and what that means."""

_CROWDED = "too many clients|too many connections|remaining connection slots"
"""What a database says that takes no more connections (as a pattern); waiting may help."""

_NOISE = (
    r"(connection failed: )?connection to server (at|on socket) .*? failed: ",
    r"consuming input failed: ",
    r"Is the server running on that host and accepting TCP/IP connections\?",
    r"This probably means the server terminated abnormally\s+before or while processing the request\.",
)
"""What libpq and the driver put around what happened."""


def sentence(error: BaseException, where: str) -> str:
    """The whole message for a user; ``where`` names the database."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return f"{where} is busy: every connection is in use (store.postgres.maxOpenConnections)"
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    text = said(cause)
    known = {**_HINTS, **_NO_WRITES}.get(state or "") or refusal(cause) or _crowded(text)
    if known:
        return f"{where} cannot be used: {known} ({text})"
    return f"{where} cannot be reached: {text}" if state is None else f"{where} failed: {text}"


def _crowded(text: str) -> str | None:
    if not re.search(_CROWDED, text):
        return None
    return "it takes no more connections; raise its limit, or lower store.postgres.maxOpenConnections"


def is_read_only(error: BaseException) -> bool:
    """Whether the server takes no writes: another one may, under the same name."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None) == "25006"


def no_writes(error: BaseException) -> str | None:
    """Why nothing can be written, if it can still be read; else ``None``."""
    cause = getattr(error, "orig", None) or error
    return _NO_WRITES.get(getattr(cause, "sqlstate", None) or "")


def refusal(error: BaseException) -> str | None:
    """What is wrong, if trying to connect again would be refused again; else ``None``."""
    text = str(error)
    return next((why for pattern, why in _REFUSALS if re.search(pattern, text)), None)


def said(error: BaseException) -> str:
    """What the database or libpq said, on one line and without the address, which is told already."""
    diagnosis = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = diagnosis or str(error) or type(error).__name__
    for noise in _NOISE:
        text = re.sub(noise, "", text)
    return re.sub(r"\s+", " ", text).strip()[:_LONGEST]
