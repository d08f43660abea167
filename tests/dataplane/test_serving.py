"""Joining and leaving: what kuma-dp tells the control plane, and how long it waits before it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kuma_core.dataplane import serving, serving_door
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.serving_door import Door, Heard, NotHeard
from kuma_core.dataplane.settings import check, resolve
from kuma_core.testing.ports import free_port

from .support import KUMA_TCP_ECHO, REAL_ENVOY, SERVICE, WITHOUT_ENVOY, FakeControlPlane, Program, wait_for

Start = Callable[..., Program]

JOINED = {"mesh": "default", "name": "web-1", "serving": True}
LEFT = {**JOINED, "serving": False}
QUESTION = {"mesh": "default", "name": "web-1.demo"}
POD = {"POD_NAME": "web-1", "POD_NAMESPACE": "demo", "KUMA_DATAPLANE_NAME": "web-1.demo"}

BOOTSTRAP = """
node: {{id: default.web-1, cluster: web}}
static_resources:
  listeners:
  - name: inbound:127.0.0.1:{inbound}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {inbound}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.{kind}
        typed_config: {config}
  - name: outbound:127.0.0.1:{outbound}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {outbound}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config: {{'@type': {types}.tcp_proxy.v3.TcpProxy, stat_prefix: out, cluster: service}}
