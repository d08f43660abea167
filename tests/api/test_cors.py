"""What a browser needs before a page of another origin may use the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.api.cors import Cors
from kuma_core.errors import ConfigError
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import Reply, send

PAGE = "http://gui.example:5683"


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """A control plane that pages of one host may use."""
    settings = {"KUMA_API_SERVER_CORS_ALLOWED_DOMAINS": r"gui.example,https://.*\.mesh\.example"}
    with running_platform([kuma_store_memory], settings) as platform:
        yield platform


def preflight(
    cp: RunningPlatform, target: str, method: str, origin: str = PAGE, asks: str = "content-type"
) -> Reply:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asks,
    }
    return send(cp.api, "OPTIONS", target, headers=headers)


def granted(reply: Reply) -> str | None:
    """The origin that may read the answer."""
    return reply.headers["Access-Control-Allow-Origin"]


@pytest.mark.parametrize(
    ("target", "methods"),
    [
        ("/", "GET"),
        ("/meshes", "GET"),
        ("/meshes/default", "GET, PUT, DELETE"),
        ("/meshes/default/dataplanes/x", "GET, PUT, DELETE"),
        ("/meshes/default/dataplanes+insights/x", "GET"),
    ],
)
def test_preflight_of_an_allowed_page(cp: RunningPlatform, target: str, methods: str) -> None:
    reply = preflight(cp, target, methods.split(", ")[-1], asks="content-type, x-own")
    assert (reply.status, reply.body) == (200, b"")
    assert granted(reply) == PAGE
    assert reply.headers["Access-Control-Allow-Methods"] == methods
    assert reply.headers["Access-Control-Allow-Headers"] == "content-type, x-own"
    assert reply.headers["Access-Control-Max-Age"] == "600"
    assert "Origin" in reply.headers["Vary"]


def test_a_page_can_write_and_read_what_became_of_it(cp: RunningPlatform) -> None:
    answer = cp.request("PUT", "/meshes/cors", mesh("cors"), Origin=PAGE)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (201, PAGE)
    assert answer.headers["Access-Control-Expose-Headers"] == "Kuma-Result, Warning"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/meshes/nobody", 404),
        ("GET", "/nothing", 404),
        ("POST", "/meshes", 405),
        ("PUT", "/meshes/x", 400),
    ],
)
def test_errors_carry_the_headers_too(cp: RunningPlatform, method: str, target: str, status: int) -> None:
    reply = send(cp.api, method, target, headers={"Origin": PAGE})
    assert (reply.status, granted(reply)) == (status, PAGE)
    reply.error()


def test_other_pages_get_an_answer_but_no_permission(cp: RunningPlatform) -> None:
    for origin in ("http://evil.example", "null", "é", "http://gui.example.evil.com"):
        reply = send(cp.api, "GET", "/meshes", headers={"Origin": origin})
        assert (reply.status, granted(reply), reply.headers["Vary"]) == (200, None, "Origin")
        reply = preflight(cp, "/meshes/default", "PUT", origin)
        assert (reply.status, granted(reply)) == (200, None)
        assert reply.headers["Access-Control-Allow-Methods"] is None


def test_caches_are_told_even_without_an_origin(cp: RunningPlatform) -> None:
    reply = send(cp.api, "GET", "/meshes")
    assert (granted(reply), reply.headers["Vary"]) == (None, "Origin")


def test_a_method_that_the_path_does_not_take(cp: RunningPlatform) -> None:
    reply = preflight(cp, "/meshes", "PUT")
    assert (reply.status, reply.headers["Access-Control-Allow-Methods"]) == (200, None)
    assert preflight(cp, "/nothing", "GET").status == 404


def test_a_page_of_a_read_only_api_can_read_the_refusal() -> None:
    named = {"KUMA_API_SERVER_CORS_ALLOWED_DOMAINS": PAGE, "KUMA_API_SERVER_READ_ONLY": "true"}
    with running_platform([kuma_store_memory], named) as cp:
        assert granted(preflight(cp, "/meshes/default", "PUT")) == PAGE
        answer = cp.request("PUT", "/meshes/default", mesh("default"), Origin=PAGE)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (405, PAGE)


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        (".*", [PAGE, "null", "https://[::1]:80"], ["a b", "é", "", "x" * 301]),
        ("gui.example", [PAGE, "https://GUI.example"], ["http://guixexample", "http://gui.example.evil.com"]),
        ("gui.example:5683", [PAGE], ["http://gui.example", "http://gui.example:80"]),
        (PAGE, [PAGE], ["https://gui.example:5683", "http://x.gui.example:5683"]),
        (r".*\.example", ["http://gui.example"], ["http://example", "http://gui.example.com"]),
        (r"https?://gui\.example(:\d+)?", [PAGE, "https://gui.example"], ["http://gui.example/x"]),
        ("[::1]", ["http://[::1]"], ["http://[::1", "http://[::2]"]),
        ("", [], [PAGE, "null"]),
    ],
)
def test_an_entry_fits_the_whole_of_an_origin_or_of_its_host(
    entry: str, allowed: list[str], refused: list[str]
) -> None:
    cors = Cors([entry])
    assert [origin for origin in [*allowed, *refused] if cors.allows(origin)] == allowed


def test_no_entries_allow_everybody() -> None:
    assert Cors([]).allows(PAGE)


def test_an_entry_that_is_no_expression_stops_the_start() -> None:
    with (
        pytest.raises(ConfigError, match=r'"\(oops" is no regular expression.*CORS_ALLOWED_DOMAINS'),
        running_platform([kuma_store_memory], {"KUMA_API_SERVER_CORS_ALLOWED_DOMAINS": "(oops"}),
    ):
        pass
