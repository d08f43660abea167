"""A test that cannot run here says so; where it has to be able to run, the whole run fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import needs, skips

ROOT = Path(__file__).parents[1]

MODULE_OF_SKIPS = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_skipped(number):
    pytest.skip("for the count")

@pytest.mark.xfail(reason="for the count: this one is not skipped")
def test_expected_to_fail():
    raise AssertionError

def test_passes():
    pass
"""
SKIPPED_AS_A_WHOLE = """
import pytest

pytest.skip("all of it", allow_module_level=True)
"""
MISSING = """
from tests import needs

def test_that_needs_a_program():
    needs.program("no-such-program", "iptables")
"""


def run(folder: Path, *words: str, requires: str = "", **modules: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest over these modules alone, which counts skips as the suite does."""
    for name, text in modules.items():
        (folder / f"test_{name}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-rs", *words, str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), needs.REQUIRES: requires}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_run_with_more_skips_than_are_allowed_fails(tmp_path: Path, workers: tuple[str, ...]) -> None:
    many = MODULE_OF_SKIPS.format(count=skips.ALLOWED)
    done = run(tmp_path, *workers, requires="iptables", many=many)
    assert (done.returncode, "allows" in done.stdout) == (0, False), done.stdout
    done = run(tmp_path, *workers, requires="iptables", many=many, whole=SKIPPED_AS_A_WHOLE)
    assert done.returncode == 1, done.stdout
    count = skips.ALLOWED + 1
    assert f"FAILED: {count} tests were skipped, and tests/skips.py allows {skips.ALLOWED}" in done.stdout


def test_nobody_counts_where_things_may_be_missing(tmp_path: Path) -> None:
    done = run(tmp_path, many=MODULE_OF_SKIPS.format(count=skips.ALLOWED + 1))
    assert (done.returncode, "allows" in done.stdout) == (0, False), done.stdout


def test_what_is_missing_is_named_with_a_way_to_get_it(tmp_path: Path) -> None:
    done = run(tmp_path, missing=MISSING)
    assert done.returncode == 0
    assert "no-such-program is not here: install iptables, for instance with 'apt-get install" in done.stdout


def test_what_a_run_counts_on_may_not_be_missing(tmp_path: Path) -> None:
    done = run(tmp_path, requires="openssl iptables", missing=MISSING)
    assert done.returncode == 1
    assert f"{needs.REQUIRES} names iptables, but no-such-program is not here" in done.stdout
    assert run(tmp_path, requires="openssl", missing=MISSING).returncode == 0


# -- .ci/run, which installs

MADE = ("kube-assets", "lint", "test", "test-node")
"""What it makes, in this order."""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that stand for those of the system: root's, with every right, and everything goes well."""
    folder = tmp_path / "bin"
    folder.mkdir()
    fake(folder, "id", "echo 0")
    fake(folder, "unshare", "cat > /dev/null")
    fake(folder, "apt-get", f'echo "$@" >> {tmp_path}/installed')
    fake(folder, "make", f'echo "$1 with ${{{needs.REQUIRES}-nothing}}" >> {tmp_path}/made')
    return folder


def fake(folder: Path, name: str, line: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / name).chmod(0o755)


def run_ci(folder: Path) -> subprocess.CompletedProcess[str]:
    dropped = {needs.REQUIRES, "KUMA_REQUIRE_NODE"}  # what .ci/run sets itself, in which this test may run
    environ = {key: value for key, value in os.environ.items() if key not in dropped}
    environ["PATH"] = f"{folder}{os.pathsep}{environ['PATH']}"
    return subprocess.run(
        [ROOT / ".ci/run"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_ci_installs_what_tests_need_and_counts_on_it(programs: Path, tmp_path: Path) -> None:
    done = run_ci(programs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    every = " ".join(needs.PACKAGES)
    for_a_node = " ".join((ROOT / ".ci/packages-node").read_text().split())
    assert (tmp_path / "installed").read_text().splitlines() == [
        f"install -qq --no-install-recommends --no-upgrade {packages}" for packages in (every, for_a_node)
    ]
    assert (tmp_path / "made").read_text().splitlines() == [f"{what} with {every}" for what in MADE]


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("id", "echo 1000", ""),
        ("apt-get", "echo no such package >&2; exit 100", "no such package"),
        ("unshare", "echo Operation not permitted >&2; exit 1", "Operation not permitted"),
    ],
)
def test_ci_goes_on_where_nothing_can_be_installed(
    programs: Path, tmp_path: Path, name: str, line: str, told: str
) -> None:
    fake(programs, name, line)
    done = run_ci(programs)
    assert done.returncode == 0
    assert done.stderr.startswith(".ci/run: some of iproute2 iptables")
    assert told in done.stderr
    assert (tmp_path / "made").read_text().splitlines() == [f"{what} with nothing" for what in MADE]


def test_ci_fetches_the_lists_of_packages_if_it_has_to(programs: Path, tmp_path: Path) -> None:
    listed, installed = tmp_path / "listed", tmp_path / "installed"
    fake(programs, "apt-get", f"[ $1 = update ] && touch {listed}; [ -e {listed} ] && echo $1 >> {installed}")
    assert run_ci(programs).stderr == ""
    assert installed.read_text().splitlines() == ["update", "install", "install"]


def test_ci_counts_on_a_node_where_its_packages_are(programs: Path, tmp_path: Path) -> None:
    fake(programs, "make", f'echo "$1 ${{KUMA_REQUIRE_NODE-nothing}}" >> {tmp_path}/made')
    assert run_ci(programs).stderr == ""
    fake(programs, "apt-get", 'case "$*" in *containerd*) exit 100;; esac')
    assert "tests on a real node are skipped: containerd" in run_ci(programs).stderr
    told = (tmp_path / "made").read_text().splitlines()
    assert told == [*(f"{what} {told}" for told in ("1", "nothing") for what in MADE)]


def test_ci_fails_where_the_tests_do(programs: Path) -> None:
    fake(programs, "make", "[ $1 != test ]")
    assert run_ci(programs).returncode != 0


def test_nobody_else_installs_packages_of_the_system() -> None:
    assert not re.search(r"\bapt", (ROOT / "Makefile").read_text())
