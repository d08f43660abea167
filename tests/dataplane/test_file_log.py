"""Access logs into files: a real pipe, real files and folders, and no Envoy."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kuma_core.dataplane import file_sink
from kuma_core.dataplane.access_log import confine, directories
from kuma_core.dataplane.sink import LARGEST_QUEUE

from .pipes import Running, Server, record
from .support import wait_for

Capture = pytest.CaptureFixture[str]


def file_record(path: object, text: str) -> bytes:
    """A record as the control plane has Envoy write it."""
    return record(f"\x1c{path}", text)


def is_text(path: Path, text: str) -> Callable[[], bool]:
    return lambda: path.exists() and path.read_text() == text


class Told:
    """What was written to stderr so far."""

    def __init__(self, capsys: Capture) -> None:
        self._capsys = capsys
        self._text = ""

    def lines(self) -> list[str]:
        self._text += self._capsys.readouterr().err
        return self._text.splitlines()


@pytest.fixture
def told(capsys: Capture) -> Told:
    return Told(capsys)


def test_texts_are_appended_as_they_are(running: Running, tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "sécond 100%.log"
    first.write_text("before\n")
    for number in range(500):
        running.write(file_record(first, f"{number} ünïcode\n") + file_record(second, f"<{number}>"))
    wait_for(is_text(second, "".join(f"<{n}>" for n in range(500))), "all of one")
    wait_for(is_text(first, "before\n" + "".join(f"{n} ünïcode\n" for n in range(500))), "all of the other")
    assert running.forwarder.dropped() == 0


def test_a_new_file_has_the_mode_that_envoy_gives(running: Running, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        running.write(file_record(tmp_path / "log", "x"))
        wait_for(is_text(tmp_path / "log", "x"), "the text")
    finally:
        os.umask(umask)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o644


def test_the_marks_of_the_pipe_may_be_in_the_path_and_in_the_text(running: Running, tmp_path: Path) -> None:
    escapes = {"\x1b": "\x1bE", "\x1e": "\x1bR", "\x1f": "\x1bF"}

    def escaped(text: str) -> str:
        return "".join(escapes.get(character, character) for character in text)

    path, text = tmp_path / "\x1e \x1bR \x1f", "\x1e{}\n\x1f\x1b[31m\x1bE\x1c"
    running.write(file_record(escaped(str(path)), escaped(text) + "\x1b?"))
    wait_for(is_text(path, text + "\x1b?"), "the text with its marks")


def test_a_server_and_a_file_do_not_mix(
    running: Running, server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path may look like an address of a server."""
    monkeypatch.chdir(tmp_path)
    sink = server()
    running.write(record(sink.address, "to the server") + file_record(sink.address, "to the file"))
    wait_for(lambda: sink.received == b"to the server", "the server's")
    wait_for(is_text(tmp_path / sink.address, "to the file"), "the file's")


