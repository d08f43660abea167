"""The tutorial and README's "By hand" are followed to the letter: all of it is typed, and what is shown is compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from kuma_core.testing.waiting import eventually

from ..end_to_end.support import start
from ..namespaces import network_namespace

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tutorial/first-mesh.md").read_text()
README = (ROOT / "README.md").read_text()
BY_HAND = README.partition("\n## By hand\n")[2].partition("\n## ")[0]
BLOCK = re.compile(
    r"^```console\n\$ (?P<command>.+)\n(?P<output>(?:.*\n)*?)```$|^    (?P<program>kuma-.+)$", re.M
)
CHANGES = ("apply", "delete", "generate")
PROGRAMS = "$PWD/.venv/bin"
NUMBER = re.compile(r"\d+[smhd]?")


def _rows(output: str) -> list[list[str]]:
    """The words of each line: counters and ages are what they are, all else is compared."""
    return [
        ["N" if NUMBER.fullmatch(word) else word for word in line.split()] for line in output.splitlines()
    ]


class Follower:
    """Somebody with the page in front of them, in a checkout without a look at other terminals."""

    def __init__(self, page: str, inside: list[str], folder: Path, stack: ExitStack) -> None:
        (self._export,) = re.findall(r"^    (export PATH=\S+)", page, re.M)
        assert PROGRAMS in self._export
        self.checkout, self.home = folder / "checkout", folder / "home"
        self.home.mkdir()
        for part in ("docs/tutorial", "examples/demo"):
            shutil.copytree(ROOT / part, self.checkout / part)
        # the tests may run from another environment than the one that `make` makes
        (self.checkout / ".venv").mkdir()
        (self.checkout / ".venv/bin").symlink_to(Path(sys.executable).parent)
        self._inside, self._stack = inside, stack
        others = [
            place for place in os.environ["PATH"].split(os.pathsep) if not Path(place, "kuma-cp").exists()
        ]
        self._environ = {**os.environ, "HOME": str(self.home), "PATH": os.pathsep.join(others)}

    def start(self, program: str) -> None:
        """Start what the page says should go on in a terminal of its own."""
        log = self.home / f"{abs(hash(program))}.log"
        command = [*self._inside, "bash", "-c", f"{self._export}; exec {program}"]
        start(command, log, self._stack, env=self._environ, cwd=self.checkout)

    def run(self, command: str, expected: str) -> None:
        """Run a command and compare; one that only reads may take a while to show it."""
        words = command.split()
        once = words[0] == "kumactl" and words[1] in CHANGES

        def shown() -> bool:
            assert _rows(self.output(command)) == _rows(expected)
            return True

        eventually(shown, 0 if once else 60, command)

    def output(self, command: str) -> str:
        found = subprocess.run(
            [*self._inside, "bash", "-c", f"{self._export}; {command}"],
            capture_output=True,
            text=True,
            timeout=30,
            env=self._environ,
            cwd=self.checkout,
            check=False,
        )
        return found.stdout

    def files(self) -> set[Path]:
        return {path for path in self.checkout.rglob("*") if ".venv" not in path.parts}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_the_tutorial_works_as_written(tmp_path: Path, stack: ExitStack) -> None:
    blocks = list(BLOCK.finditer(PAGE))
    assert sum(1 for block in blocks if block["program"]) >= 4
    follower = Follower(PAGE, stack.enter_context(network_namespace()), tmp_path, stack)
    before = follower.files()
    for block in blocks:
        if block["program"]:
            follower.start(block["program"])
        else:
            follower.run(block["command"], block["output"])
    assert follower.files() == before, "what the tutorial writes does not belong into the checkout"


def test_by_hand_works_as_written(tmp_path: Path, stack: ExitStack) -> None:
    commands = re.findall(r"^    (kuma.+?)(?: {3,}#.*)?$", BY_HAND, re.M)
    assert [command.split()[0] for command in commands] == [
        *("kuma-cp", "kuma-tcp-echo", "kumactl", "kumactl", "kuma-dp"),
    ]
    follower = Follower(BY_HAND, stack.enter_context(network_namespace()), tmp_path, stack)
    before = follower.files()
    for command in commands:
        if not command.startswith("kumactl"):
            follower.start(command)
            continue
        # a reader who types the next line sees that the control plane has started
        eventually(lambda: "default" in follower.output("kumactl get meshes"), 60, "the control plane")
        follower.output(command)
    eventually(
        lambda: re.search(r"echo-1 .*Online", follower.output("kumactl inspect dataplanes")), 20, "echo-1"
    )
    assert follower.files() == before, "what is typed leaves no file in the checkout"


@pytest.mark.parametrize("name", ["echo-1", "web-1"])
def test_the_files_are_those_that_the_page_shows(name):
    shown = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    file = (ROOT / f"docs/tutorial/{name}.yaml").read_text()
    assert file in shown
    assert yaml.safe_load(file)["name"] == name
