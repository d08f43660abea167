"""Asks a control plane as from other addresses: by its own apps, with the environ that a server would have made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from falcon.testing import create_environ

from kuma_core.plugin.contract import WsgiServer
from kuma_core.testing.platform import JsonAnswer, RunningPlatform

HERE, ELSEWHERE, ELSEWHERE6 = "127.0.0.1", "192.0.2.7", "2001:db8::7"
STRANGERS = [ELSEWHERE, ELSEWHERE6, "::ffff:192.0.2.7"]


@dataclass(frozen=True)
class Asker:
    """Somebody at an address, with a token or without one."""

    cp: RunningPlatform
    address: str = ELSEWHERE
    token: str = ""

    def __call__(
        self, method: str, path: str, body: Any = None, server: str = "", **headers: str
    ) -> JsonAnswer:
        """The answer of the REST API, or of the server of that name."""
        path, _, query = path.partition("?")
        sent = {"Content-Type": "application/json", "Host": "localhost", **headers}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        environ = create_environ(
            path, query, method=method, headers=sent, remote_addr=self.address, body=_encoded(body)
        )
        app = _app(self.cp, server or "api-server")
        told: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], *rest: object) -> None:
            told.update(status=int(status[:3]), headers=dict(headers))

        content = b"".join(app(environ, start))
        is_json = "json" in told["headers"].get("content-type", told["headers"].get("Content-Type", ""))
        value = json.loads(content) if is_json and content else content.decode()
        return JsonAnswer(told["status"], told["headers"], value)


def _encoded(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


def _app(cp: RunningPlatform, name: str) -> Any:
    for server, _ in cp.platform.listening.bound:
        if server.name == name:
            assert isinstance(server, WsgiServer)
            return server.app
    raise AssertionError(f"no server {name}")


def user_token(cp: RunningPlatform, name: str, *groups: str) -> str:
    """The token of a user."""
    return cp.user_token(name, *groups)


def mode(name: str, **more: str) -> Mapping[str, str]:
    return {"KUMA_API_SERVER_AUTH_MODE": name, **more}
