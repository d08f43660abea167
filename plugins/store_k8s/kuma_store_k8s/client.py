"""The API server over HTTP: JSON in, JSON out, every failure one sentence of ours.

``lightkube`` finds the cluster and proves who we are (service account, whose token it reads again when the API server
refuses it; kubeconfig; client certificates; programs that give tokens). Its classes for objects we leave out: an object
has to keep what we do not know of it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
from lightkube import KubeConfig
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.core.exceptions import ConfigError as LightkubeConfigError

from kuma_core.sdk import ConfigError
from kuma_store_k8s.answers import Unreachable, refusal

Json = dict[str, Any]

ANSWER_SECONDS = 10.0
"""How long an answer may be silent."""
CONNECT_SECONDS = 5.0
LONGEST_LINE = 8 * 1024 * 1024
"""What one event of a watch may have; an object has 1.5 MiB at most."""

MERGE_PATCH = "application/merge-patch+json"


class ApiClient:
    """Asks one API server. Safe for use from several threads."""

    def __init__(self, http: httpx.Client, where: str) -> None:
        self._http = http
        self.where = where

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **parameters: str) -> Json:
        """An object, or a list. Raises ``ApiRefusal`` or ``Unreachable``, as every verb does."""
        return self.ask("GET", path, parameters)

    def create(self, path: str, item: Mapping[str, Any]) -> Json:
        """Create an object in a collection."""
        return self.ask("POST", path, body=item)

    def replace(self, path: str, item: Mapping[str, Any]) -> Json:
        """Replace an object; with a ``resourceVersion`` only the one of that version."""
        return self.ask("PUT", path, body=item)

    def merge(self, path: str, change: Mapping[str, Any]) -> Json:
        """Merge a change into an object."""
        return self.ask("PATCH", path, body=change, type=MERGE_PATCH)

    def delete(self, path: str, uid: str = "") -> None:
        """Delete an object; with a uid only the one that has it."""
        self.ask("DELETE", path, body={"preconditions": {"uid": uid}} if uid else None)

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        type: str = "application/json",
    ) -> Json:
        """One exchange."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": type} if content else {}
        with self._explained():
            answer = self._http.request(method, path, params=parameters, content=content, headers=headers)
        if not answer.is_success:
            raise refusal(
                answer.status_code, answer.content, answer.headers.get("Retry-After", ""), self.where
            )
        try:
            found: Json = json.loads(answer.content)
        except ValueError as error:
            raise Unreachable(f"{self.where} answered with something that is not JSON: {error}") from error
        return found

    @contextmanager
    def lines(self, path: str, parameters: Mapping[str, str], silence: float) -> Iterator[Lines]:
        """The lines of an answer that goes on; it is broken after so many seconds without a byte.

        Its connection is for it alone: a server may close one after a watch, and a write that was just sent on it would
        be lost.
        """
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=silence)
        alone = {"Connection": "close"}
        with (
            self._explained(),
            self._http.stream("GET", path, params=parameters, headers=alone, timeout=timeout) as answer,
        ):
            if not answer.is_success:
                text = answer.read()
                raise refusal(answer.status_code, text, answer.headers.get("Retry-After", ""), self.where)
            yield Lines(answer)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise Unreachable(f"{self.where} cannot be reached: {said}") from error
        except (OSError, LightkubeConfigError) as error:  # the file of a token, a program that gives tokens
            raise Unreachable(f"{self.where} cannot be asked: {error}") from error


class Lines:
    """The lines of an answer, one by one. ``end`` wakes whoever waits for the next."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        """A rest without a line end is no line: the answer was cut. Lines end at a line feed and nowhere else."""
        rest = b""
        for piece in self._answer.iter_bytes():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > LONGEST_LINE:
                raise httpx.DecodingError("a line has no end")

    def end(self) -> None:
        """End the answer, from any thread: its reader finds it at an end."""
        stream = self._answer.extensions.get("network_stream")
        connection = stream and stream.get_extra_info("socket")
        with suppress(OSError):
            if connection:
                connection.shutdown(socket.SHUT_RDWR)


def part(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def connect() -> ApiClient:
    """A client of the cluster that we run in, else of the kubeconfig. Raises ``ConfigError``."""
    try:
        config = KubeConfig.from_env().get()
        if config is None:
            raise ConfigError("the kubeconfig chooses no cluster: set its current-context")
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        http = Client(config, ConnectionParams(timeout=timeout))
    except Exception as error:  # a file of the operator's, and the library takes what is in it as it comes
        said = str(error) if isinstance(error, LightkubeConfigError | OSError | ConfigError) else repr(error)
        raise ConfigError(
            f"the Kubernetes API cannot be found: {said}. Outside of a cluster KUBECONFIG names a file "
            f"({os.environ.get('KUBECONFIG') or '~/.kube/config'} is read)"
        ) from error
    http.headers |= {
        "User-Agent": "kuma-cp",
        "Accept-Encoding": "identity",  # what is compressed waits in the server until there is more of it
    }
    return ApiClient(http, f"the Kubernetes API at {config.cluster.server}")