def test_a_missing_folder_is_told_once_and_the_log_comes_when_it_is_there(
    running: Running, tmp_path: Path, told: Told
) -> None:
    path = tmp_path / "missing" / "access.log"
    running.write(file_record(path, "first,"))
    wait_for(told.lines, "a warning")
    running.write(file_record(path, "second,"))
    path.parent.mkdir()
    wait_for(is_text(path, "first,second,"), "what waited")
    assert told.lines() == [
        f"Warning: could not write the access log {path}: No such file or directory. Traffic goes on; up to 256 KiB "
        "of records wait for the file, the oldest are dropped. Make its folder writable, or name another path in the "
        "Mesh."
    ]
    wait_for(lambda: running.log.about(str(path)) == ["access log sink is up"], "a word that it is there")
    assert running.forwarder.dropped() == 0


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "No such file or directory"),
        (".", "Is a directory"),
        ("file/below", "Not a directory"),
        ("~/access.log", "No such file or directory"),
        ("${HOME}/access.log", "No such file or directory"),
        ("x" * 300, "File name too long"),
        ("pipe", "No such device or address"),
    ],
)
def test_what_cannot_be_opened_is_told_and_holds_nobody_up(
    running: Running,
    tmp_path: Path,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    running.write(file_record(path, "x"))
    [line] = wait_for(told.lines, "a warning")
    assert line.startswith(
        f"Warning: could not write the access log {os.path.abspath(path)} "
        f'("{path}" in the folder of kuma-dp): {reason}. Traffic goes on'
    )
    running.write(file_record(tmp_path / "good", "y"))
    wait_for(is_text(tmp_path / "good", "y"), "the record for a file that can be opened")


def test_a_path_cannot_write_to_the_terminal(running: Running, tmp_path: Path, told: Told) -> None:
    running.write(file_record(tmp_path / "missing" / "\n\x07", "x") + b"\x1e\x1c/missing/\xff\x1fx")
    running.write(file_record("nul\0", "x"))
    lines = wait_for(lambda: len(found := told.lines()) == 3 and found, "three warnings")
    assert any("embedded null byte" in line for line in lines), lines
    assert all(line.startswith("Warning: ") and line.isprintable() for line in lines), lines


def test_a_relative_path_begins_in_the_folder_of_kuma_dp(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path)
    running.write(file_record("logs/access.log", "x"))
    wait_for(is_text(tmp_path / "logs" / "access.log", "x"), "the text")


@pytest.mark.parametrize("then", ["move", "remove", "truncate"])
def test_rotated_logs_go_on_in_a_new_file(running: Running, tmp_path: Path, then: str) -> None:
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    running.write(file_record(path, "old\n"))
    wait_for(is_text(path, "old\n"), "the first record")
    if then == "move":
        path.rename(old)
    elif then == "remove":
        path.unlink()
    else:
        os.truncate(path, 0)
    running.write(file_record(path, "new\n"))
    wait_for(is_text(path, "new\n"), "the record in the new file")
    assert then != "move" or old.read_text() == "old\n"


def test_a_pipe_without_room_is_waited_for_and_then_dropped_for(
    running: Running, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_sink, "SEND_SECONDS", 0.2)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for _ in range(200):
            running.write(file_record(path, "x" * 1000))
        [line] = wait_for(told.lines, "a warning")
        assert ": nothing is taken for" in line
        running.write(file_record(tmp_path / "good", "y"))
        wait_for(is_text(tmp_path / "good", "y"), "the record for another file")
    finally:
        os.close(reader)


@pytest.fixture
def small_files() -> Iterator[int]:
    """No file of this process may be larger: what a full disk does to a write, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_is_full_is_told_and_costs_no_memory(
    running: Running, tmp_path: Path, told: Told, small_files: int
) -> None:
    path = tmp_path / "access.log"
    for _ in range(2000):
        running.write(file_record(path, "x" * 1000))
    wait_for(lambda: running.forwarder.dropped() > 500, "dropped records")
    [line] = wait_for(told.lines, "a warning")
    assert ": File too large. Traffic goes on" in line
    assert running.forwarder._sinks[f"\x1c{path}"]._size <= LARGEST_QUEUE
    os.truncate(path, 0)
    wait_for(lambda: path.stat().st_size > 0, "the log again, now that there is room")


def test_the_end_writes_what_is_still_in_the_pipe(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    before = set(threading.enumerate())
    found = Running(tmp_path / "run")
    found.write(file_record(tmp_path / "log", "last words"))
    found.close()
    assert (tmp_path / "log").read_text() == "last words"
    assert not [thread for thread in set(threading.enumerate()) - before if "log" in thread.name]


# -- confined below a folder


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    (tmp_path / "pipe-of-its-own").mkdir()
    running = Running(tmp_path / "pipe-of-its-own", [str(tmp_path / "logs")])
    yield running
    running.close()


def test_below_the_folder_files_are_written(confined: Running, tmp_path: Path) -> None:
    confined.write(file_record(tmp_path / "logs" / "deep" / "a.log", "x"))
    wait_for(is_text(tmp_path / "logs" / "deep" / "a.log", "x"), "the text")
    os.rename(tmp_path / "logs" / "deep" / "a.log", tmp_path / "old")
    confined.write(file_record(tmp_path / "logs" / "deep" / "a.log", "y"))
    wait_for(is_text(tmp_path / "logs" / "deep" / "a.log", "y"), "a new file")


OUTSIDE = "is not below"
ON_A_LINK = "a link, or a file, is on its way below"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("other.log", OUTSIDE),
        ("logs/../other.log", OUTSIDE),
        ("logs", OUTSIDE),
        ("logs-of-another/a.log", OUTSIDE),
        ("logs/link/a.log", ON_A_LINK),
        ("logs/link.log", ON_A_LINK),
        ("logs/dangling.log", ON_A_LINK),
        ("logs/deep/file/a.log", ON_A_LINK),
    ],
)
def test_nothing_outside_of_the_folder_is_written(
    confined: Running, tmp_path: Path, told: Told, path: str, reason: str
) -> None:
    """Not by words, and not by links that somebody made there."""
    (tmp_path / "logs-of-another").mkdir()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "logs" / "deep" / "file").touch()
    (tmp_path / "logs" / "link").symlink_to(tmp_path)
    (tmp_path / "logs" / "link.log").symlink_to(tmp_path / "victim")
    (tmp_path / "logs" / "dangling.log").symlink_to(tmp_path / "other.log")
    confined.write(file_record(tmp_path / path, "x"))
    [line] = wait_for(told.lines, "a warning")
    assert f"{reason} {tmp_path}/logs" in line
    confined.write(file_record(tmp_path / "logs" / "good", "y"))
    wait_for(is_text(tmp_path / "logs" / "good", "y"), "a record for a file that may be written")
    assert (tmp_path / "victim").read_text() == "mine"
    assert not list(tmp_path.rglob("other.log")) + list(tmp_path.rglob("a.log"))


def test_two_folders_confine_together(tmp_path: Path, told: Told) -> None:
    (tmp_path / "logs" / "kuma").mkdir(parents=True)
    (tmp_path / "pipe-of-its-own").mkdir()
    both = [str(tmp_path / "logs" / "kuma"), str(tmp_path / "logs")]
    running = Running(tmp_path / "pipe-of-its-own", both)
    try:
        running.write(file_record(tmp_path / "logs" / "a.log", "x"))
        running.write(file_record(tmp_path / "logs" / "kuma" / "a.log", "y"))
        wait_for(is_text(tmp_path / "logs" / "kuma" / "a.log", "y"), "the text")
        [line] = wait_for(told.lines, "a warning")
        assert f"it is not below {both[0]}" in line
    finally:
        running.close()


def test_what_the_control_plane_says_adds_to_what_the_machine_says(tmp_path: Path) -> None:
    assert directories("", str(tmp_path)) == ()
    assert directories("/var/log", str(tmp_path)) == ("/var/log",)
    confine(str(tmp_path), "/var/log/k\u00fcma")
    assert directories("/var/log", str(tmp_path)) == ("/var/log", "/var/log/k\u00fcma")
    assert directories("", str(tmp_path)) == ("/var/log/k\u00fcma",)
    confine("", "/var/log")  # without a folder of its own there is no pipe