"""
BOOTSTRAP += SERVICE
TYPES = "type.googleapis.com/envoy.extensions.filters.network"
TCP = f"{{'@type': {TYPES}.tcp_proxy.v3.TcpProxy, stat_prefix: inbound, cluster: service}}"
HTTP = f"""
          '@type': {TYPES}.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: inbound
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - {{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: service}}}}]}}
"""


class Running:
    """A kuma-dp with a real Envoy that has joined."""

    def __init__(self, program: Program, inbound: int, outbound: int) -> None:
        self.program, self.inbound, self.outbound = program, inbound, outbound

    def connect(self, port: int = 0) -> socket.socket:
        """A connection that goes all the way: what is sent comes back."""
        made = socket.create_connection(("127.0.0.1", port or self.inbound), 60)
        echoes(made)
        return made

    def says(self, text: str) -> None:
        wait_for(lambda: text in self.program.err, f"the line: {text}")

    def stop(self) -> None:
        self.program.signal(signal.SIGTERM)


def echoes(connection: socket.socket) -> bool:
    connection.sendall(b"x" * 20)
    return connection.recv(100) == b"x" * 20


@pytest.fixture
def running(start: Start, control_plane: FakeControlPlane) -> Callable[..., Running]:
    if not Path(REAL_ENVOY).exists():
        pytest.skip(WITHOUT_ENVOY)

    def run(config: str = TCP, **variables: str) -> Running:
        inbound, outbound, service = free_port(), free_port(), free_port()
        start(KUMA_TCP_ECHO, f"-port={service}", "-interface=127.0.0.1")
        kind = "http_connection_manager" if config is HTTP else "tcp_proxy"
        ports = {"inbound": inbound, "outbound": outbound, "service": service}
        control_plane.bootstrap = (
            200,
            BOOTSTRAP.format(kind=kind, config=config, types=TYPES, **ports).encode(),
        )
        flags = [f"--cp-address={control_plane.url}", f"--binary-path={REAL_ENVOY}", "--log-level=info"]
        name = [] if "KUMA_DATAPLANE_NAME" in variables else ["--name=web-1"]
        program = start(str(Path(REAL_ENVOY).parent / "kuma-dp"), "run", *name, *flags, **variables)
        made = Running(program, inbound, outbound)
        if name:
            wait_for(lambda: control_plane.told() or program.process.poll() is not None, "the joining", 60)
            made.says("others may call this proxy now")
        return made

    return run


# -- on a machine, with a real Envoy


def test_an_instance_tells_that_it_serves_once_its_envoy_takes_connections(
    running: Callable[..., Running], control_plane: FakeControlPlane
) -> None:
    dp = running()
    assert control_plane.told() == [JOINED]
    assert control_plane.asked_bootstrap()["tellsServing"] is True
    dp.connect().close()
    dp.stop()
    assert dp.program.end(60) == 0
    assert control_plane.told() == [JOINED, LEFT]
    assert "still open" not in dp.program.err


def test_open_connections_to_inbounds_are_waited_for_and_served_meanwhile(
    running: Callable[..., Running], control_plane: FakeControlPlane
) -> None:
    dp = running()
    with dp.connect() as connection, dp.connect(dp.outbound):
        dp.stop()
        dp.says("open connections are waited for")
        assert control_plane.told()[-1] == LEFT
        assert dp.program.err.count('"connections": 1') == 1, (
            "those that this machine makes count for nothing"
        )
        dp.connect().close()
        assert echoes(connection)
        assert dp.program.process.poll() is None
        connection.close()
        assert dp.program.end(60) == 0
    assert "still open" not in dp.program.err


def test_connections_that_nobody_closes_end_with_the_drain_time(running: Callable[..., Running]) -> None:
    dp = running(KUMA_DATAPLANE_DRAIN_TIME="1s")
    with dp.connect() as connection:
        dp.stop()
        assert dp.program.end(60) == 0
        assert connection.recv(1) == b""
    assert "connections are still open when the time is over" in dp.program.err


def test_clients_of_http_are_told_to_close_idle_connections(running: Callable[..., Running]) -> None:
    dp = running(HTTP)
    client = http.client.HTTPConnection("127.0.0.1", dp.inbound, timeout=60)
    client.request("GET", "/")
    first = client.getresponse()
    first.read()
    assert not first.will_close
    dp.stop()
    dp.says("open connections are waited for")
    client.request("GET", "/")
    last = client.getresponse()
    last.read()
    assert (last.status, last.will_close) == (200, True)
    client.close()
    assert dp.program.end(60) == 0


def test_a_second_signal_ends_the_waiting_at_once(running: Callable[..., Running]) -> None:
    dp = running()
    with dp.connect():
        dp.stop()
        dp.says("open connections are waited for")
        dp.stop()
        assert dp.program.end(60) == 1


def test_without_a_control_plane_nothing_is_waited_for(
    running: Callable[..., Running], control_plane: FakeControlPlane
) -> None:
    """Nobody is told, so that others would go on connecting for as long as Envoy is there."""
    dp = running()
    with dp.connect():
        control_plane.close()
        dp.stop()
        assert dp.program.end(60) == 0
    assert "the control plane was not told that this proxy leaves" in dp.program.err
    assert f"{control_plane.url}/serving: Connection refused" in dp.program.err
    assert "open connections" not in dp.program.err


def test_an_envoy_that_ends_while_kuma_dp_leaves_is_no_failure(running: Callable[..., Running]) -> None:
    dp = running()
    with dp.connect():
        dp.stop()
        dp.says("open connections are waited for")
        [envoy] = Path(f"/proc/{dp.program.pid}/task/{dp.program.pid}/children").read_text().split()
        os.kill(int(envoy), signal.SIGTERM)
        assert dp.program.end(60) == 0


# -- in a Pod, with a real Envoy


def get(port: int, path: str) -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("GET", path)
    answer = client.getresponse()
    return answer.status, answer.read().decode().strip()


def test_a_container_that_is_to_end_waits_until_its_pod_leaves_and_causes_nothing(
    running: Callable[..., Running], control_plane: FakeControlPlane
) -> None:
    control_plane.serving = (200, b'{"serving": true, "pending": 0}')
    port = free_port()
    dp = running(
        **POD,
        KUMA_DATAPLANE_PROBES=json.dumps({"port": port, "targets": {}, "leaving": "/a/b", "ready": "/r"}),
    )
    dp.says("probes are answered")
    assert get(port, "/a/c")[0] == 404
    wait_for(lambda: get(port, "/r") == (200, "Envoy is ready"), "an Envoy that listens")
    assert control_plane.told() == [], "in a Pod kuma-dp does not tell that it serves"
    found: list[tuple[int, str]] = []
    hook = threading.Thread(target=lambda: found.append(get(port, "/a/b")))
    hook.start()
    wait_for(lambda: len(control_plane.told()) > 2, "questions")
    assert found == []
    control_plane.serving = (200, b'{"serving": false, "pending": 0}')
    hook.join(60)
    assert found == [(200, "others do not call this Pod; 0 of them have not taken that yet")]
    dp.stop()
    assert dp.program.end(60) == 0
    assert all(said == QUESTION for said in control_plane.told())


# -- without an Envoy


class Told(Log):
    def __init__(self) -> None:
        super().__init__("off")
        self.lines: list[str] = []

    def info(self, message: str, **values: object) -> None:
        self.lines.append(message.split(";")[0])

    def always(self, level: str, message: str, **values: object) -> None:
        self.lines.append(f"{level} {message.split(',')[0]}")


class FakeDoor(Door):
    """Answers from a list; the last answer is given again and again."""

    def __init__(self, *answers: Heard | NotHeard) -> None:
        super().__init__("http://nowhere/serving")
        self.answers, self.said = list(answers), list[bool | None]()

    def ask(self, mesh: str, name: str, serving: bool | None, seconds: float = 0) -> Heard:
        self.said.append(serving)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, NotHeard):
            raise answer
        return answer


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOKS", "AGAIN", "QUESTIONS"):
        monkeypatch.setattr(serving, name, (0.001,))
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(serving, "is_ready", lambda address: True)
    monkeypatch.setattr(serving, "open_connections", lambda address: 0)


def presence(door: Door, **environ: str) -> tuple[serving.Presence, Told]:
    settings = check(resolve({}, {"KUMA_DATAPLANE_NAME": "web-1", **environ})[0])
    log = Told()
    return serving.Presence(door, settings, "/nowhere", log), log


@pytest.mark.usefixtures("hurried")
def test_it_is_told_until_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "UNHEARD_SECONDS", 0.0)
    door = FakeDoor(NotHeard("503"), NotHeard("503"), NotHeard("refused"), Heard(True, 0))
    joining, log = presence(door)
    joining.start()
    wait_for(lambda: "others may call this proxy now" in log.lines, "the news")
    assert door.said == [True] * 4
    unheard = "WARNING the control plane was not told that this proxy serves"
    assert log.lines == [unheard, "others may call this proxy now"]


@pytest.mark.usefixtures("hurried")
def test_a_control_plane_that_knows_no_such_thing_is_told_once() -> None:
    door = FakeDoor(NotHeard("404", is_final=True))
    joining, log = presence(door)
    joining.start()
    wait_for(lambda: log.lines, "the answer")
    joining.leave()
    assert log.lines == ["the control plane wants to hear nothing of who serves"]
    assert door.said == [True, False]


@pytest.mark.usefixtures("hurried")
def test_a_dataplane_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart of a control plane that keeps everything in memory."""
    monkeypatch.setattr(serving, "AGAIN", (3600.0,))
    monkeypatch.setattr(serving, "MISSING_SECONDS", 0.001)
    door = FakeDoor(NotHeard("404", is_missing=True), NotHeard("404", is_missing=True), Heard(True, 0))
    joining, log = presence(door)
    joining.start()
    wait_for(lambda: log.lines, "the news")
    assert (log.lines, door.said) == (["others may call this proxy now"], [True] * 3)


