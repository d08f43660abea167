"""The AdmissionReview of ``admission.k8s.io/v1``: what a question says, and how it is answered. Pure functions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kuma_core.sdk import Violation
from kuma_runtime_k8s.objects import Undecodable, mapping, text

API_VERSION = "admission.k8s.io/v1"

MOST_WARNINGS, LONGEST_WARNING = 20, 256
"""API servers cut longer warnings off, and drop all that come once there are 4096 bytes of them."""

MOST_CAUSES = 100
"""How many violations an answer lists."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the API server asks: about a write of ``item``, an object of a kind, instead of ``previous``."""

    uid: str
    group: str
    version: str
    kind: str
    name: str
    operation: str
    item: Mapping[str, Any]
    is_dry_run: bool = False


def uid_of(review: Mapping[str, Any]) -> str:
    """The uid that the answer has to repeat. Raises Undecodable: without it there is nothing to answer to."""
    request = mapping(review.get("request"), "request")
    uid = text(request.get("uid"), "request.uid")
    if not uid:
        raise Undecodable("this is no AdmissionReview: it has no request.uid")
    return uid


def question(review: Mapping[str, Any]) -> Question:
    """What a review asks. Raises Undecodable for another version of the API, or members of a wrong type."""
    if review.get("apiVersion") != API_VERSION:
        said = text(review.get("apiVersion"), "apiVersion")
        raise Undecodable(f'apiVersion has to be {API_VERSION}, got "{said:.80}"')
    request = mapping(review.get("request"), "request")
    kind = mapping(request.get("kind"), "request.kind")
    item = mapping(request.get("object"), "request.object")
    return Question(
        uid=uid_of(review),
        group=text(kind.get("group"), "request.kind.group"),
        version=text(kind.get("version"), "request.kind.version"),
        kind=text(kind.get("kind"), "request.kind.kind"),
        name=text(request.get("name"), "request.name"),
        operation=text(request.get("operation"), "request.operation"),
        item=item,
        is_dry_run=request.get("dryRun") is True,
    )


# -- answers


def allowed(
    uid: str, warnings: Sequence[str] = (), patch: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The write may go on, with the operations of a JSON Patch (RFC 6902) if there are any."""
    response: dict[str, Any] = {"uid": uid, "allowed": True, "status": {"code": 200, "message": ""}}
    if patch:
        text = json.dumps(list(patch), separators=(",", ":")).encode()
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(text).decode()}
    return _review(response, warnings)


def refused(uid: str, code: int, message: str, warnings: Sequence[str] = ()) -> dict[str, Any]:
    """The write is refused for another reason than the rules of its kind."""
    status = {"status": "Failure", "code": code, "message": message}
    return _review({"uid": uid, "allowed": False, "status": status}, warnings)


def invalid(
    asked: Question, violations: Sequence[Violation], message: str, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """The write breaks rules; ``kubectl`` shows the message, and programs read the causes."""
    return _with_causes(asked, 422, "Invalid", violations, message, warnings)


def malformed(asked: Question, violations: Sequence[Violation], message: str) -> dict[str, Any]:
    """The object is no resource of its kind: values are of wrong types."""
    return _with_causes(asked, 400, "BadRequest", violations, message, ())


def _with_causes(
    asked: Question,
    code: int,
    reason: str,
    violations: Sequence[Violation],
    message: str,
    warnings: Sequence[str],
) -> dict[str, Any]:
    meta = asked.item.get("metadata")
    name = meta.get("name", asked.name) if isinstance(meta, Mapping) else asked.name
    status = {
        "status": "Failure",
        "reason": reason,
        "code": code,
        "message": message,
        "details": {"name": name, "kind": asked.kind, "causes": list(_causes(violations))},
    }
    return _review({"uid": asked.uid, "allowed": False, "status": status}, warnings)


def _causes(violations: Sequence[Violation]) -> Iterable[dict[str, str]]:
    for violation in violations[:MOST_CAUSES]:
        yield {"reason": "FieldValueInvalid", "message": violation.message, "field": violation.field}


def _review(response: dict[str, Any], warnings: Sequence[str]) -> dict[str, Any]:
    if warnings:
        response["warnings"] = _bounded(warnings)
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


def _bounded(warnings: Sequence[str]) -> list[str]:
    """At most ``MOST_WARNINGS``, of which the last says how many more there are, on one line each."""
    if len(warnings) > MOST_WARNINGS:
        more = len(warnings) - MOST_WARNINGS + 1
        warnings = [*warnings[: MOST_WARNINGS - 1], f"and {more} more warnings"]
    return [" ".join(warning.split())[:LONGEST_WARNING] for warning in warnings]
