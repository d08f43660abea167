"""Every route × role × mesh, generated from the routes: what a role gives is given, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
from kuma_core.api.contract import Route
from kuma_core.sdk import ADMINS, Right, Scope
from kuma_core.testing.builders import mesh
from kuma_core.testing.listeners import methods_of
from kuma_core.testing.platform import RunningPlatform
from plugins.access_roles.tests.running import Person, person, with_roles

MESHES = ("shop", "bank")
ROLES = {
    "all of shop": {"verbs": ["*"], "kinds": ["*"], "meshes": ["shop"]},
    "all to read": {"verbs": ["get", "list"], "kinds": ["*"]},
    "one kind": {"verbs": ["*"], "kinds": ["TrafficLog"]},
    "one name": {"verbs": ["*"], "kinds": ["*"], "meshes": ["shop", "bank"], "names": ["another"]},
    "no role": None,
}
GONE = {("DELETE", "/meshes/{mesh}")}
"""Nothing is left of a deleted mesh to ask for."""


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with with_roles((kuma_ca_builtin, kuma_ca_provided, kuma_policy_traffic)) as running:
        admin = person(running, "root", ADMINS)
        for name in MESHES:
            assert admin.apply(mesh(name)).status == 201
        for role, rule in ROLES.items():
            name = role.replace(" ", "-")
            bound = {"type": "AccessRoleBinding", "name": name, "users": [name], "roles": [name]}
            for document in ({"type": "AccessRole", "name": name, "rules": [rule]}, bound) if rule else ():
                assert admin.apply(document).status == 201
        yield running


def cells(cp: RunningPlatform) -> Iterator[tuple[Route, str, bool]]:
    features = cp.platform.features
    for routes, of_admin in ((features.routes, False), (features.admin_routes, True)):
        for route in routes:
            for method in methods_of(route):
                if not route.confidential and (method, route.template) not in GONE:
                    yield route, method, of_admin


def expected(cp: RunningPlatform, role: str, place: str, route: Route, method: str) -> bool:
    """What the rule of a role says, read as a person reads it."""
    reads = method == "GET"
    if (route.right if reads else route.writes) is Right.PUBLIC:
        return True
    if route.template == "/tokens":
        return role == "all of shop" and place == "shop"
    if not route.kind or role == "no role":
        return False
    kind, is_item = cp.platform.catalog.kinds[route.kind], route.template.endswith("}")
    if role == "all to read":
        return reads
    if role == "one kind":
        return kind.name == "TrafficLog"
    if kind.scope is Scope.GLOBAL:
        return role == "all of shop" and place == "shop" and kind.name == "Mesh" and is_item
    return role == "all of shop" and place == "shop"


def ask(who: Person, place: str, route: Route, method: str, port: int) -> int:
    path = route.template.replace("{mesh}", place).replace("{name}", "x").replace("{id}", "x")
    path = path.replace("{kind}", "x")
    body: dict[str, Any] | None = None
    if method in ("PUT", "POST"):
        of_mesh = not route.kind or route.template.startswith("/meshes/{mesh}/")
        body = {"mesh": place, "name": "x"} if of_mesh else {"name": place}
        body |= {"type": route.kind} if route.kind else {}
    return who.ask(method, path, body, port).status


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("place", MESHES)
def test_the_matrix(cp: RunningPlatform, role: str, place: str) -> None:
    who, wrong, count = person(cp, role.replace(" ", "-")), [], 0
    for route, method, of_admin in cells(cp):
        status = ask(who, place, route, method, cp.admin if of_admin else 0)
        count += 1
        if (status not in (401, 403)) is not expected(cp, role, place, route, method) or status >= 500:
            wrong.append((route.template, method, status))
    assert wrong == []
    assert count > 70
