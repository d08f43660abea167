"""What kumactl makes of servers, good and bad."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from kuma_core.http_client import HttpFailure, Rules, exchange
from kuma_core.kumactl.client import ApiError, Client, Unreachable, item_path

from .conftest import Call, FakeServer, configure


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def client(server: FakeServer, warnings: list[str]) -> Client:
    return Client(server.url, warnings.append)


def raw_server(answer: bytes) -> Iterator[str]:
    """A server that says ``answer`` to whoever comes, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_the_base_path_is_kept_and_json_is_asked_for(server: FakeServer) -> None:
    server.reply("GET", "/base/kinds", 200, "{}")
    Client(server.url + "/base/", print).get("/kinds")
    (method, path, headers, _) = server.requests[0]
    assert (method, path, headers["Accept"]) == ("GET", "/base/kinds", "application/json,*/*")


def test_9_an_api_error_has_title_details_and_a_line_for_each_cause(
    client: Client, server: FakeServer
) -> None:
    causes = [{"field": "a.b", "message": "is bad"}, {"field": "mesh", "message": "\x1b[31mred"}, "nonsense"]
    server.error("GET", "/x", 400, {"title": "No", "details": "Resource is not valid", "causes": causes})
    with pytest.raises(ApiError) as caught:
        client.get("/x")
    assert (
        str(caught.value)
        == "No (Resource is not valid)\n* a.b: is bad\n* mesh: \N{REPLACEMENT CHARACTER}[31mred"
    )
    assert str(caught.value.behind("failed to list")) == str(caught.value)


@pytest.mark.parametrize(
    "body", ["404: Page Not Found", '{"title": "No"}', "[]", '{"title": 1, "details": 2}']
)
def test_9_any_other_failure_is_code_and_body(client: Client, server: FakeServer, body: str) -> None:
    server.reply("GET", "/x", 404, body)
    with pytest.raises(ApiError) as caught:
        client.get("/x")
    assert (str(caught.value), caught.value.status) == (f"(404): {body}", 404)
    assert str(caught.value.behind("failed to list")) == f"failed to list: (404): {body}"


def test_9_a_long_body_is_cut(client: Client, server: FakeServer) -> None:
    server.reply("GET", "/x", 500, "y" * 100_000)
    with pytest.raises(ApiError) as caught:
        client.get("/x")
    assert len(str(caught.value)) < 2100


@pytest.mark.parametrize("body", ["", "<html>", "[]", "3", "[" * 100_000, b"\xff\xfe\x00"])
def test_an_answer_that_is_no_json_object(client: Client, server: FakeServer, body: str | bytes) -> None:
    server.reply("GET", "/x", 200, body)
    with pytest.raises(Unreachable, match=r"/x did not answer with a JSON object\. Is kuma-cp running there"):
        client.get("/x")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_of_an_api_server_are_told_not_followed(
    client: Client, server: FakeServer, status: int
) -> None:
    server.reply("GET", "/x", status, "", Location="/kinds")
    server.reply("PUT", "/x", status, "", Location="/kinds")
    for call in (lambda: client.get("/x"), lambda: client.put("/x", {})):
        with pytest.raises(Unreachable, match=rf"answers with a redirect \({status}\) to /kinds"):
            call()
    assert [r[:2] for r in server.requests] == [("GET", "/x"), ("PUT", "/x")]


def test_warning_headers_are_handed_over(client: Client, server: FakeServer, warnings: list[str]) -> None:
    text = '299 kuma "unknown field \\"a\\"", 299 - "and ü"'
    server.reply("PUT", "/x", 200, "", Warning=text.encode().decode("latin-1"))
    client.put("/x", {})
    server.reply("PUT", "/x", 200, "", Warning="just words")
    client.put("/x", {})
    assert warnings == ['unknown field "a"', "and ü", "just words"]


@pytest.mark.parametrize(
    ("status", "header", "result"),
    [
        (200, "created", "created"),
        (200, "unchanged", "unchanged"),
        (201, "updated", "updated"),
        (201, None, "created"),
        (200, None, "updated"),
        (200, "nonsense\x1b", "updated"),
    ],
)
def test_what_a_put_did(
    client: Client, server: FakeServer, status: int, header: str | None, result: str
) -> None:
    server.reply("PUT", "/x", status, "", **({"Kuma_Result": header} if header else {}))
    assert client.put("/x", {"a": 1}) == result
    assert server.requests[0][3] == b'{"a": 1}'


