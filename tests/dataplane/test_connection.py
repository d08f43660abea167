"""How kuma-dp knows whether Envoy has its control plane (with a real one: ``tests/end_to_end/test_connected.py``)."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest
import yaml

from kuma_core.dataplane import bootstrap_document, connection
from kuma_core.dataplane.log import Log


class Told:
    """A watch whose Envoy and whose clock are a test's."""

    def __init__(self) -> None:
        self.now, self.asked, self.answer = 100.0, 0, (0, 0)
        self.slowness = 0.0
        self.lines: list[tuple[str, str, dict]] = []
        self.watch = connection.Watch(self._ask, self._tell, {"dataplane": "web-1"}, lambda: self.now)

    def _ask(self) -> tuple[int, int] | None:
        self.asked += 1
        self.now += self.slowness
        return self.answer

    def _tell(self, level: str, message: str, **values: object) -> None:
        self.lines.append((level, message.split(";")[0], values))

    def seconds(self, count: int, answer: tuple[int, int] | None) -> list[str]:
        """Look each second, and give what was told meanwhile."""
        self.answer = answer
        before = len(self.lines)
        for _ in range(count):
            self.now += 1
            self.watch.look()
        return [message for _, message, _ in self.lines[before:]]


CONNECTED, LOST = "connected to the control plane", "the connection to the control plane is lost"
NOTHING = "no configuration has come from the control plane yet"


def test_a_connection_its_loss_and_its_return_are_one_line_each() -> None:
    told = Told()
    assert told.seconds(3, (0, 0)) == []
    assert told.seconds(20, (1, 0)) == [CONNECTED]
    assert told.seconds(20, (7, 0)) == [], "what comes over a stream is no news"
    assert told.seconds(6, (7, 1)) == [LOST]
    assert told.seconds(60, (7, 9)) == [], "an outage is told once, however often Envoy tries"
    assert told.seconds(2, (8, 9)) == [CONNECTED]
    assert [level for level, _, _ in told.lines] == ["INFO", "WARNING", "INFO"]
    assert told.lines[-1][2]["seconds_without"] > 60
    assert told.lines[-1][2]["dataplane"] == "web-1"


def test_a_control_plane_that_never_answers_is_told_after_ten_seconds_and_once() -> None:
    told = Told()
    assert told.seconds(9, (0, 3)) == []
    assert told.seconds(100, (0, 99)) == [NOTHING]
    assert told.seconds(1, (1, 99)) == [CONNECTED]


def test_so_is_an_envoy_that_says_nothing() -> None:
    told = Told()
    assert told.seconds(30, None) == [NOTHING]


def test_an_envoy_that_is_busy_for_a_moment_is_no_outage() -> None:
    told = Told()
    told.seconds(1, (1, 0))
    assert told.seconds(60, None) == []


def test_an_outage_between_two_looks_is_not_told() -> None:
    told = Told()
    told.seconds(1, (1, 0))
    assert told.seconds(10, (2, 1)) == []


def test_a_connected_envoy_is_asked_each_five_seconds_and_a_slow_one_less() -> None:
    told = Told()
    told.seconds(1, (1, 0))
    told.seconds(50, (1, 0))
    assert told.asked == 11
    told.slowness = 0.1
    told.seconds(10, (1, 0))
    before = told.asked
    told.seconds(200, (1, 0))
    assert told.asked - before <= 11, "0.1 s of Envoy each 20 s"


def test_the_line_comes_whatever_the_log_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / connection.CONTROL_PLANE).write_text("10.0.0.1:5678")
    with connection.watched(str(tmp_path), "web-1", "default", Log("off")) as look:
        assert look is not None
        look.__self__._compare(1, 0)
    _, level, name, message, values = capsys.readouterr().err.strip().split("\t")
    assert (level, name, message) == ("INFO", "kuma-dp.run", CONNECTED)
    assert json.loads(values) == {"control_plane": "10.0.0.1:5678", "dataplane": "web-1", "mesh": "default"}


def prepared(text: bytes, directory: str) -> bytes:
    """A bootstrap as a run prepares it."""
    found = bootstrap_document.read(text)
    return text if found is None else connection.prepare(text, found, directory)


def test_without_a_private_directory_nothing_is_watched() -> None:
    assert prepared(b"node: {}\n", "") == b"node: {}\n"
    with connection.watched("", "web-1", "default", Log("off")) as look:
        assert look is None


@pytest.mark.parametrize(
    "text", ["node: {id: a}", "node:\n  id: a\n", '{"node": {"id": "a"}}', "node: {id: a}\n\n"]
)
def test_a_bootstrap_without_admin_gets_a_private_one(text: str, tmp_path: Path) -> None:
    document = yaml.safe_load(prepared(text.encode(), str(tmp_path)))
    socket_path = str(tmp_path / "admin")
    assert document == {
        "node": {"id": "a"},
        "admin": {"address": {"pipe": {"path": socket_path, "mode": 0o600}}},
    }


@pytest.mark.parametrize("text", ["admin: {}\n", "when: 2020-99-99\n", "? [a]\n: b\n", "{a: [", "- 1", ""])
def test_other_bootstraps_stay_as_they_are(text: str, tmp_path: Path) -> None:
    assert prepared(text.encode(), str(tmp_path)) == text.encode()


def test_a_directory_that_is_too_long_for_a_socket_leaves_the_bootstrap_as_it_is(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    assert prepared(b"node: {}\n", str(directory)) == b"node: {}\n"


PLAIN = {
    "dynamicResources": {"adsConfig": {"grpcServices": [{"envoyGrpc": {"clusterName": "ads"}}]}},
    "staticResources": {
        "clusters": [
            {
                "name": "ads",
                "loadAssignment": {
                    "endpoints": [
                        {
                            "lbEndpoints": [
                                {
                                    "endpoint": {
                                        "address": {"socketAddress": {"address": host, "portValue": 5678}}
                                    }
                                }
                                for host in ("a", "b")
                            ]
                        }
                    ]
                },
            }
        ]
    },
}
TLS = {
    "dynamicResources": {
        "adsConfig": {"grpcServices": [{"googleGrpc": {"targetUri": "ipv4:10.0.0.1:5678,10.0.0.2:5678"}}]}
    }
}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (PLAIN, "a:5678,b:5678"),
        (TLS, "10.0.0.1:5678,10.0.0.2:5678"),
        ({"node": 1}, ""),
        ({"dynamicResources": 1}, ""),
    ],
)
def test_where_envoy_is_sent_is_read_from_its_bootstrap(
    document: dict, expected: str, tmp_path: Path
) -> None:
    prepared(json.dumps(document).encode(), str(tmp_path))
    assert (tmp_path / connection.CONTROL_PLANE).read_text() == expected


@pytest.mark.parametrize("address", ["", "nothing", "127.0.0.1:x", "127.0.0.1:99999", "/nowhere", "::1"])
def test_an_address_that_leads_nowhere_is_no_answer(address: str, tmp_path: Path) -> None:
    (tmp_path / "address").write_text(address)
    assert connection._counters(str(tmp_path / "address")) is None


def test_an_envoy_that_accepts_and_says_nothing_costs_half_a_second(tmp_path: Path) -> None:
    path = str(tmp_path / "admin")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        (tmp_path / "address").write_text(path)
        found: list[object] = []
        asking = threading.Thread(
            target=lambda: found.append(connection._counters(str(tmp_path / "address")))
        )
        asking.start()
        asking.join(10)
    assert found == [None]
    os.unlink(path)
