"""What a ServiceAccount token says of itself, read before anybody is asked whether it is true.

So rubbish, tokens that have ended, and those for somebody else never reach the API server. Nothing is believed here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONGEST = 16 * 1024
"""Characters; tokens of API servers have some 1 200."""

USER = "system:serviceaccount:"
"""What the name of every ServiceAccount's user begins with; its namespace and its name follow."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: whose it is, until when it is good, for whom, and in which Pod, if it says so."""

    namespace: str
    expires: datetime | None
    audiences: tuple[str, ...] = ()
    pod: str = ""


def read(token: str) -> Claims | None:
    """What a token says; ``None`` for what is no token of a ServiceAccount."""
    parts = token.split(".")
    if len(token) > LONGEST or len(parts) != 3 or not all(parts):
        return None
    try:
        claims = json.loads(_decoded(parts[1]))
        json.loads(_decoded(parts[0]))
    except (ValueError, RecursionError, binascii.Error):
        return None
    return _claims(claims) if isinstance(claims, dict) else None


def _decoded(part: str) -> bytes:
    if not part.isascii() or set(part) & set("+/="):
        raise ValueError("this is no base64 for URLs")
    return base64.b64decode(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4), validate=True)


def _claims(said: Mapping[str, Any]) -> Claims | None:
    subject = said.get("sub")
    if not isinstance(subject, str) or not subject.startswith(USER):
        return None
    namespace, colon, account = subject.removeprefix(USER).partition(":")
    expires = _moment(said["exp"]) if "exp" in said else None
    if not (namespace and colon and account) or ("exp" in said and expires is None):
        return None
    own = said.get("kubernetes.io")
    pod = own.get("pod") if isinstance(own, Mapping) else None
    name = pod.get("name") if isinstance(pod, Mapping) else ""
    return Claims(namespace, expires, _texts(said.get("aud")), name if isinstance(name, str) else "")


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _texts(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(item for item in listed if isinstance(item, str))
