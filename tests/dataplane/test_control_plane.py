"""What kuma-dp makes of the answers of a control plane, good and bad."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from kuma_core.dataplane import control_plane as subject
from kuma_core.dataplane.log import Log
from kuma_core.errors import KumaError
from kuma_core.testing.waiting import eventually

from .support import FakeControlPlane, free_port

REQUEST = {"mesh": "default", "name": "web-1"}
LOG = Log("off")


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "RETRY_AFTER_SECONDS", (0.01,))
    monkeypatch.setattr(subject, "TIMEOUT_SECONDS", 1.0)


def catalog_error(server: FakeControlPlane) -> str:
    with pytest.raises(KumaError) as caught:
        subject.fetch_catalog(server.url, LOG)
    return str(caught.value).replace(server.url, "URL")


def bootstrap_error(server: FakeControlPlane) -> str:
    with pytest.raises(KumaError) as caught:
        subject.fetch_bootstrap(server.url, REQUEST, LOG)
    text = str(caught.value).replace(server.url, "URL")
    assert text.startswith("failed to generate Envoy bootstrap config: ")
    return text.removeprefix("failed to generate Envoy bootstrap config: ")


def test_the_catalog_is_read(control_plane: FakeControlPlane) -> None:
    control_plane.token_url = "http://localhost:5679"
    catalog = subject.fetch_catalog(control_plane.url + "/", LOG)
    assert catalog == subject.Catalog(control_plane.url + "/other", "http://localhost:5679")
    assert control_plane.requests == [("GET", "/catalog", b"")]


def test_the_bootstrap_comes_as_it_is_and_the_path_is_replaced(control_plane: FakeControlPlane) -> None:
    control_plane.bootstrap = (200, b"# kept\nnode: {id: a.b}\n")
    body = subject.fetch_bootstrap(control_plane.url + "/any?thing", REQUEST, LOG)
    assert body == b"# kept\nnode: {id: a.b}\n"
    assert control_plane.asked_bootstrap() == REQUEST


WHICH_SERVER = "Check that --cp-address is the URL of kuma-cp's API server (port 5681)."


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (503, b"", "unexpected status code 503. Expected 200 from URL/catalog. "),
        (200, b"<html>", "the answer of URL/catalog is not JSON. "),
        (200, b"[" * 100_000, "the answer of URL/catalog is not JSON. "),
        (200, b"[]", 'URL/catalog names no bootstrap server: apis.bootstrap.url is "". '),
        (
            200,
            b'{"apis": {"bootstrap": {"url": "ftp://x"}}}',
            'URL/catalog names no bootstrap server: apis.bootstrap.url is "ftp://x". ',
        ),
    ],
)
def test_a_bad_catalog_is_told(
    control_plane: FakeControlPlane, status: int, body: bytes, sentence: str
) -> None:
    control_plane.catalog = (status, body)
    assert catalog_error(control_plane) == f"could not retrieve the catalog: {sentence}{WHICH_SERVER}"


def test_a_failing_bootstrap_server_is_told_with_its_details(control_plane: FakeControlPlane) -> None:
    control_plane.bootstrap = (
        500,
        b'{"title": "Could not process a resource", "details": "No store.", '
        b'"causes": [{"field": "name", "message": "is odd"}]}',
    )
    assert bootstrap_error(control_plane) == (
        "unexpected status code: 500 from URL/bootstrap. Could not process a resource. No store. "
        "name: is odd. The log of kuma-cp may say more."
    )


def test_a_bootstrap_server_that_is_there_but_cannot_answer_is_waited_for(
    control_plane: FakeControlPlane, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it is while the store of the control plane hangs: 503, or no answer in time."""
    monkeypatch.setattr(subject, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(subject, "TIMEOUT_SECONDS", 0.3)
    control_plane.bootstrap = (503, b'{"title": "Not now", "details": "The store cannot be reached"}')
    control_plane.delays = [0.0, 0.0, 1.0, 0.0]

    def mend() -> None:
        eventually(lambda: len(control_plane.requests) >= 4)
        control_plane.bootstrap = (200, b"a: b\n")

    thread = threading.Thread(target=mend)
    thread.start()
    assert subject.fetch_bootstrap(control_plane.url, REQUEST, LOG) == b"a: b\n"
    thread.join(10)
    warning = f"Warning: waiting for the control plane: {control_plane.url}/bootstrap: Not now. The store"
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if line.startswith("Warning")] == [f"{warning} cannot be reached."]


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b'{"causes": 1}', b'{"causes": ["x"]}'])
def test_an_error_body_of_another_shape_does_no_harm(control_plane: FakeControlPlane, body: bytes) -> None:
    control_plane.bootstrap = (500, body)
    assert bootstrap_error(control_plane) == (
        "unexpected status code: 500 from URL/bootstrap. The log of kuma-cp may say more."
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>hello</html>", "it is no YAML mapping"),
        (b"", "it is no YAML mapping"),
        (b"- a\n- b\n", "it is no YAML mapping"),
        (b"a: b\n c: [\n", "mapping values are not allowed in this context at line 2, column 3"),
        (b"\xff\xfe\x00", "it is no YAML that could be read (ReaderError)"),
        (b"a: b\n---\nc: d\n", "it is no YAML mapping"),
        (b"a: " + b"[" * 900, "it is no YAML that could be read (ValueError)"),
        (b"a: " + b"[" * 100_000, ""),  # libyaml may say it first, in words of its own
    ],
)
def test_a_bootstrap_that_is_no_mapping_is_told(
    control_plane: FakeControlPlane, body: bytes, reason: str
) -> None:
    control_plane.bootstrap = (200, body)
    text = bootstrap_error(control_plane)
    assert text.startswith(f"could not parse the bootstrap configuration: {reason}")
    assert text.endswith(". Is URL/bootstrap kuma-cp's bootstrap server?")


