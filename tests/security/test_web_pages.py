"""A page that is open in the browser of somebody who reaches the control plane: it may read, and writes nothing.

Everything is sent as browsers send it, and as they might: without a preflight request, without ``Origin``, by a name
that leads here although it is none of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.api.cors import Cors
from kuma_core.errors import ConfigError
from kuma_core.sdk import hookimpl
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from ..api.support import Reply, send

EVIL = "http://evil.example"
NAME = "Kuma.Example.com"
GUI = "http://gui.example:5683"


class Posting:
    """Brings a path that takes POST, as a form sends it."""

    def __init__(self) -> None:
        self.posted = 0

    @hookimpl
    def kuma_register_routes(self) -> list[object]:
        from kuma_core.sdk import Route

        return [Route("/posting", self)]

    def on_post(self, req: object, resp: object) -> None:
        self.posted += 1


@pytest.fixture(scope="module")
def posting() -> Posting:
    return Posting()


@pytest.fixture(scope="module", params=[".*", "", "gui.example,.*"])
def cp(request: pytest.FixtureRequest, posting: Posting) -> Iterator[RunningPlatform]:
    """Every configuration in which a page of another origin may read, but none that names the evil one."""
    settings = {
        "KUMA_API_SERVER_CORS_ALLOWED_DOMAINS": request.param,
        "KUMA_API_SERVER_ALLOWED_HOSTS": "kuma.internal,cp.internal",
        "KUMA_GENERAL_ADVERTISED_HOSTNAME": NAME,
    }
    with running_platform([kuma_store_memory, posting], settings) as platform:
        yield platform


CROSS_ORIGIN = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:5683", "Sec-Fetch-Site": "same-site"},
    {"Origin": "https://gui.example.evil.example"},
    {"Origin": "http://evil.example/gui.example"},
    {"Origin": "http://gui.example@evil.example"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Cross-Site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "a word of next year"},
    {"Referer": f"{EVIL}/page"},
    {"Referer": "about:blank"},
]


@pytest.mark.parametrize("headers", CROSS_ORIGIN, ids=str)
def test_a_page_of_another_origin_stores_nothing(cp: RunningPlatform, headers: dict[str, str]) -> None:
    body = json.dumps(mesh("written")).encode()
    for kind in ("application/json", "text/plain"):
        reply = send(cp.api, "PUT", "/meshes/written", body, {**headers, "Content-Type": kind})
        assert_names_the_setting(reply)
    assert send(cp.api, "GET", "/meshes/written").status == 404


@pytest.mark.parametrize("headers", CROSS_ORIGIN, ids=str)
def test_a_page_of_another_origin_deletes_nothing(cp: RunningPlatform, headers: dict[str, str]) -> None:
    cp.apply(mesh("kept"))
    assert_names_the_setting(send(cp.api, "DELETE", "/meshes/kept", headers=headers))
    assert send(cp.api, "GET", "/meshes/kept").status == 200


@pytest.mark.parametrize("headers", CROSS_ORIGIN, ids=str)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_that_needs_no_preflight_reaches_no_plugin(
    cp: RunningPlatform, posting: Posting, headers: dict[str, str], kind: str
) -> None:
    before = posting.posted
    assert_names_the_setting(send(cp.api, "POST", "/posting", b"a=b", {**headers, "Content-Type": kind}))
    assert posting.posted == before


def assert_names_the_setting(reply: Reply) -> None:
    assert reply.status == 403, reply
    assert "apiServer.corsAllowedDomains, KUMA_API_SERVER_CORS_ALLOWED_DOMAINS" in reply.error()["details"]


@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1:5683"])
def test_a_preflight_grants_reading_alone(cp: RunningPlatform, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Headers": "content-type"}
    for method in ("PUT", "DELETE"):
        reply = send(
            cp.api, "OPTIONS", "/meshes/x", headers={**headers, "Access-Control-Request-Method": method}
        )
        assert reply.headers["Access-Control-Allow-Methods"] is None
    reply = send(cp.api, "OPTIONS", "/meshes/x", headers={**headers, "Access-Control-Request-Method": "GET"})
    assert reply.headers["Access-Control-Allow-Methods"] == "GET"


def test_reading_stays_as_the_document_has_it(cp: RunningPlatform) -> None:
    reply = send(cp.api, "GET", "/meshes", headers={"Origin": EVIL, "Sec-Fetch-Site": "cross-site"})
    assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, EVIL)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "kuma.internal"},
        {"Host": "10.96.0.1:5681"},
        {"Host": "any.load.balancer"},
        {"Host": "127.0.0.1:5681", "Origin": "http://127.0.0.1:5681", "Sec-Fetch-Site": "same-origin"},
        {"Host": NAME.lower(), "Origin": f"https://{NAME.lower()}"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_programs_and_pages_of_our_own_write(cp: RunningPlatform, headers: dict[str, str]) -> None:
    body = json.dumps(mesh("mine")).encode()
    assert send(cp.api, "PUT", "/meshes/mine", body, headers).status in (200, 201)


def test_a_page_that_is_named_writes() -> None:
    with running_platform([kuma_store_memory], {"KUMA_API_SERVER_CORS_ALLOWED_DOMAINS": f"{GUI},.*"}) as cp:
        headers = {"Origin": GUI, "Sec-Fetch-Site": "cross-site"}
        asked = {**headers, "Access-Control-Request-Method": "PUT"}
        granted = send(cp.api, "OPTIONS", "/meshes/x", headers=asked)
        assert granted.headers["Access-Control-Allow-Methods"] == "GET, PUT, DELETE"
        body = json.dumps(mesh("x")).encode()
        assert send(cp.api, "PUT", "/meshes/x", body, headers).status == 201
        assert send(cp.api, "PUT", "/meshes/x", body, {"Origin": "http://gui.example"}).status == 403


@pytest.mark.parametrize(
    ("entry", "writers"),
    [
        (".*", []),
        ("", []),
        ("null", []),
        (r"http://gui\.example:5683", []),
        ("gui.example|evil.example", []),
        (".*gui.example.*", []),
        ("gui.example", [GUI]),
        ("GUI.example:5683", [GUI]),
        (GUI, [GUI]),
    ],
)
def test_only_what_is_named_outright_covers_writes(entry: str, writers: list[str]) -> None:
    cors = Cors([entry])
    assert [origin for origin in (GUI, EVIL, "null", "") if cors.allows_writes(origin)] == writers


def test_nobody_is_possible() -> None:
    cors = Cors(["none"])
    assert not any(cors.allows(origin) or cors.allows_writes(origin) for origin in (GUI, EVIL, "http://none"))
    with pytest.raises(ConfigError, match='"none" allows nobody, so it has to stand alone'):
        Cors(["none", GUI])
    with running_platform([kuma_store_memory], {"KUMA_API_SERVER_CORS_ALLOWED_DOMAINS": "none"}) as cp:
        reply = send(cp.api, "GET", "/meshes", headers={"Origin": GUI})
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, None)
        assert send(cp.api, "DELETE", "/meshes/default", headers={"Origin": GUI}).status == 403


# -- a name of the page's own that leads to us (DNS rebinding)

REBOUND = [
    "rebound.evil.example",
    "rebound.evil.example:5681",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "",
    "[",
]
OURS = ["127.0.0.1", "[::1]:5681", "10.0.0.7:80", "localhost:5681", NAME, "kuma.internal:443", "CP.internal."]
OF_A_PAGE = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Mode": "cors"},
    {"Referer": "http://rebound.evil.example/"},
    {"Origin": "http://rebound.evil.example"},
]


@pytest.mark.parametrize("marks", OF_A_PAGE, ids=str)
@pytest.mark.parametrize("host", REBOUND)
def test_a_page_that_calls_us_by_a_name_of_its_own_reads_nothing(
    cp: RunningPlatform, host: str, marks: dict[str, str]
) -> None:
    for port, method, path in served(cp):
        reply = send(port, method, path, headers={"Host": host, **marks})
        assert reply.status == 403, (path, reply)
        assert "apiServer.allowedHosts (KUMA_API_SERVER_ALLOWED_HOSTS)" in reply.error()["details"]
        assert reply.headers["Access-Control-Allow-Origin"] in (None, marks.get("Origin"))


def served(cp: RunningPlatform) -> list[tuple[int, str, str]]:
    return [
        (cp.api, "GET", "/meshes"),
        (cp.api, "PUT", "/meshes/rebound"),
        (cp.bootstrap, "POST", "/bootstrap"),
        (cp.diagnostics, "GET", "/metrics"),
        (cp.diagnostics, "GET", "/ready"),
        (cp.platform.config.number("eventsServer.port"), "GET", "/events"),
    ]


@pytest.mark.parametrize("host", OURS)
def test_a_page_may_call_us_by_our_names(cp: RunningPlatform, host: str) -> None:
    headers = {"Host": host, "Referer": f"http://{host}/", "Sec-Fetch-Site": "same-origin"}
    assert send(cp.api, "GET", "/meshes", headers=headers).status == 200
    assert send(cp.diagnostics, "GET", "/metrics", headers=headers).status == 200


@pytest.mark.parametrize("host", REBOUND[:-1])
def test_programs_may_call_us_by_any_name(cp: RunningPlatform, host: str) -> None:
    assert send(cp.api, "GET", "/meshes", headers={"Host": host}).status == 200
    assert send(cp.diagnostics, "GET", "/ready", headers={"Host": host}).status == 200


@pytest.mark.parametrize("headers", [{"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_page_asks_for_a_bootstrap(cp: RunningPlatform, headers: dict[str, str]) -> None:
    for method in ("POST", "GET", "PUT"):
        reply = send(cp.bootstrap, method, "/bootstrap", b'{"mesh": "default", "name": "web"}', headers)
        assert reply.status == 403
        assert "web page" in reply.error()["details"]
