"""The units of systemd name programs, flags and variables that exist, and lock their services in."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import kuma_store_postgres
from kuma_core.dataplane.kuma_dp import kuma_dp
from kuma_core.dataplane.process import GRACE_SECONDS
from kuma_core.dataplane.settings import OPTIONS
from kuma_core.durations import SECOND, parse_duration
from kuma_core.runtime.kuma_cp import root as kuma_cp
from kuma_core.testing.platform import make_catalog

from .. import needs
from .units import FOLDER, ROOT, UNITS, Unit, environment_file

PROGRAMS = {"kuma-cp": kuma_cp, "kuma-dp": kuma_dp}
OF_SYSTEM = {"TMPDIR"}
VARIABLES = {
    "kuma-cp": {name for s in make_catalog([kuma_store_postgres]).settings for name in (s.env, *s.aliases)},
    "kuma-dp": {option.env for option in OPTIONS},
}
EXAMPLES = {"kuma-cp": "kuma-cp.env", "kuma-dp": "orders-1.env"}
YES = [
    "NoNewPrivileges",
    "PrivateTmp",
    "PrivateDevices",
    "ProtectHome",
    "ProtectClock",
    "ProtectHostname",
    "ProtectControlGroups",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "RemoveIPC",
    "LockPersonality",
]
LATER = ("RestartSteps", "RestartMaxDelaySec")
MOST_EXPOSED = 20
"""In tenths of the points of ``systemd-analyze security``, of which 100 are the worst."""


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest) -> Unit:
    return Unit(request.param)


def program(unit: Unit) -> str:
    return Path(unit.command()[0]).name


def test_configparser_reads_them_too(unit: Unit) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(unit.text)
    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Install"]["WantedBy"] == "multi-user.target"


def test_they_start_programs_and_flags_that_exist(unit: Unit) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert f"{program(unit)} =" in setup["options.entry_points"]["console_scripts"]
    command: click.Command = PROGRAMS[program(unit)]
    for word in unit.command()[1:]:
        if word.startswith("-"):
            assert word.partition("=")[0] in {flag for param in command.params for flag in param.opts}
        else:
            assert isinstance(command, click.Group)
            command = command.commands[word]
    assert command.name == "run"


def test_they_set_variables_that_exist(unit: Unit) -> None:
    names = {line.partition("=")[0] for line in unit.all("Environment")}
    assert names - OF_SYSTEM - VARIABLES[program(unit)] == set()
    assert set(re.findall(r"KUMA_\w+", unit.text)) <= VARIABLES[program(unit)]


def test_the_examples_of_their_files_set_variables_that_exist(unit: Unit) -> None:
    said = environment_file(ROOT / "packaging" / "conf" / EXAMPLES[program(unit)])
    assert said
    assert set(said) <= VARIABLES[program(unit)]
    assert unit.one("EnvironmentFile").replace("%i", "orders-1").endswith("/" + EXAMPLES[program(unit)])


def test_they_come_again_and_get_their_time_to_end(unit: Unit) -> None:
    assert unit.one("Restart") == "on-failure"
    assert unit.one("StartLimitIntervalSec", "Unit") == "0"
    assert parse_duration(unit.one("RestartSec")) < parse_duration(unit.one("RestartMaxDelaySec"))
    assert unit.one("KillMode") == "mixed"
    assert parse_duration(unit.one("TimeoutStopSec")) > 20 * SECOND


def test_a_proxy_may_take_longer_to_end_than_it_drains() -> None:
    unit = Unit("kuma-dp@.service")
    (drain,) = (option.default for option in OPTIONS if option.env == "KUMA_DATAPLANE_DRAIN_TIME")
    longest = parse_duration(drain) + int(GRACE_SECONDS * SECOND)
    assert parse_duration(unit.one("TimeoutStopSec")) > longest


def test_they_are_locked_in(unit: Unit) -> None:
    assert [key for key in YES if unit.all(key) != ["yes"]] == []
    assert unit.one("ProtectSystem") == "strict"
    assert unit.all("CapabilityBoundingSet") == unit.all("AmbientCapabilities") == [""]
    assert unit.all("SystemCallFilter")[0] == "@system-service"
    assert unit.one("UMask") == "0077"
    assert int(unit.one("LimitNOFILE")) >= 65536
    assert unit.all("DynamicUser") == ["yes"] or unit.one("User") == "kuma-dp"


def test_the_user_of_the_proxies_is_made() -> None:
    unit, lines = Unit("kuma-dp@.service"), (FOLDER / "kuma-dp.sysusers").read_text().splitlines()
    (line,) = (line for line in lines if not line.startswith("#"))
    assert line.split()[:2] == ["u", unit.one("User")]


def test_credentials_are_used_for_what_stays_the_same_only() -> None:
    """A copy of the token as it was at start would never be renewed."""
    unit = Unit("kuma-cp.service")
    names = [line.partition(":")[0] for line in unit.all("LoadCredential")]
    assert names
    assert all(f"=%d/{name}" in unit.text for name in names)
    assert Unit("kuma-dp@.service").all("LoadCredential") == []


def _analyze(unit: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``systemd-analyze`` on the unit as it would be if its programs were installed here."""
    needs.program("systemd-analyze", "systemd")
    text = Unit(unit).text.replace("/opt/kuma/bin", str(Path(sys.executable).parent))
    (folder / unit).write_text(text)
    command = ["systemd-analyze", *words, str(folder / unit)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_itself_finds_nothing(name: str, tmp_path: Path) -> None:
    done = _analyze(name, tmp_path, "verify", "--man=no")
    about = [line for line in done.stderr.splitlines() if name in line]
    unknown = [f"Unknown key '{key}' in section [Service], ignoring." for key in LATER]
    assert [line for line in about if not line.endswith(tuple(unknown))] == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_systemd_itself_calls_them_little_exposed(name: str, tmp_path: Path) -> None:
    needs.program("systemd-analyze", "systemd")
    words = subprocess.run(["systemd-analyze", "--help"], capture_output=True, text=True, check=True).stdout
    if "--offline" not in words:
        pytest.skip("this systemd-analyze judges no files: systemd 250 or newer does")
    done = _analyze(name, tmp_path, "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}")
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout
