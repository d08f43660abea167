"""The tutorial is followed to the letter: what it starts is started, what it promises is compared."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from kuma_core.testing.waiting import eventually

from ..end_to_end.support import start
from ..namespaces import network_namespace

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tutorial/first-mesh.md").read_text()
BLOCK = re.compile(
    r"^```console\n\$ (?P<command>.+)\n(?P<output>(?:.*\n)*?)```$|^    (?P<program>kuma-.+)$", re.M
)
CHANGES = ("apply", "delete", "generate")


def _promised(output: str, expected: str) -> bool:
    """Whether every promised line stands in the output, white space and further columns aside."""
    lines = [line.split() for line in output.splitlines()]
    wanted = [line.split() for line in expected.splitlines()]
    return all(any(line[: len(words)] == words for line in lines) for words in wanted)


class Follower:
    """Somebody with the page in front of them."""

    def __init__(self, inside: list[str], home: Path, stack: ExitStack) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._inside, self._home, self._stack = inside, home, stack
        self._environ = {**os.environ, "HOME": str(home), "PATH": path}

    def start(self, program: str) -> None:
        """Start what the page says should go on in a terminal of its own."""
        log = self._home / f"{abs(hash(program))}.log"
        command = [*self._inside, "bash", "-c", f"exec {program}"]
        start(command, log, self._stack, env=self._environ, cwd=ROOT)

    def run(self, command: str, expected: str) -> None:
        """Run a command and compare; one that only reads may take a while to show it."""
        words = shlex.split(command)
        once = len(words) > 1 and words[0] == "kumactl" and words[1] in CHANGES
        eventually(lambda: _promised(self._output(command), expected), 0 if once else 20, command)

    def _output(self, command: str) -> str:
        found = subprocess.run(
            [*self._inside, "bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=30,
            env=self._environ,
            cwd=ROOT,
            check=False,
        )
        return found.stdout


def test_the_tutorial_works_as_written(tmp_path):
    blocks = list(BLOCK.finditer(PAGE))
    assert sum(1 for block in blocks if block["program"]) >= 4
    with ExitStack() as stack:
        follower = Follower(stack.enter_context(network_namespace()), tmp_path, stack)
        for block in blocks:
            if block["program"]:
                follower.start(block["program"])
            else:
                follower.run(block["command"], block["output"])


@pytest.mark.parametrize("name", ["echo-1", "web-1"])
def test_the_files_are_those_that_the_page_shows(name):
    shown = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    file = (ROOT / f"docs/tutorial/{name}.yaml").read_text()
    assert file in shown
    assert yaml.safe_load(file)["name"] == name
