"""What the GUI's server says to programs and to pages, without a browser."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import falcon
import pytest

import kuma_gui
import kuma_store_memory
from kuma_core.sdk import Right, Route, hookimpl
from kuma_core.testing.builders import mesh
from kuma_core.testing.events_client import following
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_gui import pages, stream

BROWSER = "127.0.0.5"
"""From where the browser asks: another address than that of the control plane."""
INDEX = "<!doctype html><title>Kuma</title>" + "x" * 2000


class Told:
    """Tells who asks, as the REST application sees it."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"address": req.remote_addr, "authorization": req.auth, "query": req.query_string}

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise AssertionError("a write went on")


@hookimpl
def kuma_register_routes(context: Any) -> list[Route]:
    return [Route("/who-asks", Told(), right=Right.PUBLIC)]


TELLING = SimpleNamespace(__name__="telling", kuma_register_routes=kuma_register_routes)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages as a build leaves them, so that no test here needs Node.js."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(INDEX)
    (folder / "assets/index-1.js").write_text("start();" * 300)
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def cp(built: Path) -> Iterator[RunningPlatform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages.Pages.__init__, "__defaults__", (built,))
        settings = {"KUMA_GUI_SERVER_INTERFACE": "127.0.0.1", "KUMA_API_SERVER_ALLOWED_HOSTS": "kuma.example"}
        with running_platform([kuma_store_memory, kuma_gui, TELLING], settings) as running:
            unbuilt = ask(running, "/")
            assert (unbuilt.status, unbuilt.headers["refresh"]) == (503, "2")
            (built / pages.STAMP).write_text("1\n")
            yield running