def test_an_answer_without_end_is_cut_off(control_plane: FakeControlPlane) -> None:
    control_plane.bootstrap = (200, b"a: b\n" * 1024 * 1024)
    assert "the answer is larger than 4 MiB" in bootstrap_error(control_plane)


def test_a_bootstrap_server_that_cannot_be_reached_is_told() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(KumaError) as caught:
        subject.fetch_bootstrap(url, REQUEST, LOG)
    assert str(caught.value) == (
        f"failed to generate Envoy bootstrap config: request to bootstrap server failed: {url}/bootstrap: "
        "Connection refused. kuma-cp announces this URL; if it cannot be reached from here, set "
        "general.advertisedHostname (KUMA_GENERAL_ADVERTISED_HOSTNAME) there."
    )


Script = Callable[[socket.socket], None]


@pytest.fixture
def scripted() -> Iterator[Callable[[Script], str]]:
    """A server that accepts one connection and does what it is told."""
    server = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def make(script: Script) -> str:
        def serve() -> None:
            client, _ = server.accept()
            with client:
                script(client)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield make
    for thread in threads:
        thread.join(10)
    server.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "what answers there does not speak HTTP (BadStatusLine)"),
        (b"", "what answers there does not speak HTTP (RemoteDisconnected)"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the answer ended too early"),
    ],
)
def test_what_is_not_http_is_told(scripted: Callable[[Script], str], answer: bytes, reason: str) -> None:
    def script(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(answer)

    url = scripted(script)
    with pytest.raises(KumaError, match="could not execute the request") as caught:
        subject.fetch_catalog(url, LOG)
    assert f"{url}/catalog: {reason}. Start kuma-cp" in str(caught.value)


def test_https_to_a_server_without_tls_is_told_and_not_retried(control_plane: FakeControlPlane) -> None:
    url = control_plane.url.replace("http:", "https:")
    with pytest.raises(KumaError, match=rf"{url}/catalog: .*(?i:version number|ssl).*\. Start kuma-cp"):
        subject.fetch_catalog(url, LOG)
    assert control_plane.requests == []


def test_a_server_that_never_answers_is_given_up(scripted: Callable[[Script], str]) -> None:
    url = scripted(lambda client: wait_until_closed(client))
    with pytest.raises(KumaError, match=r"no answer within 1 s\. Start kuma-cp"):
        subject.fetch_catalog(url, LOG)


def wait_until_closed(client: socket.socket) -> None:
    while client.recv(65536):
        pass


@pytest.mark.parametrize("url", ["http://a b", "http://" + "a" * 70 + ".x", "http://[::1"])
def test_an_impossible_host_is_a_sentence_and_no_traceback(url: str) -> None:
    with pytest.raises(KumaError, match="could not retrieve the catalog"):
        subject.fetch_catalog(url, LOG)


@pytest.mark.parametrize(("seconds", "said"), [(-7200, "ahead"), (7200, "behind"), (30, ""), (-30, "")])
def test_a_control_plane_with_another_time_is_warned_of(
    control_plane: FakeControlPlane,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    said: str,
) -> None:
    """The control plane's clock is right, ours is not; HTTP tells whole seconds."""
    now = time.time() + seconds
    monkeypatch.setattr(subject, "time", SimpleNamespace(time=lambda: now, monotonic=time.monotonic))
    subject.fetch_bootstrap(control_plane.url, REQUEST, Log("info"))
    lines = capsys.readouterr().err.splitlines()
    told = re.compile(rf"the clock of the control plane is (2h0m[01]s|1h59m59s) {said} of this machine's")
    assert [bool(told.search(line)) for line in lines] == [True] * bool(said)
