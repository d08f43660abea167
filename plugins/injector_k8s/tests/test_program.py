"""``kuma-injector`` as the API server and operators meet it."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kuma_core.testing.waiting import eventually

from .fake_api import FakeApi, serving, write_pair
from .patching import applied
from .running import PROGRAM, Injector, asked, launched, started
from .samples import container, pod


@dataclass
class Running:
    api: FakeApi
    kubeconfig: Path
    injector: Injector


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("injector")
    with serving(folder / "api") as (api, kubeconfig):
        api.put("default")
        api.put("metered", metrics={"prometheus": {"port": 1234, "path": "/stats"}})
        write_pair(folder / "own")
        with started(folder / "own", kubeconfig) as injector:
            yield Running(api, kubeconfig, injector)


# -- answers


def test_a_pod_gets_a_sidecar(running: Running) -> None:
    answer = running.injector.review(pod())
    assert (answer["uid"], answer["allowed"], answer["patchType"]) == ("u-1", True, "JSONPatch")
    assert container(applied(pod(), answer["patch"]), "kuma-sidecar")["args"][0] == "run"


def test_the_same_pod_again_is_left_alone(running: Running) -> None:
    once = applied(pod(), running.injector.review(pod())["patch"])
    assert running.injector.review(once) == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "UPDATE"},
        {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}},
        {"subResource": "ephemeralcontainers"},
    ],
)
def test_what_is_no_new_pod_is_allowed_as_it_is(running: Running, request_: dict[str, Any]) -> None:
    assert running.injector.review(pod(), **request_) == {"uid": "u-1", "allowed": True}


def test_a_dry_run_is_answered_like_any_other(running: Running) -> None:
    assert running.injector.review(pod(), dryRun=True)["patch"]


def test_a_mesh_that_is_missing_refuses_the_pod(running: Running) -> None:
    answer = running.injector.review(pod({"kuma.io/mesh": "nowhere"}))
    assert (answer["allowed"], answer["status"]["code"]) == (False, 500)
    assert answer["status"]["message"] == (
        'could not retrieve mesh for pod: meshes.kuma.io "nowhere" not found; the Mesh has to be there first, or '
        "the annotation kuma.io/mesh another one"
    )


@pytest.mark.parametrize("name", ["../secrets", "a?b", "UPPER", "x" * 300, "ü"])
def test_a_name_that_no_mesh_can_have_is_asked_of_nobody(running: Running, name: str) -> None:
    before = len(running.api.asked)
    answer = running.injector.review(pod({"kuma.io/mesh": name}))
    assert "no Mesh of Kubernetes can be called" in answer["status"]["message"]
    assert len(running.api.asked) == before


def test_the_mesh_tells_of_prometheus(running: Running) -> None:
    item = pod({"kuma.io/mesh": "metered"})
    found = applied(item, running.injector.review(item)["patch"])
    assert found["metadata"]["annotations"]["prometheus.io/path"] == "/stats"


@pytest.mark.parametrize("item", [{}, {"spec": []}, {"spec": {"containers": {}}}, None])
def test_what_is_no_pod_is_refused(running: Running, item: Any) -> None:
    answer = running.injector.review(item)
    assert (answer["allowed"], answer["status"]["code"]) == (False, 400)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"[" * 100_000, b'{"request": {"uid": 1}}'])
def test_what_is_no_review_is_a_bad_request(running: Running, body: bytes) -> None:
    assert running.injector.ask("POST", "/inject-sidecar", body)[0] == 400


def test_another_version_of_the_review_is_refused(running: Running) -> None:
    body = asked(pod()).replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1")
    assert (
        b"apiVersion has to be admission.k8s.io/v1"
        in running.injector.ask("POST", "/inject-sidecar", body)[1]
    )


def test_the_other_paths(running: Running) -> None:
    assert running.injector.ask("GET", "/healthy") == (200, b"")
    assert running.injector.ask("GET", "/ready") == (200, b"")
    assert running.injector.ask("GET", "/inject-sidecar")[0] == 405
    assert running.injector.ask("GET", "/elsewhere")[0] == 404


# -- meshes


def test_one_watch_follows_what_becomes_of_meshes(running: Running) -> None:
    api, injector = running.api, running.injector
    api.put("new")
    eventually(lambda: injector.review(pod({"kuma.io/mesh": "new"}))["allowed"])
    api.put("new", metrics={"prometheus": {"port": 9}})
    eventually(lambda: "prometheus" in str(injector.review(pod({"kuma.io/mesh": "new"}))))
    api.drop("new")
    eventually(lambda: not injector.review(pod({"kuma.io/mesh": "new"}))["allowed"])
    assert len([path for path in api.asked if "watch=1" in path]) == 1


def test_a_mesh_that_was_made_a_moment_ago_is_asked_for(running: Running) -> None:
    running.api.is_silent = True
    try:
        running.api.put("young")
        assert running.injector.review(pod({"kuma.io/mesh": "young"}))["allowed"]
    finally:
        running.api.is_silent = False


def test_a_place_in_history_that_is_gone_is_no_end(running: Running) -> None:
    api = running.api
    api.is_silent = True
    api.put("meanwhile")
    api.is_silent = False
    api.end_watches(410)
    eventually(lambda: sum("watch=1" in path for path in api.asked) > 1)
    before = api.asked.count("/apis/kuma.io/v1alpha1/meshes/meanwhile")
    assert running.injector.review(pod({"kuma.io/mesh": "meanwhile"}))["allowed"]
    assert api.asked.count("/apis/kuma.io/v1alpha1/meshes/meanwhile") == before, "the list told of it"


def test_whoever_ends_watches_at_once_is_not_asked_over_and_over(tmp_path: Path) -> None:
    write_pair(tmp_path)
    with serving(tmp_path / "api") as (api, kubeconfig):
        api.put("default")
        api.events = lambda: iter(())  # type: ignore[method-assign]
        with started(tmp_path, kubeconfig) as injector:
            for _ in range(20):
                assert injector.review(pod())["allowed"]
            assert sum("watch=1" in path for path in api.asked) <= 1 + injector.seconds()


def test_it_is_not_ready_before_meshes_are_known_and_outlives_the_api_server(tmp_path: Path) -> None:
    write_pair(tmp_path)
    with serving(tmp_path / "api") as (api, kubeconfig):
        api.put("default")
        with started(tmp_path, kubeconfig) as injector:
            api.end_watches(500)
            assert injector.review(pod())["allowed"]
    with launched(tmp_path, kubeconfig) as injector:
        eventually(lambda: injector.ask("GET", "/healthy") == (200, b""))
        assert injector.ask("GET", "/ready")[0] == 503
        answer = injector.review(pod())
        assert answer["status"]["message"].startswith(
            "could not retrieve mesh for pod: the Kubernetes API at https"
        )


# -- the server


def ask_once(injector: Injector) -> http.client.HTTPSConnection:
    """A connection that is kept after a request."""
    kept = injector.connection()
    kept.request("GET", "/healthy")
    assert kept.getresponse().read() == b""
    return kept


def test_a_certificate_is_replaced_without_a_restart(running: Running) -> None:
    kept = ask_once(running.injector)
    old = (running.injector.certificates / "tls.crt").read_text()
    new = write_pair(running.injector.certificates)
    assert old != new
    served = ssl.get_server_certificate(("localhost", running.injector.port))
    assert served.strip() == new.strip()
    kept.request("GET", "/healthy")
    assert kept.getresponse().status == 200, "connections that are there stay"
    kept.close()


def test_a_broken_pair_leaves_the_last_one(running: Running) -> None:
    path = running.injector.certificates / "tls.key"
    key = path.read_text()
    path.write_text("no key")
    assert running.injector.ask("GET", "/healthy")[0] == 200
    path.write_text(key)
    assert "a certificate cannot be used" in running.injector.log.read_text()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(running: Running) -> None:
    tls = ssl.create_default_context(cafile=str(running.injector.certificates / "tls.crt"))
    tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("localhost", running.injector.port), 60) as plain,
        pytest.raises(ssl.SSLError),
    ):
        tls.wrap_socket(plain, server_hostname="localhost")


def test_a_body_has_bounds(running: Running) -> None:
    assert running.injector.ask("POST", "/inject-sidecar", b" " * (9 * 1024 * 1024))[0] == 413


def said(injector: Injector, text: bytes, until: bytes) -> bytes:
    """What is answered to these bytes, up to some text or the end."""
    tls = ssl.create_default_context(cafile=str(injector.certificates / "tls.crt"))
    with (
        socket.create_connection(("localhost", injector.port), 60) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(text)
        found = b""
        while until not in found and (piece := connection.recv(4096)):
            found += piece
        return found


def test_requests_may_come_together_and_in_pieces(running: Running) -> None:
    injector = running.injector
    one = b"GET /healthy HTTP/1.1\r\nHost: a\r\n"
    both = said(injector, one + b"\r\n" + one + b"Connection: close\r\n\r\n", b"\0")
    assert both.count(b"HTTP/1.1 200") == 2
    waiting = b"POST /inject-sidecar HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    assert said(injector, waiting, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
    body = b"2\r\n{}\r\n0\r\n\r\n"
    chunked = b"POST /inject-sidecar HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    assert b"it has no request.uid" in said(injector, chunked, b"request.uid")


@pytest.mark.parametrize("text", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 40_000])
def test_what_is_no_http_is_a_bad_request(running: Running, text: bytes) -> None:
    assert said(running.injector, text, b"\0").split(b" ")[1] in (b"400", b"431")


def test_silent_clients_delay_nobody(running: Running) -> None:
    """More than the server keeps: connections without a handshake, and those that never ask."""
    silent = [socket.create_connection(("localhost", running.injector.port), 60) for _ in range(100)]
    try:
        assert running.injector.review(pod())["allowed"]
    finally:
        for one in silent:
            one.close()


def test_it_is_small(running: Running, tmp_path: Path) -> None:
    """At work, with more connections than API servers have."""
    write_pair(tmp_path)
    with started(tmp_path, running.kubeconfig) as injector, ExitStack() as stack:
        for _ in range(20):
            stack.callback(ask_once(injector).close)
        for _ in range(50):
            injector.review(pod())
        assert injector.resident_mib() <= 45


# -- the start


def test_nothing_heavy_is_loaded() -> None:
    heavy = {
        "grpc",
        "pydantic",
        "cryptography",
        "structlog",
        "falcon",
        "lightkube",
        "httpx2",
        "uvicorn",
    }
    code = f"import sys, kuma_injector_k8s.program; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def failed(*words: str, **environ: str) -> str:
    done = subprocess.run(
        [PROGRAM, *words],
        env={"PATH": "", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_a_start_that_cannot_be_says_why(tmp_path: Path) -> None:
    assert ".CertDir must be non-empty" in failed("run")
    folder = {"KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR": str(tmp_path)}
    told = failed("run", HOME=str(tmp_path), **folder)
    assert told.startswith("Error: the Kubernetes API cannot be found: ")
    assert "No such file or directory. Outside of a cluster KUBECONFIG names a file" in told
    missing = str(tmp_path / "none.yaml")
    assert (
        failed("run", f"--config-file={missing}")
        == f"Error: {missing} cannot be read: No such file or directory\n"
    )


def test_an_old_cluster_has_no_native_sidecars(tmp_path: Path) -> None:
    write_pair(tmp_path)
    with serving(tmp_path / "api") as (api, kubeconfig):
        api.version = {"major": "1", "minor": "28"}
        told = failed(
            "run",
            KUBECONFIG=str(kubeconfig),
            KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR=str(tmp_path),
            KUMA_INJECTOR_NATIVE_SIDECARS="true",
        )
        assert (
            "injector.nativeSidecars: native sidecars need version 1.29 or later, and the Kubernetes" in told
        )
        api.version = {"major": "1", "minor": "29+"}
        api.put("default")
        with started(tmp_path, kubeconfig, KUMA_INJECTOR_NATIVE_SIDECARS="true") as injector:
            assert "restartPolicy" in str(injector.review(pod())["patch"])
