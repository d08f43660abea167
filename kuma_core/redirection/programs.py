"""The programs of the system that write rules: where they are, and what they answer."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from kuma_core.visible import one_line

SECONDS = 30.0
"""How long a program may take; it may wait for ``LOCK_SECONDS`` of them until others have written their rules."""
LOCK_SECONDS = 10

_PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not in every root's PATH
_LOCK = "/run/xtables.lock"
_OTHER_LOCK = "/dev/shm/kuma-init.lock"


@dataclass(frozen=True, slots=True)
class Step:
    """A program with its words, and what it reads."""

    words: tuple[str, ...]
    text: str = ""

    def __str__(self) -> str:
        """As a shell would run it."""
        line = shlex.join(self.words)
        return f"{line} <<'END'\n{self.text}END" if self.text else line


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program wrote; ``problem`` is empty if it did what it was asked for."""

    output: str
    problem: str = ""


Run = Callable[[Step], Answer]
Find = Callable[[str], bool]


def find(name: str) -> bool:
    """Whether a program is here."""
    return shutil.which(name, path=_path()) is not None


def run(step: Step) -> Answer:
    """Run it to its end; never raises."""
    environment = {**os.environ, "PATH": _path(), "LC_ALL": "C"}
    if not os.access(os.path.dirname(_LOCK), os.W_OK):  # in an image that is read-only
        environment["XTABLES_LOCKFILE"] = _OTHER_LOCK
    try:
        done = subprocess.run(
            step.words,
            input=step.text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer("", f"no answer for {SECONDS:.0f} seconds")
    except OSError as error:
        return Answer("", error.strerror or str(error))
    return Answer(done.stdout, _problem(done) if done.returncode else "")


def _problem(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return one_line("; ".join(lines[:3])[:500]) or f"exit code {done.returncode}"


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
