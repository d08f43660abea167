"""A control plane in mode ``token`` with roles, and the people who ask it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import kuma_access_roles
import kuma_store_memory
from kuma_core.sdk import ADMINS
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform
from plugins.access_roles.tests.support import OWNER

MODE = "KUMA_API_SERVER_AUTH_MODE"
WEB_OWNER = {"type": "AccessRole", "name": "web-owner", "rules": [OWNER]}
WEB_TEAM = {"type": "AccessRoleBinding", "name": "web-team", "users": ["alice"], "roles": ["web-owner"]}


class Person:
    """Somebody with a token, or with none."""

    def __init__(self, cp: RunningPlatform, token: str = "") -> None:
        self._cp = cp
        self._header = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: Any = None, port: int | str = 0) -> JsonAnswer:
        """Any request, as the person."""
        return self._cp.request(method, path, body, port, **self._header)

    def apply(self, document: Mapping[str, Any], query: str = "") -> JsonAnswer:
        """PUT a document."""
        return self.ask("PUT", path_of(self._cp, document) + query, document)

    def delete(self, document: Mapping[str, Any]) -> JsonAnswer:
        """DELETE what a document is about."""
        return self.ask("DELETE", path_of(self._cp, document))

    def generate_token(self, **request: Any) -> JsonAnswer:
        """A dataplane's token of the admin server of this machine."""
        return self.ask("POST", "/tokens", {"mesh": "default", **request}, self._cp.admin)


def path_of(cp: RunningPlatform, document: Mapping[str, Any]) -> str:
    """Where a document lives."""
    kind = cp.platform.catalog.kinds[document["type"]]
    scope = f"/meshes/{document['mesh']}" if "mesh" in document else ""
    return f"{scope}/{kind.path}/{document['name']}"


def person(cp: RunningPlatform, name: str, *groups: str) -> Person:
    """Somebody to whom an admin gave a token."""
    return Person(cp, cp.user_token(name, *groups))


@contextmanager
def with_roles(
    plugins: tuple[Any, ...] = (), mode: str = "token", store: Any = None
) -> Iterator[RunningPlatform]:
    """A control plane with roles: ``alice`` owns the service web in the mesh default."""
    brought = [store or kuma_store_memory, kuma_access_roles, *plugins]
    with running_platform(brought, {MODE: mode}) as cp:
        admin = person(cp, "root", ADMINS)
        for document in (WEB_OWNER, WEB_TEAM):
            assert admin.apply(document).status in (200, 201)
        yield cp


def of_service(name: str, *services: str, mesh: str = "default", **tags: str) -> dict[str, Any]:
    """A Dataplane with an inbound for each service."""
    places = (inbound(f"192.0.2.1:{80 + n}:8080", service, **tags) for n, service in enumerate(services))
    return dataplane(name, *places, mesh=mesh)
