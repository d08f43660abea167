"""Secrets in a file of the operator's: encrypted with a passphrase, so that they may lie beside other backups.

Format 1: scrypt makes a key of the passphrase and a random salt, AES-256-GCM encrypts a JSON text with it. In the
document stands ``data``, in base64: salt (16 bytes), nonce (12), ciphertext, tag (16).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from kuma_core.errors import InvalidResource, Violation

TYPE = "SecretsArchive"
FORMAT = 1

MIN_PASSPHRASE, MAX_PASSPHRASE = 12, 1024
"""Characters."""

MAX_DATA = 24 * 1024 * 1024
"""Bytes of an archive before base64."""

COST, BLOCK_SIZE, PARALLEL = 2**15, 8, 3
"""scrypt's n, r and p: 32 MiB and a quarter of a second for each guess, as OWASP recommends."""

SALT_BYTES, NONCE_BYTES = 16, 12
_BOUND_TO = b"kuma-secrets-archive\0\1"
_LINE = 76


@dataclass(frozen=True, slots=True)
class ArchivedSecret:
    """A secret outside of any store."""

    mesh: str
    name: str
    value: bytes = field(repr=False)


def check_passphrase(passphrase: Any) -> str:
    """The passphrase; raises ``InvalidResource``, which does not repeat it."""
    if not isinstance(passphrase, str):
        problem = "expected text" if passphrase is not None else "cannot be empty"
    elif len(passphrase) < MIN_PASSPHRASE:
        problem = f"has fewer than {MIN_PASSPHRASE} characters, which can be guessed"
    elif len(passphrase) > MAX_PASSPHRASE:
        problem = f"has more than {MAX_PASSPHRASE} characters"
    else:
        return passphrase
    raise InvalidResource([Violation("passphrase", problem)], details="The passphrase cannot be used")


def seal(secrets: Iterable[ArchivedSecret], passphrase: str) -> dict[str, Any]:
    """The document with these secrets; another one at each call. Raises ``InvalidResource`` for too many."""
    text = _dump(secrets).encode()
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    data = salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, text, _BOUND_TO)
    if len(data) > MAX_DATA:
        problem = (
            f"together they have more than {MAX_DATA} bytes; take those of each mesh for itself (--mesh)"
        )
        raise InvalidResource([], details=f"The secrets do not fit into one archive: {problem}")
    return {
        "type": TYPE,
        "format": FORMAT,
        "sha256": hashlib.sha256(data).hexdigest(),
        "data": _lines(base64.b64encode(data).decode()),
    }


def _lines(text: str) -> str:
    return "".join(f"{text[at : at + _LINE]}\n" for at in range(0, len(text), _LINE))


def unseal(document: Any, passphrase: str) -> list[ArchivedSecret]:
    """The secrets of a document; raises ``InvalidResource`` that says why it cannot be opened."""
    data = _data(document)
    salt, rest = data[:SALT_BYTES], data[SALT_BYTES:]
    nonce, encrypted = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
    try:
        text = AESGCM(_key(passphrase, salt)).decrypt(nonce, encrypted, _BOUND_TO)
    except (InvalidTag, ValueError):
        raise _unusable("the passphrase is not the one that it was made with") from None
    return _load(text)


def _data(document: Any) -> bytes:
    if not isinstance(document, Mapping) or document.get("type") != TYPE:
        raise _unusable(f"its type is not {TYPE}")
    if document.get("format") != FORMAT:
        found = str(document.get("format"))
        raise _unusable(f"it has the format {found:.20}, and this control plane knows {FORMAT}; upgrade it")
    given = document.get("data")
    if not isinstance(given, str) or len(given) > 2 * MAX_DATA:
        raise _unusable("its data is no text, or too long")
    try:
        data = base64.b64decode("".join(given.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _unusable("its data is no base64: it was cut off or changed") from None
    if hashlib.sha256(data).hexdigest() != document.get("sha256"):
        raise _unusable("its data is not what its sha256 says: it was cut off or changed")
    return data


def _key(passphrase: str, salt: bytes) -> bytes:
    scrypt = Scrypt(salt=salt, length=32, n=COST, r=BLOCK_SIZE, p=PARALLEL)
    return scrypt.derive(passphrase.encode("utf-8", "surrogatepass"))


def _dump(secrets: Iterable[ArchivedSecret]) -> str:
    rows = [
        {"mesh": secret.mesh, "name": secret.name, "value": base64.b64encode(secret.value).decode()}
        for secret in secrets
    ]
    return json.dumps({"secrets": rows}, separators=(",", ":"))


def _load(text: bytes) -> list[ArchivedSecret]:
    """Check every member: anybody who knows the passphrase can write an archive, with anything in it."""
    try:
        rows = json.loads(text)["secrets"]
        found = [
            ArchivedSecret(str(row["mesh"]), str(row["name"]), base64.b64decode(row["value"])) for row in rows
        ]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unusable("what is in it is no list of secrets") from None
    if len({(secret.mesh, secret.name) for secret in found}) != len(found):
        raise _unusable("it holds a secret twice")
    return found


def _unusable(problem: str) -> InvalidResource:
    return InvalidResource([], details=f"The archive of secrets cannot be used: {problem}")
