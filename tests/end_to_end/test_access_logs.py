"""Access logs of real Envoys: into files, and through kuma-dp to servers that are there, away, or wedged."""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import mesh, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import BIN, Load, Machine, Sidecar, fetch
from .test_protocol import status
from .test_traffic import client, instance

FORMAT = "%KUMA_SOURCE_SERVICE%->%KUMA_DESTINATION_SERVICE% %BYTES_RECEIVED%\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    settings = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
    with (
        running_platform([kuma_store_memory, kuma_policy_traffic], settings) as cp,
        ExitStack() as stack,
    ):
        yield Machine(cp, tmp_path, stack)


class Collector:
    """A server for logs that keeps what it gets."""

    def __init__(self, port: int = 0, backlog: int = 8) -> None:
        self.received = b""
        self.connections = 0
        self._server = socket.create_server(("127.0.0.1", port), backlog=backlog)
        self.port = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        try:
            while data := connection.recv(65536):
                self.received += data
        except OSError:
            pass

    def lines(self) -> list[str]:
        return self.received.decode().splitlines()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._open:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()


@contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    server = Collector(port)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def wedged_sink() -> Iterator[int]:
    """A server that accepts and never reads; yields its port."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


def logging(*backends: dict, default: str = "") -> dict:
    return mesh("default", logging={"backends": list(backends), "defaultBackend": default})


def tcp(name: str, port: int, text: str = FORMAT) -> dict:
    return {"name": name, "format": text, "tcp": {"address": f"127.0.0.1:{port}"}}


def traffic_log(backend: str = "", name: str = "all") -> dict:
    everybody = [{"match": {"service": "*"}}]
    conf = {"conf": {"backend": backend}} if backend else {}
    return {
        "type": "TrafficLog",
        "mesh": "default",
        "name": name,
        "sources": everybody,
        "destinations": everybody,
        **conf,
    }


def pair(machine: Machine, port: int) -> Sidecar:
    """A ledger and a client of it, both with sidecars; gives the client's."""
    documents = instance(machine, "ledger-1", "ledger"), client("orders", outbound(f":{port}", "ledger"))
    machine.cp.apply(*documents)
    machine.sidecar("ledger-1")
    orders = machine.sidecar("orders")
    eventually(lambda: fetch(port))
    return orders


def interfaces(machine: Machine) -> tuple[str, str]:
    """Where the ledger is reached, and the address of the client."""
    ledger, orders = (
        machine.cp.get(f"/meshes/default/dataplanes/{name}").body["networking"]["inbound"][0]["interface"]
        for name in ("ledger-1", "orders")
    )
    return ledger.rpartition(":")[0], orders.split(":")[0]


def accepted(machine: Machine, name: str = "orders") -> bool:
    """Whether the proxy runs with all that it was sent; fails if it refused anything."""
    total = eventually(lambda: status(machine.cp, name)["total"])
    assert "responsesRejected" not in total, status(machine.cp, name)
    return True


def connections(orders: Sidecar) -> int:
    return orders.stat("tcp.ledger.downstream_cx_total")


def logged_requests(orders: Sidecar, port: int, log: Callable[[], list[str]], count: int = 1) -> list[str]:
    """The lines of so many requests, where every connection so far has one."""
    eventually(lambda: len(log()) == connections(orders), what="a record for every connection")
    before = len(log())
    for _ in range(count):
        fetch(port)
    eventually(lambda: len(log()) == connections(orders), 3, "the records within 3 s")
    return log()[before:]


def test_scenario_66_a_file_has_a_line_for_every_connection(machine, tmp_path):
    port, path = free_port(), tmp_path / "access.log"
    machine.cp.apply(logging({"name": "f", "file": {"path": str(path)}}, default="f"), traffic_log())
    orders = pair(machine, port)
    lines = logged_requests(orders, port, lambda: path.read_text().splitlines(), 3)
    ledger, source = interfaces(machine)
    pattern = (
        r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "
        + re.escape(f"{source}:0(orders)->{ledger}(ledger) ")
        + r"took \d+ms, sent \d+ bytes, received: \d+ bytes"
    )
    assert len(lines) == 3
    assert all(re.fullmatch(pattern, line) for line in lines), lines
    assert accepted(machine)