@pytest.mark.usefixtures("hurried")
def test_who_finds_the_control_plane_again_tells_it_again() -> None:
    door = FakeDoor(Heard(True, 0))
    joining, log = presence(door)
    joining.start()
    for count in (1, 2):
        wait_for(lambda: len(log.lines) == count and joining._thread and not joining._thread.is_alive(), "it")  # noqa: B023
        joining.again()
    wait_for(lambda: len(log.lines) == 3, "the third time")
    joining.leave()
    joining.again()
    assert door.said == [True, True, True, False]


def test_who_leaves_before_envoy_is_ready_never_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "is_ready", lambda address: False)
    door = FakeDoor(Heard(False, 0))
    joining, _ = presence(door)
    joining.start()
    joining.leave()
    assert door.said == [False]


@pytest.mark.usefixtures("hurried")
def test_in_a_pod_a_container_that_ends_alone_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HOOK_SECONDS", 0.05)
    monkeypatch.setattr(serving, "AWAY_SECONDS", 0.05)
    monkeypatch.setattr(serving, "BACK_SECONDS", 0.0)
    joining, _ = presence(FakeDoor(Heard(True, 0)), **POD)
    assert joining.left() == (200, "this Pod does not leave")
    joining, _ = presence(FakeDoor(NotHeard("http://cp/serving: refused")), **POD)
    assert joining.left()[0] == 504
    joining, _ = presence(FakeDoor(NotHeard("away"), Heard(False, 2)), **POD)
    assert joining.left() == (200, "others do not call this Pod; 2 of them have not taken that yet")


