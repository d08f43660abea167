"""``kumactl manage ca builtin``, against a control plane and against answers that are none; and the guide to it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_ca_provided
import kuma_store_memory
from kuma_ca_builtin.progress import PATIENCE_SECONDS, Roots, follow, read
from kuma_core.builtin.cluster.components import DEAD_SECONDS
from kuma_core.builtin.rotation import driver as rotation_driver
from kuma_core.kumactl.client import ApiError, Unreachable
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from tests.ca.support import builtin_ca, rotation, shorten, stage
from tests.security.support import kumactl

GUIDE = (Path(__file__).parents[3] / "docs/how-to/rotate-a-root.md").read_text()
BUILTIN = ("manage", "ca", "builtin")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, shortest=1.5)


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin, kuma_ca_provided]) as platform:
        eventually(lambda: platform.platform.leadership.leads)
        yield platform


def told(cp: RunningPlatform, folder: Path, *words: str) -> tuple[int, list[str], str]:
    done: subprocess.CompletedProcess[str] = kumactl(cp, folder, *BUILTIN, *words)
    return done.returncode, done.stdout.splitlines(), done.stderr


def signer(cp: RunningPlatform) -> str:
    """The fingerprint of the root that signs."""
    (found,) = [root["sha256"] for root in rotation(cp).body["roots"] if root["signs"]]
    return str(found)


def test_rotate_waits_for_the_end_and_tells_each_stage(cp: RunningPlatform, tmp_path: Path) -> None:
    old = signer(cp)
    code, lines, error = told(cp, tmp_path, "rotate", "--wait")
    assert (code, error) == (0, "")
    assert lines[0] == 'began to rotate the root of the mesh "default"'
    assert lines[-1] == f"done: {old} is replaced by {signer(cp)}"
    stages = [line.split()[0] for line in lines[1:-1]]
    assert list(dict.fromkeys(stages)) == ["trusting", "signing"]
    assert lines[-2].endswith("acknowledged by all proxies of 1 of 1 control planes")


def test_without_wait_it_begins_and_status_shows_where_it_is(cp: RunningPlatform, tmp_path: Path) -> None:
    code, before, _ = told(cp, tmp_path, "status")
    assert (code, len(before), before[-1]) == (0, 3, "no rotation goes on")
    assert before[0].split("   ")[0] == "SHA-256 FINGERPRINT"
    assert re.search(rf"^{signer(cp)}   .* \+0000 UTC   yes$", before[1])
    assert told(cp, tmp_path, "rotate")[:2] == (0, ['began to rotate the root of the mesh "default"'])
    _, during, _ = told(cp, tmp_path, "status")
    assert len(during) == 4
    assert during[-1].startswith(("trusting since 20", "signing since 20"))
    eventually(lambda: stage(cp) == "")


def test_what_cannot_be_rotated_is_refused_in_one_line(cp: RunningPlatform, tmp_path: Path) -> None:
    builtin_ca(cp).rotate("default")
    code, lines, error = told(cp, tmp_path, "rotate")
    assert (code, lines) == (1, [])
    assert error.startswith(
        'Error: Could not rotate the root (The root of the mesh "default" is being rotated already: the stage'
    )
    assert len(error.splitlines()) == 1
    cp.apply(mesh("other", mtls={"enabled": False, "ca": {"provided": {}}}))
    text = 'Error: Could not rotate the root (The authority of the mesh "other" is provided, not builtin)\n'
    assert told(cp, tmp_path, "rotate", "--mesh=other") == (1, [], text)
    for name in ("nowhere", "other"):
        said = told(cp, tmp_path, "status", f"--mesh={name}")[2]
        assert said.startswith(
            f'Error: the mesh "{name}" has no roots of the builtin CA: there is no such mesh, or'
        )


def test_the_guide_works_as_it_stands_and_tells_the_numbers(cp: RunningPlatform, tmp_path: Path) -> None:
    for line in re.findall(r"^\$ (.*)$", GUIDE, re.MULTILINE):
        words = line.split()
        assert words[0] == "kumactl"
        done = kumactl(cp, tmp_path, *words[1:])
        assert (done.returncode, done.stderr) == (0, "")
    timeout = cp.platform.config.seconds("caDefaults.rotationTimeout")
    assert f"`caDefaults.rotationTimeout` ({timeout / 60:.0f} minutes)" in GUIDE


def test_the_guide_tells_how_long_a_stage_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = re.sub(r"\s+", " ", GUIDE)
    assert f"Each stage lasts {rotation_driver.SHORTEST_SECONDS:.0f} seconds at least" in text
    assert (
        f"{DEAD_SECONDS:.0f} seconds, and its proxies then have {rotation_driver.SHORTEST_SECONDS:.0f} more"
        in text
    )


# -- answers that are none, and a control plane that is away


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"roots": 3},
        {"roots": [{}]},
        {"roots": [], "rotation": 1},
        {"roots": [], "rotation": {"stage": "a"}},
    ],
)
def test_what_is_no_answer_is_told(value: Any) -> None:
    with pytest.raises(Unreachable, match="http://cp did not answer as kumactl knows it"):
        read(value, "http://cp")


def test_what_a_server_says_does_not_command_the_terminal() -> None:
    root = {"sha256": "\x1b[31m", "notBefore": "", "notAfter": "\x07", "signs": True}
    found = read({"roots": [root], "rotation": {"stage": "\x1b", "since": "", "settled": {}}}, "")
    assert "\x1b" not in found.progress + "".join(found.rows[0])


class Answers:
    """What a control plane answers, one after the other; the clock goes on by what is waited for."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.now = 0.0

    def ask(self) -> Roots:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Roots([], *answer)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def follow(self) -> Iterator[Roots]:
        return follow(self.ask, self.wait, lambda: self.now)


TRUSTING, SIGNING, OVER = ("trusting", "noon", 1, 2), ("signing", "noon", 0, 2), ("", "", 0, 0)
AWAY = Unreachable("cannot reach the admin server")


def test_only_news_are_told() -> None:
    answers = Answers(
        TRUSTING, TRUSTING, AWAY, TRUSTING, SIGNING, ApiError(503, "no store", True), SIGNING, OVER
    )
    assert [found.stage for found in answers.follow()] == ["trusting", "signing", ""]


def test_a_control_plane_that_stays_away_is_told() -> None:
    answers = Answers(TRUSTING, AWAY)
    with pytest.raises(Unreachable, match="cannot reach"):
        list(answers.follow())
    assert answers.now > PATIENCE_SECONDS


def test_a_refusal_is_told_at_once() -> None:
    answers = Answers(TRUSTING, ApiError(404, "Could not retrieve the roots (Not found)", True))
    with pytest.raises(ApiError, match="Not found"):
        list(answers.follow())
    assert answers.now < 10