def test_scenario_67_a_server_gets_the_lines_within_3_seconds_over_one_connection(machine):
    port = free_port()
    with collector() as sink:
        machine.cp.apply(logging(tcp("t", sink.port), default="t"), traffic_log())
        lines = logged_requests(pair(machine, port), port, sink.lines, 5)
        assert len(lines) == 5
        assert all(re.fullmatch(r"orders->ledger \d+", line) for line in lines), lines
        assert sink.connections == 1
    assert accepted(machine)


def test_scenario_67_a_text_comes_as_it_is_also_without_a_newline(machine):
    port = free_port()
    with collector() as sink:
        text = "<%START_TIME(%Y)%|100% %KUMA_DOWNSTREAM_CLUSTER%|ünïcode>"
        machine.cp.apply(logging(tcp("t", sink.port, text), default="t"), traffic_log())
        pair(machine, port)
        eventually(lambda: sink.received)
        year = time.gmtime().tm_year
        assert sink.received.decode().startswith(f"<{year}|100% %KUMA_DOWNSTREAM_CLUSTER%|ünïcode>")
    assert accepted(machine)


def test_scenario_67_later_lines_arrive_when_a_server_comes_back_and_no_request_fails(machine):
    port, sink_port = free_port(), free_port()
    machine.cp.apply(logging(tcp("t", sink_port), default="t"), traffic_log())
    pair(machine, port)
    with Load(port, pause=0.01) as load:
        eventually(lambda: sum(load.answers.values()) > 50)
        for _ in range(2):
            with collector(sink_port) as sink:
                eventually(lambda sink=sink: len(sink.lines()) > 20, what="lines after an outage")
            seen = sum(load.answers.values())
            eventually(lambda seen=seen: sum(load.answers.values()) > seen + 50)
    assert load.failures == []


def test_scenario_67_a_server_that_accepts_and_never_reads_costs_no_request_and_no_memory(machine):
    port, large = free_port(), "x" * 3000 + FORMAT
    with wedged_sink() as sink_port, collector() as healthy:
        backends = tcp("wedged", sink_port, large), tcp("t", healthy.port)
        machine.cp.apply(logging(*backends, default="wedged"), traffic_log())
        orders = pair(machine, port)
        with ExitStack() as stack:
            loads = [stack.enter_context(Load(port, pause=0)) for _ in range(2)]
            eventually(lambda: sum(load.answers["ledger-1"] for load in loads) > 1500, 60)
        assert [load.failures for load in loads] == [[], []]
        machine.cp.apply(traffic_log("t"))
        eventually(lambda: fetch(port) and healthy.lines(), what="a line in another server")
        assert _resident(orders.process.pid) < 30_000


def _resident(pid: int) -> int:
    """Kilobytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_scenario_69_the_length_of_the_pipes_path_does_not_matter(machine, tmp_path, monkeypatch):
    """A named pipe is opened as a file; the 107 bytes are the limit of a socket's path only."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    port = free_port()
    with collector() as sink:
        machine.cp.apply(logging(tcp("t", sink.port), default="t"), traffic_log())
        lines = logged_requests(pair(machine, port), port, sink.lines)
        assert len(lines) == 1
        assert list(folder.glob("kuma-dp-*")), "the sidecars' directories are elsewhere"


def test_scenario_68_an_unknown_backend_means_no_log(machine):
    port = free_port()
    with collector() as sink:
        machine.cp.apply(logging(tcp("t", sink.port), default="t"), traffic_log("nowhere"))
        orders = pair(machine, port)
        for _ in range(5):
            fetch(port)
        unlogged = connections(orders)
        machine.cp.apply(traffic_log("t"))
        eventually(lambda: fetch(port) and sink.lines(), what="a line, now that the backend is known")
        assert len(sink.lines()) <= connections(orders) - unlogged
    assert accepted(machine)


def test_scenario_68_an_unknown_operator_in_a_file_format_stays_as_it_is(machine, tmp_path):
    port, path = free_port(), tmp_path / "access.log"
    backend = {"name": "f", "format": "%NO_SUCH% 100% %REQ(%\n", "file": {"path": str(path)}}
    machine.cp.apply(logging(backend, default="f"), traffic_log())
    orders = pair(machine, port)
    assert logged_requests(orders, port, lambda: path.read_text().splitlines()) == ["%NO_SUCH% 100% %REQ(%"]
    assert accepted(machine)


