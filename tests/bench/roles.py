"""What tokens and roles cost a request, among many bindings: mode ``token`` beside mode ``open``.

    python -m tests.bench.roles [--bindings 1000] [--times 2000]

Two control planes answer the same requests in turns, so that what disturbs one disturbs the other. What counts is the
difference between neighbours, by its median: mode token takes at most 1.1 where mode open takes 1.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kuma_core.http_client import Rules, exchange
from kuma_core.testing.builders import dataplane, inbound

from .control_plane import ControlPlane, Tls

MOST = 1.1
"""What a request in mode token may take, where one in mode open takes 1."""

WARMING = 50
"""Requests before those that count."""
PLUGINS = "store_memory,access_roles"
PATH = "/meshes/default/dataplanes/service-1"


def documents(bindings: int) -> list[dict[str, Any]]:
    """As many bindings, each with a role and a user of its own."""
    found: list[dict[str, Any]] = []
    for number in range(bindings):
        name = f"service-{number}"
        tags = {"verbs": ["put", "delete"], "kinds": ["Dataplane"], "tags": {"service": [name]}}
        rules = [{"verbs": ["get", "list"], "kinds": ["*"], "meshes": ["default"]}, tags]
        found.append({"type": "AccessRole", "name": name, "rules": rules})
        found.append(
            {"type": "AccessRoleBinding", "name": name, "users": [f"user-{number}"], "roles": [name]}
        )
    return found


class Side:
    """One control plane with the roles, and a connection of one user's to it."""

    def __init__(self, stack: ExitStack, tls: Tls, mode: str, bindings: int) -> None:
        socket = Path(stack.enter_context(TemporaryDirectory())) / "admin.sock"
        settings = {"API_SERVER_AUTH_MODE": mode, "ADMIN_SERVER_SOCKET_PATH": str(socket)}
        self.plane = ControlPlane(stack, tls, PLUGINS, settings)
        host = self.plane.api.removeprefix("http://")
        self._connection = http.client.HTTPConnection(host, timeout=60)
        stack.callback(self._connection.close)
        self._headers: dict[str, str] = {}
        if mode == "token":
            self._be("root", "kuma:admin", socket=str(socket))
        paths = {"AccessRole": "access-roles", "AccessRoleBinding": "access-role-bindings"}
        for document in documents(bindings):
            path = f"/{paths[document['type']]}/{document['name']}"
            assert self.ask("PUT", path, document) == 201, document
        if mode == "token":
            self._be("user-1", socket=str(socket))

    def _be(self, name: str, *groups: str, socket: str) -> None:
        request = json.dumps({"name": name, "groups": list(groups), "validFor": "24h"}).encode()
        header = {"Content-Type": "application/json"}
        answer = exchange(
            "POST", "http://localhost/tokens/user", header, request, Rules(30, 2**20, unix_socket=socket)
        )
        assert answer.status == 200, answer.body
        self._headers = {"Authorization": f"Bearer {answer.body.decode()}"}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> int:
        """The status of an answer, which is read to its end."""
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, {"Content-Type": "application/json", **self._headers})
        response = self._connection.getresponse()
        response.read()
        return response.status


def document(number: int) -> dict[str, Any]:
    """A Dataplane of the user's, other than the one before."""
    return dataplane("service-1", inbound("192.0.2.1:80:8080", "service-1", turn=str(number)))


def milliseconds(side: Side, method: str, number: int) -> float:
    """How long one request takes."""
    body = document(number) if method == "PUT" else None
    began = time.perf_counter()
    status = side.ask(method, PATH, body)
    spent = 1000 * (time.perf_counter() - began)
    assert status in (200, 201), status
    return spent


def measured(method: str, token: Side, opened: Side, times: int) -> float:
    """What mode token takes where mode open takes 1, by the median of the differences of neighbours.

    Both take turns in being the first; a line of the table is printed.
    """
    spent: dict[Side, list[float]] = {token: [], opened: []}
    for number in range(times + WARMING):
        for side in (token, opened)[:: 1 if number % 2 else -1]:
            spent[side].append(milliseconds(side, method, number))
    ours, floor = (found[WARMING:] for found in spent.values())
    more = statistics.median(mine - theirs for mine, theirs in zip(ours, floor, strict=True))
    ratio = 1 + more / statistics.median(floor)
    medians = f"{statistics.median(ours):>9.3f}{statistics.median(floor):>9.3f}"
    print(f"{method:<6}{medians}{1000 * more:>9.0f} µs   ratio {ratio:.3f}", flush=True)
    return ratio


def main(bindings: int = 1000, times: int = 2000) -> dict[str, float]:
    """Measure, and print the table; the ratios by method."""
    with ExitStack() as stack:
        tls = Tls(stack)
        token, opened = (Side(stack, tls, mode, bindings) for mode in ("token", "open"))
        print(f"ms, {bindings} bindings: mode token, mode open, more in token")
        return {method: measured(method, token, opened, times) for method in ("PUT", "GET")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bindings", type=int, default=1000)
    parser.add_argument("--times", type=int, default=2000)
    arguments = parser.parse_args()
    ratios = main(arguments.bindings, arguments.times)
    assert max(ratios.values()) <= MOST, f"more than {MOST} times as long as in mode open"
