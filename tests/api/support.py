"""A store that fails on demand, and an HTTP client that sends exactly what it is told to."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from kuma_core.sdk import Config, KumaError, ResourceType, StoreFactory, StoreUnavailable, hookimpl
from kuma_store_memory.store import MemoryStore


class BreakableStore(MemoryStore):
    """A memory store; its verbs raise ``failure`` while there is one."""

    failure: Exception | None = None
    goes_on: threading.Event | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in ("get", "list", "create", "update", "delete") and self.goes_on:
            self.goes_on.wait(30)
        if name in ("get", "list", "create", "update", "delete") and self.failure:
            raise self.failure
        return super().__getattribute__(name)


class BreakableStorePlugin:
    """Brings ``store``, and kinds that a test made up."""

    def __init__(self, *kinds: ResourceType) -> None:
        self.store = BreakableStore()
        self._kinds = kinds

    @hookimpl
    def kuma_register_stores(self) -> list[StoreFactory]:
        return [StoreFactory("memory", self._open)]

    @hookimpl
    def kuma_register_resource_types(self) -> list[ResourceType]:
        return list(self._kinds)

    @contextmanager
    def _open(self, config: Config) -> Iterator[MemoryStore]:
        yield self.store

    @contextmanager
    def broken(self, failure: Exception | None = None) -> Iterator[None]:
        """While this lasts, every verb fails."""
        self.store.failure = failure or StoreUnavailable("the disk is on fire")
        try:
            yield
        finally:
            self.store.failure = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """While this lasts, no verb answers."""
        self.store.goes_on = goes_on = threading.Event()
        try:
            yield
        finally:
            self.store.goes_on = None
            goes_on.set()


class Defect(KumaError):
    """Something that a store should not raise."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, of a request that was written by hand."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def error(self) -> dict[str, Any]:
        """The body, which must be the one shape that every error has."""
        assert self.headers["Content-Type"] == "application/json", self
        body: dict[str, Any] = json.loads(self.body)
        assert_error(body)
        return body


def assert_error(body: Any) -> None:
    """Fails unless ``body`` is an error in the one shape."""
    assert isinstance(body, dict), body
    assert set(body) <= {"title", "details", "causes"}, body
    assert isinstance(body["title"], str)
    assert body["title"]
    assert isinstance(body["details"], str)
    assert body["details"]
    for cause in body.get("causes", ()):
        assert set(cause) == {"field", "message"}, cause


def send(
    port: int, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Reply:
    """Send a request whose target and headers are not touched; ``Content-Length`` is added to a body."""
    lines = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
    if body and "Transfer-Encoding" not in lines:
        lines.setdefault("Content-Length", str(len(body)))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{key}: {lines[key]}\r\n" for key in lines)
    return send_bytes(port, head.encode("latin-1") + b"\r\n" + body, method)


def send_bytes(port: int, data: bytes, method: str = "GET") -> Reply:
    """Send these bytes and read one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(data)
        return read_reply(connection, method)


def read_reply(connection: socket.socket, method: str = "GET") -> Reply:
    """One answer from a connection."""
    with closing(http.client.HTTPResponse(connection, method=method)) as response:
        response.begin()
        return Reply(response.status, response.headers, response.read())
