"""The ids of dataplane tokens that somebody revoked: a Secret that all control planes share."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from kuma_core.builtin.tokens.contract import REVOCATIONS
from kuma_core.builtin.tokens.keys import serial_of
from kuma_core.builtin.tokens.remembered import Remembered
from kuma_core.errors import (
    AlreadyExists,
    Busy,
    Conflict,
    InvalidResource,
    UnreadableResource,
    Violation,
)
from kuma_core.resources.contract import Change, Secret, Secrets
from kuma_core.resources.secrets import CONTROL_PLANE_MESH, SECRET

MAX_REVOCATIONS = 5_000
"""All of them are one secret, which every revocation reads and writes as a whole."""
MAX_ID = 100
"""Characters of an id; ours have 36."""

KEPT_AFTER_EXPIRY = timedelta(days=1)
"""For how long the clock of another control plane may be behind."""

_TRIES = 40
_LONGEST_WAIT_SECONDS = 0.05
"""How long one that lost a race waits: at random, so that the same ones do not meet again."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """A revoked token: its id, when it would end by itself (``None``: never), the serial of the key that signed it
    (``None``: not known).

    Once the token has expired, or its key was retired, nobody believes it anyway, and the entry may go.
    """

    id: str
    expires: datetime | None = None
    key: int | None = None


_Entries = Mapping[str, Revocation]


class Revocations:
    """Reads the revocations and remembers them until the store hints at a change. For several threads."""

    def __init__(self, secrets: Secrets, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._secrets = secrets
        self._now = now
        self.memory: Remembered[_Entries] = Remembered(lambda before: _parse(self._find()))

    def changed(self, change: Change) -> None:
        """Take a hint of the store: what concerns them, or anything at all, has them read again."""
        key = change.key
        if key is None or (key.type, key.mesh, key.name) == (SECRET, CONTROL_PLANE_MESH, REVOCATIONS):
            self.memory.forget()

    def __contains__(self, id: str) -> bool:
        return id in self.memory.get()

    def all(self) -> list[Revocation]:
        """Every entry, by its id."""
        return [entry for _, entry in sorted(self.memory.get().items())]

    def revoke(self, revocation: Revocation) -> bool:
        """Have a token refused from now on; whether that is news.

        Of several control planes that revoke at once each tries until its own entry is in. Raises
        ``InvalidResource`` for an id that is none and when there are too many entries, ``Busy`` if others write all
        the time.
        """
        _check_id(revocation.id)
        for _ in range(_TRIES):
            secret = self._find()
            before = _parse(secret)
            after = self._with(before, revocation)
            if after.get(revocation.id) == before.get(revocation.id):
                return False
            try:
                self._write(secret, after)
            except (AlreadyExists, Conflict):
                time.sleep(random.uniform(0, _LONGEST_WAIT_SECONDS))
                continue
            self.memory.forget()
            return revocation.id not in before
        raise Busy("Other tokens are being revoked all the time; try again")

    def _with(self, before: _Entries, new: Revocation) -> _Entries:
        """The entries that are needed, with a new one."""
        serials = {serial for name in self._secrets.names(CONTROL_PLANE_MESH) if (serial := serial_of(name))}
        after = {**before, new.id: _better(before.get(new.id), new)}
        now = self._now()
        after = {id: entry for id, entry in after.items() if _is_needed(entry, now, serials)}
        if len(after) > MAX_REVOCATIONS:
            raise InvalidResource([], f"{MAX_REVOCATIONS} tokens are revoked, and no more can be: {_WAY_OUT}")
        return after

    def _find(self) -> Secret | None:
        return self._secrets.find(CONTROL_PLANE_MESH, REVOCATIONS)

    def _write(self, secret: Secret | None, entries: _Entries) -> None:
        value = _render(entries.values())
        if secret is None:
            self._secrets.create(CONTROL_PLANE_MESH, REVOCATIONS, value)
        else:
            self._secrets.replace(secret, value)


def united(value: bytes, other: bytes) -> bytes:
    """One secret's value of two: what is revoked in either. Raises ``UnreadableResource``."""
    one, two = (_parse(Secret(CONTROL_PLANE_MESH, REVOCATIONS, each, "")) for each in (value, other))
    return _render({**two, **{id: _better(two.get(id), entry) for id, entry in one.items()}}.values())


_WAY_OUT = (
    "make a new signing key (kumactl rotate signing-key), give the proxies tokens of it, and retire the old key "
    "(kumactl retire signing-key), which makes all of its tokens invalid and their entries needless"
)


def _check_id(id: str) -> None:
    if not (0 < len(id) <= MAX_ID and id.isprintable()):
        raise InvalidResource(
            [Violation("id", f"must be the jti of a token: 1 to {MAX_ID} printable characters")]
        )


def _better(there: Revocation | None, new: Revocation) -> Revocation:
    """Of two entries for one id the one that comes from the token itself, else the one that lasts longer."""
    if there is None or new.key is not None:
        return new
    if there.key is not None or there.expires is None:
        return there
    return new if new.expires is None else (there if there.expires > new.expires else new)


def _is_needed(entry: Revocation, now: datetime, serials: set[int]) -> bool:
    if entry.expires is not None and entry.expires + KEPT_AFTER_EXPIRY < now:
        return False
    return entry.key is None or entry.key in serials


def _render(entries: Iterable[Revocation]) -> bytes:
    """JSON: ``{"revoked": [{"id": …, "expires": seconds since 1970, "key": serial}, …]}``; unknown is left out."""
    listed = [
        {
            "id": entry.id,
            **({} if entry.expires is None else {"expires": int(entry.expires.timestamp())}),
            **({} if entry.key is None else {"key": entry.key}),
        }
        for entry in sorted(entries, key=lambda entry: entry.id)
    ]
    return json.dumps({"revoked": listed}, separators=(",", ":")).encode()


def _parse(secret: Secret | None) -> _Entries:
    """Read the document; no secret is no entry. Raises ``UnreadableResource``."""
    if secret is None:
        return MappingProxyType({})
    try:
        entries = [_entry(item) for item in json.loads(secret.value)["revoked"]]
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        raise UnreadableResource(
            f'the secret "{REVOCATIONS}" is no list of revoked tokens; no token is believed until it is one'
        ) from None
    return MappingProxyType({entry.id: entry for entry in entries})


def _entry(item: Any) -> Revocation:
    id, expires, key = item["id"], item.get("expires"), item.get("key")
    if not isinstance(id, str) or not isinstance(key, int | None):
        raise ValueError
    return Revocation(id, None if expires is None else datetime.fromtimestamp(int(expires), UTC), key)