def file_backend(path: object) -> dict:
    return logging({"name": "f", "format": FORMAT, "file": {"path": str(path)}}, default="f")


def test_a_file_that_cannot_be_opened_keeps_no_traffic_out_and_the_log_comes_when_it_can(machine, tmp_path):
    port, path = free_port(), tmp_path / "missing" / "access.log"
    machine.cp.apply(file_backend(path), traffic_log())
    orders = pair(machine, port)
    assert fetch(port) == "ledger-1"
    warning = f"Warning: could not write the access log {path}: No such file or directory."
    eventually(lambda: warning in orders.log.read_text(), what="the reason")
    path.parent.mkdir()
    lines = logged_requests(orders, port, lambda: path.read_text().splitlines(), 3)
    assert all(re.fullmatch(r"orders->ledger \d+", line) for line in lines), lines
    assert orders.log.read_text().count("Warning: could not write") == 1
    assert accepted(machine)


@pytest.mark.parametrize("path", ["~/access.log", "${HOME}/access.log", "/", "/dev/null/access.log"])
def test_whatever_the_path_is_a_fresh_sidecar_serves(machine, path):
    port = free_port()
    machine.cp.apply(file_backend(path), traffic_log())
    orders = pair(machine, port)
    eventually(lambda: fetch(port) == "ledger-1")
    eventually(lambda: "Warning: could not write the access log" in orders.log.read_text(), what="the reason")
    assert accepted(machine)


def test_a_file_that_is_moved_is_followed_by_a_new_one(machine, tmp_path):
    port, path = free_port(), tmp_path / "access.log"
    machine.cp.apply(file_backend(path), traffic_log())
    orders = pair(machine, port)
    eventually(lambda: len(path.read_text().splitlines()) == connections(orders))
    path.rename(tmp_path / "access.log.1")
    fetch(port)
    eventually(
        lambda: re.fullmatch(r"orders->ledger \d+\n", path.read_text()), what="a new file with one line"
    )


def test_a_file_gets_every_character_of_its_format(machine, tmp_path):
    """Those that mean something in the pipe, too, as in sequences of JSON texts, and colours."""
    port, path = free_port(), tmp_path / "100% \x1e.log"
    text = '\x1e{"took": 1}\x1f \x1b[31m %KUMA_SOURCE_SERVICE% 100% ünïcode\n'
    backend = {"name": "f", "format": text, "file": {"path": str(path)}}
    machine.cp.apply(logging(backend, default="f"), traffic_log())
    pair(machine, port)
    expected = '\x1e{"took": 1}\x1f \x1b[31m orders 100% ünïcode\n'
    assert eventually(lambda: path.read_text()).startswith(expected)
    assert accepted(machine)


@pytest.fixture
def without_pipe(machine, monkeypatch, tmp_path):
    """As a kuma-dp of earlier days, or one on a file system that has no named pipes."""
    program = tmp_path / "kuma-dp-without-pipe"
    program.write_text(
        "from kuma_core.dataplane import access_log, kuma_dp\n"
        "access_log.make_pipe = lambda directory: ''\n"
        "kuma_dp.main()\n"
    )
    machine.kuma_dp = [sys.executable, str(program)]
    monkeypatch.setenv("KUMA_DATAPLANE_RUNTIME_BINARY_PATH", str(BIN / "envoy"))


def test_without_a_pipe_envoy_writes_the_file_itself(machine, tmp_path, without_pipe):
    port, path = free_port(), tmp_path / "access.log"
    machine.cp.apply(file_backend(path), traffic_log())
    lines = logged_requests(pair(machine, port), port, lambda: path.read_text().splitlines())
    assert re.fullmatch(r"orders->ledger \d+", lines[0])


def test_without_a_pipe_the_rejection_comes_with_a_hint(machine, tmp_path, without_pipe):
    machine.cp.apply(file_backend(tmp_path / "missing" / "access.log"), traffic_log())
    machine.cp.apply(client("orders", outbound(f":{free_port()}", "ledger")))
    machine.sidecar("orders")

    def refused() -> dict:
        [stream] = machine.cp.get("/meshes/default/dataplanes/orders/xds").body["proxies"][0]["streams"]
        return stream["types"]["lds"] if stream["types"]["lds"]["rejection"] else {}

    found = eventually(refused)
    assert "unable to open file" in found["rejection"]
    assert "restart kuma-dp in this version" in found["hint"]
