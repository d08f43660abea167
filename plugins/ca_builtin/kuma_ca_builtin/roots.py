"""What the secret of a mesh holds: its roots, the first of which signs, and how far a rotation is.

Kuma 0.3.1 reads the roots of it as they are, and passes over the rest.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kuma_core.sdk import KumaError, Rotation, RotationStage, Secret


def secret_name(mesh: str) -> str:
    """Where the roots of a mesh are."""
    return f"builtinca.{mesh}"


@dataclass(frozen=True, slots=True)
class Root:
    """A certificate that signs, and its key, both in PEM."""

    cert: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """The roots that are trusted, and how far the first one is from being another. A state of the machine:

    ``[old]`` → rotate → ``[old, new]`` trusting → advance → ``[new, old]`` signing → advance → ``[new]``
    """

    roots: tuple[Root, ...]
    rotation: Rotation | None = None

    def rotated(self, new: Root) -> Kept:
        """The new root is trusted from now on, and does not sign yet."""
        return Kept((*self.roots, new), _stage(secrets.token_hex(8), RotationStage.TRUSTING))

    def advanced(self) -> Kept:
        """The next state; only while a rotation goes on. A root that was there beside the old one stays."""
        assert self.rotation is not None
        if self.rotation.stage is RotationStage.SIGNING:
            return Kept((self.roots[0], *self.roots[2:]))
        *others, new = self.roots
        name = self.rotation.id.rpartition("-")[0]
        return Kept((new, *others), _stage(name, RotationStage.SIGNING))


def _stage(rotation: str, stage: RotationStage) -> Rotation:
    since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Rotation(f"{rotation}-{stage.value}", stage, since)


def encode(kept: Kept) -> bytes:
    """The secret's value: JSON, its PEM texts in base64."""
    written: dict[str, Any] = {
        "roots": [{"cert": _base64(root.cert), "key": _base64(root.key)} for root in kept.roots]
    }
    if kept.rotation:
        rotation = kept.rotation
        written["rotation"] = {"id": rotation.id, "stage": rotation.stage.value, "since": rotation.since}
    return json.dumps(written).encode()


def decode(secret: Secret) -> Kept:
    """What the secret holds, which is one root at least; raises ``KumaError``, which shows nothing of it."""
    try:
        found = json.loads(secret.value)
        roots = tuple(Root(base64.b64decode(r["cert"]), base64.b64decode(r["key"])) for r in found["roots"])
        rotation = _rotation(found.get("rotation"), roots)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KumaError(f'the secret "{secret.name}" holds no roots that can be read') from None
    if not roots:
        raise KumaError(f'the secret "{secret.name}" holds no root')
    return Kept(roots, rotation)


def _rotation(found: Any, roots: Sequence[Root]) -> Rotation | None:
    if found is None:
        return None
    if len(roots) < 2:
        raise ValueError("there is nothing to exchange")
    return Rotation(str(found["id"]), RotationStage(found["stage"]), str(found["since"]))


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
