"""What becomes of requests that no kind of resource ever sees: JSON, too."""

from __future__ import annotations

import pytest

from kuma_core import packages
from kuma_core.api.unknown_paths import Hints
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform

from .support import send


@pytest.mark.parametrize(
    "target",
    ["/nothing", "/meshes/x/nothing", "/meshes/x/dataplanes/y/z", "/mesh%00es", "/catalogue", "/Meshes"],
)
def test_unknown_paths(cp: RunningPlatform, target: str) -> None:
    reply = send(cp.api, "GET", target)
    assert reply.status == 404
    assert "GET /kinds" in reply.error()["details"] or "%00" in target


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/meshes/default/dataplanez", 'did you mean "/meshes/default/dataplanes"?'),
        ("/meshes/default/Dataplane/web-1", 'did you mean "/meshes/default/dataplanes"?'),
        ("/mesh/default", 'did you mean "/meshes"?'),
        ("/kind", 'did you mean "/kinds"?'),
        ("/meshes/default/traffic-permissions", packages.of_kind("TrafficPermission")),
        ("/meshes/default/trafficroute/r", packages.of_kind("TrafficRoute")),
        ("/meshes/default/proxytemplates", packages.of_kind("ProxyTemplate")),
        ("/meshes/default/traffic-permissionz", ""),
        ("/meshes/default/" + "dataplanes" * 20, ""),
        ("/", ""),
    ],
)
def test_an_unknown_path_says_what_may_be_meant(target: str, said: str) -> None:
    templates = ["/", "/kinds", "/meshes", "/meshes/{mesh}", "/meshes/{mesh}/dataplanes"]
    hints = Hints([*templates, "/meshes/{mesh}/dataplanes/{name}"], "GET /kinds lists them")
    assert hints(target) == "; ".join(filter(None, (said, "GET /kinds lists them")))


def test_an_unknown_kind_is_told_over_http(cp: RunningPlatform) -> None:
    details = send(cp.api, "GET", "/meshes/default/dataplane-insight").error()["details"]
    assert 'did you mean "/meshes/default/dataplane-insights"?' in details
    details = send(cp.api, "PUT", "/meshes/default/traffic-logs/all", b"{}").error()["details"]
    assert "TrafficLog comes with the package kuma-policy-traffic" in details


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PATCH", "TRACE"])
@pytest.mark.parametrize(
    "target", ["/", "/config", "/meshes", "/meshes/default", "/meshes/default/dataplanes"]
)
def test_methods_that_no_path_takes(cp: RunningPlatform, method: str, target: str) -> None:
    reply = send(cp.api, method, target, b"{}" if method == "POST" else b"")
    assert reply.status == 405
    assert "GET" in reply.headers["Allow"].split(", ")
    assert reply.headers["Content-Type"] == "application/json"
    if method != "HEAD":
        reply.error()


def test_methods_that_nobody_knows(cp: RunningPlatform) -> None:
    reply = send(cp.api, "FROB", "/meshes")
    assert reply.status == 400
    reply.error()


@pytest.mark.parametrize(
    "target", ["/meshes/", "/meshes/default/", "/meshes/default/dataplanes+insights/", "/kinds/"]
)
def test_a_trailing_slash_counts_for_nothing(cp: RunningPlatform, target: str) -> None:
    assert send(cp.api, "GET", target).body == send(cp.api, "GET", target.rstrip("/")).body
    assert send(cp.api, "GET", target).status == 200


@pytest.mark.parametrize(
    ("target", "clean"),
    [
        ("/.//evil.example/x", "/evil.example/x"),
        ("/meshes//default", "/meshes/default"),
        ("/meshes/./default/../default", "/meshes/default"),
        ("/../meshes?size=1&offset=2", "/meshes?size=1&offset=2"),
        ("/meshes/default//dataplanes+insights", "/meshes/default/dataplanes+insights"),
        ("/meshes//%0d%0aX:%20y", "/meshes/%0D%0AX%3A%20y"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_unclean_paths_are_sent_to_clean_ones(
    cp: RunningPlatform, method: str, target: str, clean: str
) -> None:
    reply = send(cp.api, method, target)
    assert (reply.status, reply.headers["Location"], reply.body) == (301, clean, b"")


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/plain", "application/json;q=0"])
@pytest.mark.parametrize("target", ["/meshes", "/meshes/default", "/meshes/default/dataplanes+insights"])
def test_clients_that_take_no_json(cp: RunningPlatform, accept: str, target: str) -> None:
    reply = send(cp.api, "GET", target, headers={"Accept": accept})
    assert reply.status == 406
    reply.error()


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html, */*;q=0.1", "application/*"])
def test_clients_that_take_json(cp: RunningPlatform, accept: str) -> None:
    assert send(cp.api, "GET", "/meshes/default", headers={"Accept": accept}).status == 200


@pytest.mark.parametrize("target", ["/", "/config", "/catalog", "/kinds", "/openapi.json"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_pages_are_json_for_everybody(cp: RunningPlatform, target: str, accept: str) -> None:
    reply = send(cp.api, "GET", target, headers={"Accept": accept})
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "declared", ["", "text/plain", "application/x-www-form-urlencoded", "APPLICATION/JSON"]
)
def test_json_is_json_whatever_its_content_type(cp: RunningPlatform, shop: str, declared: str) -> None:
    headers = {"Content-Type": declared} if declared else {}
    body = f'{{"type": "Mesh", "name": "{shop}"}}'.encode()
    assert send(cp.api, "PUT", f"/meshes/{shop}", body, headers).status == 200


def test_the_configuration_is_one_sorted_line_without_the_password(cp: RunningPlatform) -> None:
    reply = send(cp.api, "GET", "/config")
    assert b"\n" not in reply.body
    config = cp.get("/config").body
    assert list(config) == sorted(config)
    assert config["store"]["postgres"]["password"] == "*****"
    assert config["xdsServer"]["dataplaneConfigurationRefreshInterval"] == "1s"


def test_how_clients_find_their_way(cp: RunningPlatform) -> None:
    assert cp.get("/").body["tagline"] == "Kuma"
    apis = cp.get("/catalog").body["apis"]
    assert apis["bootstrap"] == {"url": f"http://localhost:{cp.bootstrap}"}
    assert set(apis) >= {"bootstrap", "dataplaneToken", "admin"}
    kinds = {kind["name"]: kind for kind in cp.get("/kinds").body["kinds"]}
    assert kinds["Dataplane"]["path"] == "dataplanes"
    assert kinds["DataplaneOverview"]["readOnly"] is True
    cp.apply(mesh("default"))


def test_other_servers_answer_errors_as_json_too(cp: RunningPlatform) -> None:
    for port in (cp.bootstrap, cp.diagnostics):
        reply = send(port, "GET", "/nothing")
        assert reply.status == 404
        reply.error()
