"""kuma-dp follows its token file: Envoy's private copy is what the operator's file is (scenario 61)."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kuma_core.dataplane import token_file
from kuma_core.dataplane.log import Log

from .support import FakeControlPlane, Program, is_alive, wait_for

Start = Callable[..., Program]
OLD, NEW = "old.token.a", "new.token.b"
NOTICED = 10.0  # seconds: once in each it looks, and a busy machine has the rest


class Running:
    """A kuma-dp whose stub Envoy runs, its token file and Envoy's copy."""

    def __init__(self, program: Program, file: Path, copy: Path) -> None:
        self.program, self.file, self.copy = program, file, copy

    def shows(self, token: str) -> bool:
        """Whether Envoy's copy holds this token, and is still for nobody else's eyes."""
        assert stat.S_IMODE(self.copy.stat().st_mode) == 0o600
        return self.copy.read_text() == token

    def becomes(self, token: str) -> None:
        wait_for(lambda: self.shows(token), "the new token", NOTICED)

    def warnings(self) -> list[str]:
        return [line for line in self.program.err.splitlines() if line.startswith("Warning: ")]


@pytest.fixture
def run(
    kuma_dp: Start, control_plane: FakeControlPlane, tmp_path: Path, stub_pid: Callable[[], int]
) -> Callable[..., Running]:
    """Start kuma-dp with a token file that holds ``OLD``."""
    control_plane.token_url = "http://localhost:5679"

    def start(file: Path | None = None) -> Running:
        path = file or tmp_path / "token"
        if file is None:
            path.write_text(OLD + "\n")
        dp = kuma_dp(f"--dataplane-token-file={path}", "--log-level=info")
        return Running(dp, path, control_plane.token_copy(stub_pid()))

    return start


def test_scenario_61_a_file_that_is_rewritten_in_place_is_followed(run: Callable[..., Running]) -> None:
    dp = run()
    assert dp.shows(OLD)
    dp.file.write_text(f"  {NEW}\n")
    dp.becomes(NEW)
    said = "there is a new token, which Envoy shows when it connects anew"
    wait_for(lambda: said in dp.program.err, "a word about it", NOTICED)
    assert dp.warnings() == []


def test_scenario_61_a_file_that_is_replaced_is_followed(run: Callable[..., Running]) -> None:
    dp = run()
    fresh = dp.file.with_suffix(".new")
    fresh.write_text(NEW)
    os.utime(fresh, ns=(dp.file.stat().st_mtime_ns,) * 2)  # as cp -p and tar do
    fresh.replace(dp.file)
    dp.becomes(NEW)


