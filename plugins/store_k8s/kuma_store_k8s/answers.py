"""What an API server answers when it does not do what it was asked, as errors of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kuma_core.sdk import StoreUnavailable, Violation

LONGEST = 600


class Unreachable(StoreUnavailable):
    """No answer came."""


class ApiRefusal(StoreUnavailable):
    """An answer came, and says no. ``wait`` is for how many seconds the server wants to be left alone."""

    def __init__(
        self, code: int, reason: str, message: str, where: str, details: Mapping[str, Any], wait: float
    ) -> None:
        self.code, self.reason, self.message, self.details, self.wait = code, reason, message, details, wait
        super().__init__(f"{where} refused: {message} ({code} {reason})" + _advice(code, message))

    @property
    def is_gone(self) -> bool:
        """Whether the version from which a watch was to begin is no longer known."""
        return self.code == 410 or self.reason in ("Expired", "Gone")

    @property
    def is_conflict(self) -> bool:
        """Whether somebody else was faster."""
        return self.code == 409 and self.reason != "AlreadyExists"

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.code == 429 or self.code >= 500

    @property
    def has_no_kind(self) -> bool:
        """Whether there is no such collection: its custom resource definition is missing."""
        return self.code == 404 and not self.details.get("name")

    @property
    def violations(self) -> list[Violation]:
        """What is wrong with the object that was sent; empty if the refusal has another reason."""
        causes = self.details.get("causes") or ()
        if self.code == 422 or _DENIED.match(self.message):
            found = [
                Violation(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in causes
            ]
            return found or [Violation("", self.message)]
        if self.code == 413 or "too large" in self.message:
            return [Violation("", f"is larger than Kubernetes takes: {self.message}")]
        if self.code == 400 or (self.reason == "NotFound" and self.details.get("kind") == "namespaces"):
            return [Violation("", self.message)]
        if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
            return [Violation("name", self.message)]
        return []


_DENIED = re.compile(r'admission webhook "[^"]*" denied the request')


def _advice(code: int, message: str) -> str:
    if code == 403 and "cannot" in message:
        return '; give the control plane this right: "kumactl install control-plane" prints the roles'
    if code == 401:
        return "; its token is not valid (any more)"
    return ""


def refusal(code: int, body: bytes, retry_after: str, where: str) -> ApiRefusal:
    """The error for an answer with a code that is not 2xx."""
    try:
        status = json.loads(body)
    except ValueError:
        status = {}
    return of_status(status if isinstance(status, dict) else {}, code, body, where, retry_after)


def of_status(
    status: Mapping[str, Any], code: int, body: bytes, where: str, retry_after: str = ""
) -> ApiRefusal:
    """The error for a ``Status`` object, that of an answer or of an event in a watch."""
    message = str(status.get("message") or body.decode("utf-8", "replace")).strip()[:LONGEST]
    details = status.get("details")
    found = details if isinstance(details, dict) else {}
    wait = retry_after if retry_after.isdigit() else str(found.get("retryAfterSeconds") or 0)
    return ApiRefusal(
        int(status.get("code") or code),
        str(status.get("reason") or ""),
        message or "no reason is given",
        where,
        found,
        float(wait) if wait.isdigit() else 0.0,
    )
