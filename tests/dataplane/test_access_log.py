"""The forwarder of access logs: a real pipe, real servers, and no Envoy."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kuma_core.dataplane import access_log
from kuma_core.dataplane.access_log import LARGEST_RECORD, MOST_SINKS, Records, make_pipe
from kuma_core.dataplane.sink import LARGEST_QUEUE

from .pipes import Running, Server, record
from .support import free_port, wait_for


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_records_are_found_in_pieces_of_any_size(size: int) -> None:
    stream = record("a:1", "one\n") + record("b:2", "") + record("a:1", "two, without a newline")
    records, found = Records(), []
    for start in range(0, len(stream), size):
        found += records.feed(stream[start : start + size])
    assert records.unfinished
    found += records.end()
    assert found == [("a:1", b"one\n"), ("b:2", b""), ("a:1", b"two, without a newline")]
    assert (records.unfinished, records.broken, records.end()) == (False, 0, [])


def test_what_is_no_record_is_counted_and_the_next_one_is_found() -> None:
    records = Records()
    assert records.feed(b"garbage\x1eno field" + record("a:1", "x") + b"\x1e") == [("a:1", b"x")]
    assert records.broken == 2


def test_a_record_that_does_not_end_is_given_up() -> None:
    records = Records()
    assert records.feed(record("a:1", "x" * (LARGEST_RECORD - 10))) == []
    assert records.unfinished
    assert records.feed(b"y" * 100) == []
    assert (records.unfinished, records.broken) == (False, 1)
    assert records.feed(b"its end" + record("a:1", "z") + b"\x1e") == [("a:1", b"z")]


def test_the_pipe_is_for_nobody_else(tmp_path: Path) -> None:
    mode = Path(make_pipe(str(tmp_path))).stat().st_mode
    assert stat.S_ISFIFO(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert make_pipe("") == ""


def test_without_named_pipes_there_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(path: str, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "mkfifo", refuse)
    assert make_pipe(str(tmp_path)) == ""
    assert capsys.readouterr().err == (
        f"Warning: could not make a named pipe in {tmp_path}: Operation not permitted. Set TMPDIR to a "
        "directory of another file system. Until then access logs to backends over TCP are off.\n"
    )


def test_texts_go_as_they_are_each_to_its_sink_over_one_connection(
    running: Running, server: Callable[..., Server]
) -> None:
    one, two = server(), server()
    for number in range(500):
        running.write(record(one.address, f"{number} ünïcode\n") + record(two.address, f"<{number}>"))
    wait_for(lambda: two.received.endswith(b"<499>"), "the last record, which no other follows", 2)
    wait_for(lambda: one.received.endswith(b"499 \xc3\xbcn\xc3\xafcode\n"), "the other's last")
    assert one.received.decode() == "".join(f"{number} ünïcode\n" for number in range(500))
    assert two.received.decode() == "".join(f"<{number}>" for number in range(500))
    assert (one.connections, two.connections, running.forwarder.dropped()) == (1, 1, 0)


def test_a_host_may_be_a_name(running: Running, server: Callable[..., Server]) -> None:
    sink = server()
    running.write(record(sink.address.replace("127.0.0.1", "localhost"), "x"))
    wait_for(lambda: sink.received == b"x", "the record")


def test_scenario_67_a_sink_that_comes_back_gets_what_was_kept_and_the_log_tells_it_once(
    running: Running, server: Callable[..., Server]
) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    for text in ("first,", "second,"):
        running.write(record(address, text))
    wait_for(lambda: running.log.about(address), "a word about it")
    sink = server(port)
    wait_for(lambda: sink.received == b"first,second,", "what was kept", 5)
    wait_for(lambda: len(running.log.about(address)) == 2, "another word")
    sink.close()
    again = server(port)
    running.write(record(address, "third"))
    wait_for(lambda: again.received == b"third", "the record after a restart of the sink", 5)
    assert running.log.about(address) == ["access log sink is down", "access log sink is up"]
    assert running.log.told[0][1]["reason"] == "Connection refused"
    assert running.forwarder.dropped() == 0


def test_scenario_67_a_wedged_sink_is_dropped_for_and_holds_nobody_up(
    running: Running, server: Callable[..., Server]
) -> None:
    wedged, healthy = server(reads=False), server()
    text = "x" * 10_000
    for number in range(2000):
        running.write(record(wedged.address, text))
        if number % 100 == 0:
            running.write(record(healthy.address, f"{number},"))
    wait_for(lambda: healthy.received.endswith(b"1900,"), "what the other sink gets")
    wait_for(lambda: running.forwarder.dropped() > 500, "dropped records")
    sink = running.forwarder._sinks[wedged.address]
    assert sink._size <= LARGEST_QUEUE


def test_a_sink_that_is_away_keeps_no_more_than_its_room_and_the_newest_of_it(
    running: Running, server: Callable[..., Server]
) -> None:
    port = free_port()
    for number in range(20_000):
        running.write(record(f"127.0.0.1:{port}", f"{number},"))
    sink = server(port)
    wait_for(lambda: sink.received.endswith(b"19999,"), "the newest record")
    numbers = [int(text) for text in sink.received.decode().split(",") if text]
    assert numbers == list(range(numbers[0], 20_000)), "in order, without a gap"
    assert running.forwarder.dropped() == numbers[0] > 10_000


@pytest.mark.parametrize(
    "address", ["no-port", ":", "127.0.0.1:99999999", "127.0.0.1:no-such-service", "a..b:1"]
)
def test_an_impossible_address_harms_nobody(
    running: Running, server: Callable[..., Server], address: str
) -> None:
    sink = server()
    running.write(record(address, "x"))
    wait_for(lambda: running.log.about(address), "a word about it")
    running.write(record(sink.address, "y"))
    wait_for(lambda: sink.received == b"y", "the record for a real sink")


def test_the_number_of_sinks_is_bounded_and_an_idle_one_makes_room(
    running: Running, server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = server()
    for number in range(MOST_SINKS):
        running.write(record(f"127.0.0.1:no-{number}", "x"))
    running.write(record(sink.address, "lost"))
    wait_for(lambda: running.forwarder.dropped() == 1, "a record without a home")
    monkeypatch.setattr(access_log, "IDLE_SECONDS", 0.0)
    running.write(record(sink.address, "found"))
    wait_for(lambda: sink.received == b"found", "the record")
    assert len(running.forwarder._sinks) == MOST_SINKS


def test_the_end_delivers_what_is_still_in_the_pipe(tmp_path: Path, server: Callable[..., Server]) -> None:
    running, sink = Running(tmp_path), server()
    running.write(record(sink.address, "last words"))
    running.close()
    wait_for(lambda: sink.received == b"last words", "the last words")
    assert running.log.told[-1] == ("access logs ended", {"dropped": 0})


def test_the_end_does_not_wait_for_a_sink_that_is_away(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.write(record(f"127.0.0.1:{free_port()}", "x"))
    running.close()
    assert running.log.told[-1] == ("access logs ended", {"dropped": 1})
