"""The spec of a Secret: bytes that the control plane keeps for itself."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Self

from pydantic import Field

from kuma_core.specs.base import Spec


class SecretSpec(Spec):
    """Opaque bytes, shown by no ``repr``. The stored document is a JSON string of base64."""

    value: bytes = Field(default=b"", repr=False)

    @classmethod
    def from_stored(cls, document: Any) -> Self:
        """Decode the text; the error tells nothing of what is in it."""
        if not isinstance(document, str):
            raise ValueError("expected a text in base64")
        try:
            return cls(value=base64.b64decode(document, validate=True))
        except binascii.Error:
            raise ValueError("the text is not base64") from None

    def to_stored(self) -> str:
        """The bytes as a text in standard base64."""
        return base64.b64encode(self.value).decode("ascii")
