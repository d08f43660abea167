"""The AdmissionReview of ``admission.k8s.io/v1``: the question about a Pod, and the answers. Pure functions."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kuma_injector_k8s.injection.pods import Object, Undecodable, member

API_VERSION = "admission.k8s.io/v1"

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What the API server asks: about a Pod that somebody creates; ``is_new_pod`` is false for anything else."""

    uid: str
    pod: Object
    namespace: str
    is_new_pod: bool


def read(body: bytes) -> Mapping[str, Any]:
    """The review as JSON. Raises Undecodable."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"the body is not JSON: {error}") from None
    if not isinstance(found, Mapping):
        raise Undecodable("the body is not a JSON object")
    return found


def uid_of(review: Mapping[str, Any]) -> str:
    """The uid that the answer has to repeat. Raises Undecodable: without it there is nothing to answer to."""
    uid = member(review, "request").get("uid")
    if not uid or not isinstance(uid, str):
        raise Undecodable("this is no AdmissionReview: it has no request.uid")
    return uid


def question(review: Mapping[str, Any]) -> Question:
    """What a review asks. Raises Undecodable for another version of the API, or members of a wrong type."""
    if review.get("apiVersion") != API_VERSION:
        raise Undecodable(f'apiVersion has to be {API_VERSION}, got "{review.get("apiVersion")!s:.80}"')
    request = member(review, "request")
    kind = member(request, "kind")
    is_pod = (kind.get("group") or "", kind.get("kind")) == ("", "Pod")
    pod = member(request, "object")
    if is_pod and "spec" not in pod:
        raise Undecodable("request.object is no Pod: it has no spec")
    is_new = is_pod and request.get("operation") == "CREATE" and not request.get("subResource")
    return Question(uid_of(review), pod, str(request.get("namespace") or ""), is_new)


def allowed(uid: str, patch: Sequence[Mapping[str, Any]] = ()) -> Answer:
    """The Pod may come, changed by the operations if there are any."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if patch:
        text = json.dumps(list(patch), separators=(",", ":")).encode()
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(text).decode()}
    return _review(response)


def refused(uid: str, code: int, message: str) -> Answer:
    """The Pod may not come."""
    status = {"status": "Failure", "code": code, "message": message}
    return _review({"uid": uid, "allowed": False, "status": status})


def _review(response: dict[str, Any]) -> Answer:
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