def ask(cp: RunningPlatform, path: str, method: str = "GET", **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", cp.gui, timeout=30, source_address=(BROWSER, 0))
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return SimpleNamespace(status=answer.status, headers=headers, body=answer.read())
    finally:
        connection.close()


def details(answer: Any) -> str:
    return str(json.loads(answer.body)["details"])


# -- the pages


@pytest.mark.parametrize("path", ["/", "/meshes/default/dataplanes/web-1", "/first-run"])
def test_a_page_is_the_one_page_with_its_headers(cp: RunningPlatform, path: str) -> None:
    answer = ask(cp, path)
    assert (answer.status, answer.body.decode()) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_page_that_is_none_says_so_in_both_ways(cp: RunningPlatform) -> None:
    shown = ask(cp, "/nowhere", Accept="text/html,*/*")
    assert (shown.status, shown.body.decode()) == (404, INDEX)
    assert ask(cp, "/nowhere.js").status == 404
    assert "/nowhere.js" in details(ask(cp, "/nowhere.js"))
    assert ask(cp, "/../setup.cfg", Accept="text/html").body.decode() == INDEX
    assert ask(cp, "/manifest.json").status == 404


def test_what_has_its_hash_in_its_name_is_kept_and_packed(cp: RunningPlatform) -> None:
    plain, packed = ask(cp, "/assets/index-1.js"), ask(cp, "/assets/index-1.js", Accept_Encoding="br, gzip")
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert len(packed.body) < len(plain.body)
    assert gzip.decompress(packed.body) == plain.body


def test_pages_that_are_built_anew_are_served_without_a_restart(built: Path) -> None:
    served = pages.Pages(built)
    (built / pages.STAMP).write_text("1\n")
    assert "/licences.txt" not in served.files()
    (built / "licences.txt").write_text("MIT")
    (built / pages.STAMP).unlink()
    assert "/licences.txt" not in served.files(), "a build is at work: nothing half is served"
    (built / pages.STAMP).write_text("2\n")
    assert eventually(lambda: "/licences.txt" in served.files())


def test_the_configuration_of_the_pages_is_that_of_0_3_2_and_more(cp: RunningPlatform) -> None:
    answer = ask(cp, "/config")
    assert answer.headers["content-type"] == "application/json"
    told = json.loads(answer.body)
    assert (told["apiUrl"], told["environment"]) == ("/api", "universal")
    assert (told["storeType"], told["readOnly"], told["ports"]["api"]) == ("memory", True, cp.api)


# -- the way to the REST application


def test_requests_go_on_with_the_address_and_the_credential_of_who_asks(cp: RunningPlatform) -> None:
    answer = ask(cp, "/api/who-asks?a=%20b", Authorization="Basic token")
    expected = {"address": BROWSER, "authorization": "Basic token", "query": "a=%20b"}
    assert json.loads(answer.body) == expected
    assert json.loads(ask(cp, "/api/who-asks", X_Forwarded_For="127.0.0.9").body)["address"] == BROWSER


def test_what_is_read_is_what_the_rest_api_says(cp: RunningPlatform) -> None:
    cp.apply(mesh("shop"))
    for path in ("/", "/meshes", "/meshes/shop", "/meshes/nowhere", "/kinds"):
        through, direct = ask(cp, f"/api{path}"), cp.get(path)
        assert (through.status, json.loads(through.body)) == (direct.status, direct.body), path
    assert json.loads(ask(cp, "/api").body)["tagline"] == "Kuma"
    assert json.loads(ask(cp, "/api/%6d%65shes/shop").body)["name"] == "shop"


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reads_goes_on(cp: RunningPlatform, method: str) -> None:
    answer = ask(cp, "/api/who-asks", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert method in details(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_pages_of_others_get_nothing(cp: RunningPlatform, headers: dict[str, str]) -> None:
    for path in ("/api/meshes", "/api/events"):
        answer = ask(cp, path, **headers)
        assert answer.status == 403
        assert "apiServer.corsAllowedDomains" in details(answer)


def test_our_own_pages_get_what_they_ask_for(cp: RunningPlatform) -> None:
    own = {"Origin": f"http://127.0.0.1:{cp.gui}", "Sec_Fetch_Site": "same-origin"}
    assert ask(cp, "/api/meshes", **own).status == 200


@pytest.mark.parametrize("path", ["/", "/config", "/api/meshes", "/api/events"])
def test_a_page_has_to_call_us_by_our_name(cp: RunningPlatform, path: str) -> None:
    """A page may have a name of its own lead to this machine: it would pass for one of ours."""
    answer = ask(cp, path, Host="rebound.example", Sec_Fetch_Site="same-origin")
    assert answer.status == 403
    assert "rebound.example" in details(answer)
    if path != "/api/events":
        assert ask(cp, path, Host="kuma.example", Sec_Fetch_Site="same-origin").status == 200
        assert ask(cp, path, Host="rebound.example").status == 200, "programs may use any name"


# -- the stream of events


def test_events_come_through_and_silence_is_broken(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SILENCE_SECONDS", 0.05)
    connection = http.client.HTTPConnection("127.0.0.1", cp.gui, timeout=60)
    connection.request("GET", "/api/events?kind=Mesh")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    lines = iter(answer.readline, b"")
    assert any(line == b"event: begin\n" for line in lines)
    assert any(line == stream.STILL_HERE.strip() + b"\n" for line in lines)
    cp.apply(mesh("told"))
    assert any(b'"name": "told"' in line for line in lines)
    connection.close()


def test_a_stream_that_is_left_is_no_client_any_more(cp: RunningPlatform) -> None:
    with following(cp):  # a client of its own, so that there is one all the time
        clients = cp.platform.core.offer("builtin.events", object)._clients
        before = len(clients)
        connection = http.client.HTTPConnection("127.0.0.1", cp.gui, timeout=60)
        connection.request("GET", "/api/events")
        connection.getresponse().readline()
        eventually(lambda: len(clients) == before + 1)
        connection.sock.close() if connection.sock else None
        connection.close()
        eventually(lambda: len(clients) == before)


def test_events_refuse_as_their_own_server_does(cp: RunningPlatform) -> None:
    answer = ask(cp, "/api/events?x=1")
    assert answer.status == 400
    assert "mesh and kind are known" in details(answer)
