"""The questions over HTTP: a WSGI app, which answers 200 to every AdmissionReview, whatever becomes of it.

The API server adds ``?timeout=10s`` to the paths; they count without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kuma_core.sdk import KumaError
from kuma_core.sdk.http import read_json
from kuma_runtime_k8s.admission import review
from kuma_runtime_k8s.admission.answers import Admission
from kuma_runtime_k8s.objects import GROUP, VERSION, Undecodable

_DASHED = f"{GROUP.replace('.', '-')}-{VERSION}"
VALIDATE = f"/validate-{_DASHED}"
DEFAULT = f"/default-{_DASHED}-"
"""What the paths of defaults begin with; the kind in small letters follows."""

MOST_BYTES = 8 * 1024 * 1024
"""Of a question: it holds an object as it was and as it is to be, each of 1.5 MiB at most as etcd has them."""

Start = Callable[[str, list[tuple[str, str]]], Any]


class AdmissionApp:
    """Serves ``Admission`` as ``VALIDATE`` and ``DEFAULT``."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def __call__(self, environ: Mapping[str, Any], start_response: Start) -> Iterable[bytes]:
        status, answer = self._respond(environ)
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _respond(self, environ: Mapping[str, Any]) -> tuple[str, Any]:
        path = environ.get("PATH_INFO", "")
        if path != VALIDATE and not path.startswith(DEFAULT):
            return "404 Not Found", {"title": "Not found", "details": f"questions go to {VALIDATE}"}
        if environ.get("REQUEST_METHOD") != "POST":
            return "405 Method Not Allowed", {"title": "Method not allowed", "details": "use POST"}
        try:
            asked = read_json(environ["wsgi.input"].read())
            uid = review.uid_of(asked)
        except KumaError as error:
            return "400 Bad Request", {"title": "This is no AdmissionReview", "details": str(error)}
        return "200 OK", self._answer(path, uid, asked)

    def _answer(self, path: str, uid: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            question = review.question(asked)
        except Undecodable as error:
            return review.refused(uid, 400, str(error))
        if path == VALIDATE:
            return self._admission.validate(question)
        if path != DEFAULT + question.kind.lower():
            return review.refused(uid, 400, f"{path} has no defaults for the kind {question.kind:.80}")
        return self._admission.default(question)