@pytest.mark.usefixtures("hurried")
def test_in_a_pod_a_container_ends_after_what_others_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice in a row nobody is to be connected; who stays connected is not waited for without end."""
    counts = [1, 0, 3, 0, 0, 1]
    monkeypatch.setattr(serving, "open_connections", lambda address: counts.pop(0))
    joining, _ = presence(FakeDoor(Heard(False, 0)), **POD)
    assert joining.left()[0] == 200
    assert counts == [1]
    monkeypatch.setattr(serving, "open_connections", lambda address: 1)
    monkeypatch.setattr(serving, "QUIET_SECONDS", 0.05)
    assert joining.left()[0] == 200


@pytest.mark.usefixtures("hurried")
def test_in_a_pod_others_get_the_time_to_find_a_control_plane_that_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "BACK_SECONDS", 0.1)
    door = FakeDoor(NotHeard("away"), Heard(False, 0))
    joining, _ = presence(door, **POD)
    began = time.monotonic()
    assert joining.left()[0] == 200
    assert time.monotonic() - began >= 0.1
    assert len(door.said) > 2


@contextmanager
def admin(tmp_path: Path, answers: dict[str, tuple[int, str]]) -> Iterator[str]:
    """An admin API with these answers by the first word of the path, in chunks as Envoy sends them."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            code, text = answers[self.path.split("?")[0]]
            self.send_response(code)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = len(text) // 2
            for piece in (text[:half], text[half:], ""):
                self.wfile.write(
                    f"{len(piece):x}\r\n{piece}\r\n".encode() if piece or not text[half:] else b""
                )
            self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    (tmp_path / "address").write_text(f"127.0.0.1:{server.server_port}")
    try:
        yield str(tmp_path / "address")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def state(**counts: int) -> str:
    names = {
        "warming": "total_listeners_warming",
        **{k: f"lds.update_{k}" for k in ("attempt", "success", "rejected")},
    }
    return "".join(f"listener_manager.{names[name]}: {count}\n" for name, count in counts.items())


INBOUND = (
    "inbound:127.0.0.1:8080::127.0.0.1:8080\ninbound:[::1]:8080::[::1]:8080\noutbound:1.1.1.1:1::1.1.1.1:1\n"
)


@pytest.mark.parametrize(
    ("ready", "stats", "listeners", "expected"),
    [
        (503, state(warming=0), "", False),
        (200, state(warming=0), "", True),  # a bootstrap that asks for no listeners
        (200, state(warming=0, attempt=1, success=0), INBOUND, False),  # live, as nothing came in 15 s
        (200, state(warming=1, attempt=1, success=1), INBOUND, False),  # a certificate is missing
        (200, state(warming=0, attempt=1, success=1), "", True),
        (200, state(warming=0, attempt=1, success=0, rejected=1), INBOUND, True),  # one of several is refused
        (200, state(warming=0, attempt=1, success=0, rejected=1), "outbound:1.1.1.1:1::x\n", False),
    ],
)
def test_when_an_envoy_is_ready(
    tmp_path: Path, ready: int, stats: str, listeners: str, expected: bool
) -> None:
    answers = {"/ready": (ready, "x"), "/stats": (200, stats), "/listeners": (200, listeners)}
    with admin(tmp_path, answers) as address:
        assert serving.is_ready(address) is expected
    assert not serving.is_ready(address)


def test_connections_to_inbounds_of_both_families_are_counted(tmp_path: Path) -> None:
    lines = {"127.0.0.1_8080": 2, "[__1]_8080": 3, "1.1.1.1_1": 7, "admin": 1}
    text = "".join(f"listener.{name}.downstream_cx_active: {count}\n" for name, count in lines.items())
    with admin(tmp_path, {"/stats": (200, text), "/listeners": (200, INBOUND)}) as address:
        assert serving.open_connections(address) == 5


# -- the door


@pytest.fixture
def door(control_plane: FakeControlPlane) -> Door:
    return Door(f"{control_plane.url}/serving")


