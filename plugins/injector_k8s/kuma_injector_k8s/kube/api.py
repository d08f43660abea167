"""Reading from the API server: single answers, and lines that go on. Every failure is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from kuma_core.sdk import KumaError
from kuma_core.sdk.programs import HttpFailure, Rules, exchange, lines, one_line
from kuma_injector_k8s.kube.access import Access

ANSWER_SECONDS = 5.0
"""Of one answer; the API server waits 10 seconds for ours."""
LARGEST_ANSWER = 64 * 1024 * 1024
LONGEST_LINE = 8 * 1024 * 1024
"""What one event of a watch may have; an object has 1.5 MiB at most."""


class ApiFailure(KumaError):
    """There is no answer, or one that says no, with its HTTP code in ``code``."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class Api:
    """Asks one API server. Safe for use from several threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.where = f"the Kubernetes API at {access.url}"

    def get(self, path: str) -> dict[str, Any]:
        """An object, or a list. Raises ApiFailure."""
        try:
            rules = Rules(ANSWER_SECONDS, LARGEST_ANSWER, tls=self._access.tls(), proxies=False)
            answer = exchange("GET", self._access.url + path, self._headers(), None, rules)
        except (HttpFailure, OSError, ValueError) as error:
            raise ApiFailure(f"{self.where} cannot be asked: {_said(error)}") from error
        found = self._read(answer.body)
        if answer.status != 200:
            raise self._refusal(answer.status, found)
        return found

    @contextmanager
    def watch(
        self, path: str, parameters: Mapping[str, str], silence: float
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """The events of a watch, as they come; broken after so many seconds without one. Raises ApiFailure."""
        url = f"{self._access.url}{path}?{urlencode(parameters)}"
        try:
            rules = Rules(silence, LONGEST_LINE, tls=self._access.tls(), proxies=False)
            with lines(url, self._headers(), rules) as (status, found):
                if status != 200:
                    raise self._refusal(status, self._read(b"".join(found)))
                yield map(self._read, found)
        except (HttpFailure, OSError, ValueError) as error:
            raise ApiFailure(f"{self.where} cannot be watched: {_said(error)}") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "kuma-injector"}
        token = self._access.token()
        return {**headers, "Authorization": f"Bearer {token}"} if token else headers

    def _read(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ApiFailure(f"{self.where} sent something that is no JSON object")
        return found

    def _refusal(self, code: int, status: Mapping[str, Any]) -> ApiFailure:
        return ApiFailure(one_line(str(status.get("message") or f"{self.where} answered {code}"))[:500], code)


def _said(error: BaseException) -> str:
    if isinstance(error, HttpFailure):
        return error.phrase
    return getattr(error, "strerror", None) or str(error)