def test_names_cannot_leave_their_place_in_the_path() -> None:
    assert (
        item_path("m/../x", "dataplanes", "a b?#/ü") == "/meshes/m%2F..%2Fx/dataplanes/a%20b%3F%23%2F%C3%BC"
    )
    assert item_path(None, "meshes") == "/meshes"
    assert item_path("m", "dataplanes+insights") == "/meshes/m/dataplanes+insights"


def test_9_unreachable_names_url_reason_and_next_step(kumactl: Call, home: Path) -> None:
    with socket.socket() as bound:  # bound but not listening: nobody else can take the port
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        configure(home, url)
        result = kumactl("get", "meshes")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"{url}/kinds: connection refused. Is kuma-cp running" in result.err
    assert "kumactl config control-planes list" in result.err


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid:1", "http://" + "a" * 70 + ".invalid", "http://[::1%25x]:1"]
)
def test_hosts_that_are_not_there(url: str) -> None:
    with pytest.raises(Unreachable, match="cannot reach the API server: GET"):
        Client(url, print, timeout=5).get("/")


def test_a_silent_server_is_given_up(server: FakeServer) -> None:
    done = threading.Event()

    def silent(_handler: BaseHTTPRequestHandler) -> None:
        done.wait(30)

    server.replies["GET", "/x"] = silent
    with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
        Client(server.url, print, timeout=0.2).get("/x")
    done.set()


def test_a_dripping_server_is_given_up(server: FakeServer) -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not done.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            return

    server.replies["GET", "/x"] = drip
    with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
        Client(server.url, print, timeout=0.3).get("/x")
    done.set()


def test_headers_that_drip_are_given_up() -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nA: ")
                while not ended.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(HttpFailure, match=r"no answer within 0\.3 s"):
            exchange("GET", url, {}, None, Rules(0.3, 1000))
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "not an answer of HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "not an answer of HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "closed 8 bytes before the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not an answer of HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not an answer of HTTP"),
    ],
)
def test_servers_that_do_not_speak_http(answer: bytes, words: str) -> None:
    for url in raw_server(answer):
        with pytest.raises(Unreachable, match=words):
            Client(url, print, timeout=5).get("/")


def test_an_answer_without_end_is_refused(server: FakeServer) -> None:
    server.reply("GET", "/x", 200, "y" * 1001)
    assert len(exchange("GET", server.url + "/x", {}, None, Rules(5, 1001)).body) == 1001
    with pytest.raises(HttpFailure, match="larger than 1000 bytes"):
        exchange("GET", server.url + "/x", {}, None, Rules(5, 1000))


def test_no_proxy_for_loopback_addresses(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client.get("/")["tagline"] == "Kuma"
    monkeypatch.setenv("http_proxy", server.url)
    server.reply("GET", "/far", 200, '{"proxied": true}')
    assert Client("http://mesh.invalid", print).get("/far") == {"proxied": True}


@pytest.mark.parametrize(
    "kinds",
    [
        "{}",
        '{"kinds": {}}',
        '{"kinds": [3]}',
        '{"kinds": [{"name": "A"}]}',
        '{"kinds": [{"name": 1, "path": "a", "scope": "mesh"}]}',
        '{"kinds": [{"name": "A", "path": "a", "scope": "galaxy"}]}',
        '{"kinds": [{"name": "A", "path": "a", "scope": "mesh", "aliases": 3}]}',
        '{"kinds": [{"name": "A", "path": "a", "scope": "mesh", "columns": [{"header": "B"}]}]}',
    ],
)
def test_kinds_of_a_wrong_shape(connected: Call, server: FakeServer, kinds: str) -> None:
    server.reply("GET", "/kinds", 200, kinds)
    result = connected("get", "meshes")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "/kinds did not answer as kumactl knows it; are the versions alike?" in result.err


def test_a_server_without_kinds(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/kinds", 404, "404: Page Not Found")
    assert "this is not a control plane of ours" in connected("get", "meshes").err


def test_log_level_info_tells_the_requests(connected: Call, server: FakeServer) -> None:
    assert connected("get", "meshes").err == ""
    logged = connected("get", "meshes", "--log-level", "info").err.splitlines()
    assert [line.split("\t")[1:] for line in logged] == [
        ["INFO", "kumactl", f"GET {server.url}/kinds: 200"],
        ["INFO", "kumactl", f"GET {server.url}/meshes: 200"],
    ]
