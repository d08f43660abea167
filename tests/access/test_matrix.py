"""Every route × class × role × mesh, generated from the routes: each is asked as every kind of user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.api.contract import Route
from kuma_core.api.rights import right_of
from kuma_core.auth.contract import ADMINS, READERS
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import AccessPolicy, Asked, Decision, Right
from kuma_core.testing.builders import mesh
from kuma_core.testing.listeners import methods_of, registered_routes
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import Asker, mode, user_token

ROUTES = registered_routes()
CELLS = [(server, route, method) for server, route in ROUTES for method in methods_of(route)]
ROLES = ("nobody", "reader", "admin", "team of shop")
TEAM = "team"
MESHES = ("shop", "bank")
NOT_BY_TOKEN = ("/secrets/export", "/secrets/import")


def team_of_shop() -> ModuleType:
    """A plugin that lets a team do everything in the mesh shop."""

    def decide(asked: Asked) -> Decision:
        return Decision(asked.mesh == "shop" and TEAM in asked.user.groups, "the team of shop")

    made = ModuleType("team_of_shop")
    made.__dict__["kuma_register_access"] = hookimpl(
        lambda context: [AccessPolicy("team of shop", (), lambda snapshot: decide)]
    )
    return made


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    plugins = [kuma_store_memory, kuma_ca_builtin, kuma_ca_provided, kuma_policy_traffic, team_of_shop()]
    with running_platform(plugins, mode("token")) as running:
        socket = running.admin_socket
        assert socket
        running.tokens = {  # type: ignore[attr-defined]
            "nobody": "",
            "reader": user_token(running, "ann", READERS),
            "admin": user_token(running, "bob", ADMINS),
            TEAM: user_token(running, "cat", TEAM),
        }
        admin = Asker(running, token=running.tokens["admin"])  # type: ignore[attr-defined]
        for name in MESHES:
            assert admin("PUT", f"/meshes/{name}", mesh(name)).status in (200, 201)
        yield running


def ask(cp: RunningPlatform, role: str, place: str, server: str, route: Route, method: str) -> int:
    token = cp.tokens[TEAM if role.startswith(TEAM) else role]  # type: ignore[attr-defined]
    path = route.template.replace("{mesh}", place).replace("{name}", "x").replace("{id}", "x")
    body = None if method in ("GET", "DELETE") else _body(route, place)
    through = "admin-socket" if server == "admin-server" else ""
    return Asker(cp, token=token)(method, path, body, through).status


def _body(route: Route, place: str) -> dict[str, Any]:
    """What a resource or a token says at least, so that its mesh can be looked at."""
    if not route.kind:
        return {"mesh": place, "name": "x"}
    of_mesh = route.template.startswith("/meshes/{mesh}/")
    return {"type": route.kind, **({"mesh": place, "name": "x"} if of_mesh else {"name": place})}


def expected(role: str, place: str, route: Route, method: str) -> bool:
    right = right_of(route, method == "GET")
    if right is Right.PUBLIC or role == "admin":
        return True
    if role == "reader":
        return right is Right.READER
    asks_of = place if route.template.startswith("/meshes/{mesh}/") or not route.kind else ""
    if "{mesh}" not in route.template and route.template != "/tokens":
        asks_of = ""
    return role.startswith(TEAM) and asks_of == "shop"


def test_every_route_has_a_class() -> None:
    assert [route.template for _, route in ROUTES if not isinstance(route.right, Right)] == []
    assert len(CELLS) > 60


def test_the_classes_are_those_of_the_issue() -> None:
    """What is public is a short list, which nobody makes longer by accident."""
    public = {route.template for _, route in ROUTES if Right.PUBLIC in (route.right, route.writes)}
    about_oneself = {"/whoami", "/can-i"}
    assert public == {"/", "/catalog", "/kinds", "/openapi.json", "/control-plane-ca", *about_oneself}
    for _, route in ROUTES:
        if route.writes is Right.READER:
            assert route.template == "/in-force"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("place", MESHES)
def test_the_matrix(cp: RunningPlatform, role: str, place: str) -> None:
    wrong = []
    for server, route, method in CELLS:
        if route.template in NOT_BY_TOKEN or (method == "DELETE" and route.template == "/meshes/{mesh}"):
            continue  # tested by themselves; nothing is left of a deleted mesh to ask for
        status = ask(cp, role, place, server, route, method)
        if (status not in (401, 403)) != expected(role, place, route, method) or status >= 500:
            wrong.append((server, route.template, method, status))
    assert wrong == []


@pytest.mark.parametrize("role", ["nobody", "reader", "team of shop"])
def test_meshes_and_secrets_are_for_admins(cp: RunningPlatform, role: str) -> None:
    token = cp.tokens[TEAM if role.startswith(TEAM) else role]  # type: ignore[attr-defined]
    assert Asker(cp, token=token)("DELETE", "/meshes/shop").status in (401, 403)
    for path in NOT_BY_TOKEN:
        assert Asker(cp, token=token)("POST", path, {}, "admin-socket").status in (401, 403)
        assert Asker(cp, token=token)("POST", path, {}, "api-server-https").status in (401, 403)


def test_a_new_route_without_a_class_is_for_admins_alone() -> None:
    route = Route("/new", object())
    assert right_of(route, True) is right_of(route, False) is Right.ADMIN


def test_the_page_has_every_route() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "rights.md").read_text(encoding="utf-8")
    for server, route, method in CELLS:
        assert (
            f"| {server} | `{route.template}` | {method} | {right_of(route, method == 'GET').value} |" in page
        )