def test_scenario_61_links_as_kubernetes_flips_them_are_followed(
    run: Callable[..., Running], tmp_path: Path
) -> None:
    for name, token in (("..1", OLD), ("..2", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(token)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "token").symlink_to("..data/token")
    dp = run(tmp_path / "token")
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    dp.becomes(NEW)


def test_scenario_61_a_file_of_no_use_leaves_the_old_token_until_there_is_a_good_one(
    run: Callable[..., Running],
) -> None:
    dp = run()
    dp.file.write_text("se cret")
    [warning] = wait_for(dp.warnings, "the warning", NOTICED + 1)
    assert warning.startswith(f"Warning: token under file {dp.file} is not a dataplane token.")
    assert warning.endswith("Envoy keeps the token that it has.")
    assert dp.shows(OLD)
    dp.file.write_text(NEW)
    dp.becomes(NEW)
    assert dp.warnings() == [warning]
    assert "cret" not in dp.program.err


def test_the_copy_that_somebody_removed_is_made_again(run: Callable[..., Running]) -> None:
    dp = run()
    dp.copy.unlink()
    wait_for(dp.copy.exists, "the copy", NOTICED)
    assert dp.shows(OLD)


def test_a_signal_is_obeyed_at_once_and_the_stub_has_its_grace(
    run: Callable[..., Running], stub_pid: Callable[[], int]
) -> None:
    dp = run()
    dp.program.signal(signal.SIGTERM)
    assert dp.program.end(3) == 0
    assert not is_alive(stub_pid())
    assert not dp.copy.exists()


def test_an_envoy_that_needs_its_time_to_end_gets_it_also_while_the_token_is_followed(
    kuma_dp: Start,
    control_plane: FakeControlPlane,
    stub: Callable[[str], str],
    stub_pid: Callable[[], int],
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text(OLD)
    trap = f"trap 'sleep 2; touch {tmp_path}/done; exit 0' TERM; touch {tmp_path}/on"
    dp = kuma_dp("--dataplane-token-file=token", binary=stub(f"{trap}; while :; do sleep 0.1; done"))
    envoy = stub_pid()
    wait_for((tmp_path / "on").exists, "the trap")
    (tmp_path / "token").write_text(NEW)
    copy = control_plane.token_copy(envoy)
    wait_for(lambda: copy.read_text() == NEW, "the first looks", NOTICED)
    dp.signal(signal.SIGTERM)
    assert dp.end(6) == 0
    assert (tmp_path / "done").exists()


# -- the follower by itself


@pytest.fixture
def follower(tmp_path: Path) -> token_file.Follower:
    (tmp_path / "token").write_text(OLD)
    copied = token_file.copy(str(tmp_path / "token"), str(tmp_path))
    return token_file.Follower(str(tmp_path / "token"), copied, Log("off"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_text(""), "token under file {} is empty"),
        (lambda file: file.write_text("se cret"), "token under file {} is not a dataplane token"),
        (lambda file: file.write_text("secret" * 20000), "token under file {} is not a dataplane token"),
        (lambda file: file.unlink(), "could not read file: {}: No such file or directory"),
        (lambda file: (file.unlink(), file.symlink_to(file)), "could not read file: {}: Too many levels"),
    ],
    ids=["empty", "words", "large", "gone", "circle"],
)
def test_scenario_61_what_is_wrong_with_the_file_is_told_once_and_never_with_the_token(
    follower: token_file.Follower,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    sentence: str,
) -> None:
    spoil(tmp_path / "token")
    for _ in range(5):
        follower.look()
    told = capsys.readouterr().err
    assert told.startswith("Warning: " + sentence.format(tmp_path / "token"))
    assert (told.count("\n"), "cret" in told) == (1, False)
    assert (tmp_path / "dataplane-token").read_text() == OLD
    (tmp_path / "token").unlink(missing_ok=True)
    (tmp_path / "token").write_text(NEW)
    follower.look()
    assert (tmp_path / "dataplane-token").read_text() == NEW
    spoil(tmp_path / "token")
    for _ in range(5):
        follower.look()
    assert capsys.readouterr().err == told


def test_two_changes_in_one_tick_of_the_file_systems_clock_are_both_seen(
    follower: token_file.Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, same = tmp_path / "token", os.stat(tmp_path / "token")
    monkeypatch.setattr(token_file.os, "stat", lambda path: same)
    follower.look()
    file.write_text(NEW)
    follower.look()
    assert (tmp_path / "dataplane-token").read_text() == NEW


def test_an_old_file_is_not_read_again(
    follower: token_file.Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "_SETTLED_NANOSECONDS", -(10**12))
    follower.look()
    monkeypatch.setattr(token_file, "read", lambda path: pytest.fail("it was read"))
    follower.look()


def test_a_half_written_file_is_no_news(
    follower: token_file.Follower, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("")
    follower.look()
    (tmp_path / "token").write_text(NEW)
    follower.look()
    assert (tmp_path / "dataplane-token").read_text() == NEW
    assert capsys.readouterr().err == ""


def test_a_pipe_is_read_once_and_not_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    token_file.write_private(str(tmp_path / "dataplane-token"), OLD.encode())
    follower = token_file.Follower(str(tmp_path / "pipe"), str(tmp_path / "dataplane-token"), Log("off"))
    follower.look()
    assert (tmp_path / "dataplane-token").read_text() == OLD


def test_a_copy_that_cannot_be_written_is_told_and_not_raised(
    follower: token_file.Follower, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dataplane-token").unlink()
    (tmp_path / "dataplane-token").mkdir()
    follower.look()
    follower.look()
    assert "Warning: could not write" in capsys.readouterr().err
