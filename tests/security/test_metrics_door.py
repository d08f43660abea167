"""The metrics port of a real Envoy: whoever reaches it gets statistics, and nothing else of the admin API."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

import kuma_core
import kuma_store_memory
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine, Sidecar, fetch
from ..end_to_end.test_traffic import client

ROOT = Path(kuma_core.__file__).parents[1]
STATISTICS = b"# TYPE envoy_"

WAYS_OUT = [
    "/metrics/../../{}",
    "/metrics/../{}",
    "/metrics/%2e%2e/%2e%2e/{}",
    "/metrics/%2E%2E/%2e%2e/{}",
    "/metrics/.%2e/%2e./{}",
    "/metrics%2f..%2f..%2f{}",
    "/metrics/..%2f..%2f{}",
    "/metrics%2F..%5c..%2F{}",
    "/metrics/..;/..;/{}",
    "/metrics;/../../{}",
    "/metrics//..//..//{}",
    "//metrics//../..//{}",
    "/metrics\\..\\..\\{}",
    "/metrics/..\\..\\{}",
    "/metrics/%252e%252e/%252e%252e/{}",
    "/metrics/./../../{}?x=/metrics",
    "/metrics/../../{}#/metrics",
    "/{}?/metrics",
    "/metrics/{}",
    "/metrics?/../../{}",
    "/metrics#/../../{}",
    "http://envoy/metrics/../../{}",
    "http://envoy/metrics%2f..%2f{}",
    "/metrics/\t../{}",
]
"""Where a request asks for a page of the admin API with a path that begins, or may be read to begin, like ours."""

PAGES = {
    "config_dump": b'"configs"',
    "certs": b'"certificates"',
    "server_info": b'"command_line_options"',
    "clusters": b"::observability_name::",
    "listeners": b"::0.0.0.0:",
    "help": b"admin commands are",
}
"""Pages of the admin API, and what tells that it was them that answered."""


class Offered(NamedTuple):
    """An Envoy that offers its metrics on ``port``."""

    sidecar: Sidecar
    port: int


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offered]:
    settings = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
    with running_platform([kuma_store_memory], settings) as cp, ExitStack() as stack:
        machine, port = Machine(cp, tmp_path_factory.mktemp("metrics"), stack), free_port()
        cp.apply(mesh("default", metrics={"prometheus": {"port": port}}), client("web"))
        sidecar = machine.sidecar("web")
        eventually(
            lambda: STATISTICS in raw(port, "GET", "/metrics"), what="an Envoy that offers its metrics"
        )
        yield Offered(sidecar, port)


def raw(port: int, method: str, target: str, more: str = "") -> bytes:
    """The answer to a request of which nothing was made clean on the way; empty if there is none.

    Envoy holds a connection that it refused for a second, so the end of the answer counts, not that of the connection.
    """
    head = f"{method} {target} HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n{more}\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode("latin-1"))
        try:
            while not _is_whole(answer, method) and (piece := connection.recv(65536)):
                answer += piece
        except ConnectionResetError:
            pass
    return answer


def _is_whole(answer: bytes, method: str) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if length:
        return len(body) >= int(length[1])
    return bool(end) and (method == "HEAD" or body.endswith(b"\r\n0\r\n\r\n"))


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1.1 (\d{3})", answer)
    return int(found[1]) if found else 0


def test_metrics_are_read_with_get_and_head_and_a_query(offered):
    for target in ("/metrics", "/metrics?usedonly", "http://envoy/metrics", "//metrics", "/x/../metrics"):
        answer = raw(offered.port, "GET", target)
        assert (status(answer), STATISTICS in answer) == (200, True), target
    answer = raw(offered.port, "HEAD", "/metrics")
    assert (status(answer), answer.partition(b"\r\n\r\n")[2]) == (200, b"")
    assert "cluster_manager" in fetch(offered.port, "/metrics?filter=cluster_manager")


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_of_writing_a_path_leads_to_another_page(offered, way):
    seen = {page: raw(offered.port, method, way.format(page)) for page in PAGES for method in ("POST", "GET")}
    told = {page: answer[:300] for page, answer in seen.items() if PAGES[page] in answer}
    assert not told
    assert {status(answer) for answer in seen.values()} <= {0, 200, 400, 404}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "post"])
def test_no_request_changes_or_ends_the_envoy(offered, method):
    for way in WAYS_OUT:
        for page in ("quitquitquit", "drain_listeners"):
            raw(offered.port, method, way.format(page), "Content-Length: 0\r\n")
    assert offered.sidecar.process.poll() is None
    assert offered.sidecar.is_live()
    assert STATISTICS in raw(offered.port, "GET", "/metrics")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "CONNECT"])
def test_statistics_take_no_other_method(offered, method):
    assert status(raw(offered.port, method, "/metrics", "Content-Length: 0\r\n")) in (0, 400, 403, 404)


@pytest.mark.parametrize(
    "more", ["", "Upgrade: websocket\r\n", "Upgrade: connect-udp\r\n", "Upgrade: h2c\r\n"]
)
def test_nothing_is_tunnelled(offered, more):
    """A CONNECT names a place instead of a path; none of the two ways of asking for a tunnel makes one."""
    target = f"127.0.0.1:{offered.sidecar.admin_port}"
    answer = raw(offered.port, "CONNECT", target, more + "\r\nGET /config_dump HTTP/1.1\r\nHost: envoy\r\n")
    assert status(answer) in (0, 400, 403, 404)
    assert PAGES["config_dump"] not in answer


def test_headers_that_speak_of_another_path_are_not_heard(offered):
    more = "X-Original-URL: /config_dump\r\nX-Rewrite-URL: /config_dump\r\nX-Envoy-Original-Path: /config_dump\r\n"
    answer = raw(offered.port, "GET", "/metrics", f"{more}X-HTTP-Method-Override: POST\r\n")
    assert STATISTICS in answer
    assert PAGES["config_dump"] not in answer


REWRITE = re.compile(r"prefix_?rewrite|regex_?rewrite|path_template_rewrite", re.IGNORECASE)
REWRITERS = {
    "kuma_core/builtin/metrics_listener/generator.py",
    "plugins/policy_traffic/kuma_policy_traffic/proxy_template/field_rules.py",  # which only checks what it is given
    "plugins/policy_traffic/kuma_policy_traffic/proxy_template/v2_types.py",
}


def test_no_other_route_rewrites_a_path():
    """A prefix with a rewrite is what let the network into the admin API; the documents suggest none either."""
    files = [
        path
        for room in ("kuma_core", "plugins", "docs", "examples")
        for path in (ROOT / room).rglob("*")
        if path.suffix in (".py", ".md", ".yaml") and "tests" not in path.parts
    ]
    found = {str(path.relative_to(ROOT)) for path in files if REWRITE.search(path.read_text())}
    assert found <= REWRITERS
    generator = (ROOT / "kuma_core/builtin/metrics_listener/generator.py").read_text()
    assert "RouteMatch(prefix=" not in generator