def test_the_token_is_shown_with_what_is_said_and_not_with_a_question(
    control_plane: FakeControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a.b.c\n")
    door = Door(f"{control_plane.url}/serving", "", str(tmp_path / "token"))
    control_plane.serving = (200, b'{"serving": true, "pending": 3}')
    heard = door.ask("default", "web-1", False)
    assert (heard.serving, heard.pending) == (True, 3)
    door.ask("default", "web-1", None)
    assert control_plane.told() == [{**LEFT, "dataplaneToken": "a.b.c"}, {"mesh": "default", "name": "web-1"}]


@pytest.mark.parametrize(
    ("answer", "text", "is_final"),
    [
        (
            (403, b'{"title": "No.", "details": "the token is not yours"}'),
            "status 403. No. the token is not yours",
            False,
        ),
        ((404, b"nothing"), "status 404", True),
        (
            (404, b'{"title": "Could not tell whether an instance serves", "details": "There is none"}'),
            "status 404. Could not tell whether an instance serves. There is none",
            False,
        ),
        ((503, b""), "status 503", False),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_control_plane(
    control_plane: FakeControlPlane, door: Door, answer: tuple[int, bytes], text: str, is_final: bool
) -> None:
    control_plane.serving = answer
    with pytest.raises(NotHeard) as caught:
        door.ask("default", "web-1", True)
    assert (str(caught.value), caught.value.is_final) == (f"{door.url}: {text}", is_final)


def test_who_does_not_answer_is_not_waited_for(control_plane: FakeControlPlane, door: Door) -> None:
    control_plane.delays = [1.0]
    with pytest.raises(NotHeard, match="no answer in time"):
        door.ask("default", "web-1", True, 0.05)


def test_what_does_not_speak_http_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"SSH-2.0\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(NotHeard):
            Door(f"http://127.0.0.1:{server.getsockname()[1]}/serving").ask("a", "b", True)
        thread.join()


def test_a_name_that_leads_nowhere_is_said() -> None:
    with pytest.raises(NotHeard, match=r"http://nowhere\.invalid/serving: "):
        Door("http://nowhere.invalid/serving").ask("a", "b", True)


def test_the_way_is_noted_for_the_process_that_stays(tmp_path: Path) -> None:
    assert serving_door.arranged("") is serving_door.arranged(str(tmp_path)) is None
    serving_door.arrange(str(tmp_path), "http://cp:5682/bootstrap?x", "", "/run/token")
    door = serving_door.arranged(str(tmp_path))
    assert door
    assert (door.url, door.ca_cert_file, door.token_file) == ("http://cp:5682/serving", "", "/run/token")


# -- what a start asks for


def asked(control_plane: FakeControlPlane) -> dict[str, Any]:
    wait_for(lambda: [path for _, path, _ in control_plane.requests if path == "/bootstrap"], "the request")
    return control_plane.asked_bootstrap()


def test_a_token_never_goes_over_plain_http_to_another_machine(
    kuma_dp: Start, control_plane: FakeControlPlane, stub_pid: Callable[[], int], tmp_path: Path
) -> None:
    """This address is one of loopback that does not look like one."""
    (tmp_path / "token").write_text("abc.def.ghi")
    control_plane.token_url = "http://localhost:5679"
    own = control_plane.url.replace("127.0.0.1", "0.0.0.0")
    apis = {"bootstrap": {"url": own}, "dataplaneToken": {"localUrl": control_plane.token_url}}
    control_plane.catalog = (200, json.dumps({"apis": apis}).encode())
    dp = kuma_dp("--dataplane-token-file=token", "--log-level=info")
    stub_pid()
    assert "tellsServing" not in asked(control_plane)
    assert "the token would go over plain HTTP" in dp.err
    dp.signal(signal.SIGTERM)
    assert dp.end(60) == 0
    assert control_plane.told() == []


def test_on_this_machine_it_does(
    kuma_dp: Start, control_plane: FakeControlPlane, stub_pid: Callable[[], int], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("abc.def.ghi")
    control_plane.token_url = "http://localhost:5679"
    dp = kuma_dp("--dataplane-token-file=token")
    stub_pid()
    assert asked(control_plane)["tellsServing"] is True
    dp.signal(signal.SIGTERM)
    assert dp.end(5) == 0
    assert control_plane.told() == [{**LEFT, "dataplaneToken": "abc.def.ghi"}]


def test_nothing_open_is_nothing_to_wait_for(kuma_dp: Start, stub_pid: Callable[[], int]) -> None:
    """What telling adds to the end is less than what the end takes anyway, many times over."""
    dp = kuma_dp()
    stub_pid()
    began = time.monotonic()
    dp.signal(signal.SIGTERM)
    assert dp.end(5) == 0
    assert time.monotonic() - began < 5
