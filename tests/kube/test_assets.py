"""The programs of Kubernetes are found as envtest finds them, and what is missing is told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import assets

ROOT = Path(__file__).parents[2]
GO_MOD = (assets.TOOLS / "go.mod").read_text()


def program(path: Path, version: str = "3.7.0") -> Path:
    """A program that says which etcd it is, whatever its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'etcd Version: {version}'\n")
    path.chmod(0o755)
    return path


def fill(folder: Path, version: str = "3.7.0") -> Path:
    """A folder with all programs."""
    for name in assets.PROGRAMS:
        program(folder / name, version)
    return folder


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(assets, "USUAL", tmp_path / "usual")


def test_a_variable_counts_more_than_a_folder_and_that_more_than_what_we_built(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    places = {"built": fill(assets.built(environ)), "usual": assets.USUAL, "named": tmp_path / "named"}
    found = assets.look_up(environ)
    assert isinstance(found, assets.Assets)
    assert found.apiserver == places["built"] / "kube-apiserver"
    fill(places["usual"])
    assert assets.look_up(environ).etcd == places["usual"] / "etcd"  # type: ignore[union-attr]
    environ["KUBEBUILDER_ASSETS"] = str(fill(places["named"]))
    assert assets.look_up(environ).kubectl == places["named"] / "kubectl"  # type: ignore[union-attr]
    one = program(tmp_path / "one")
    environ["TEST_ASSET_KUBE_CONTROLLER_MANAGER"] = str(one)
    found = assets.look_up(environ)
    assert isinstance(found, assets.Assets)
    assert (found.controller_manager, found.etcd) == (one, places["named"] / "etcd")


def test_what_is_missing_is_told_with_what_to_do_and_what_it_costs(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    (fill(assets.built(environ)) / "kube-apiserver").unlink()
    told = assets.look_up(environ)
    assert isinstance(told, str)
    assert told.startswith(
        f"{assets.MISSING}: kube-apiserver is not here; run `make kube-assets` once: 10 to 13"
    )


@pytest.mark.parametrize("version", ["3.4.30", "3.5.12", "none at all"])
def test_an_old_etcd_is_refused(tmp_path: Path, version: str) -> None:
    environ = {"HOME": str(tmp_path)}
    fill(assets.built(environ), version)
    told = assets.look_up(environ)
    assert isinstance(told, str)
    assert "and 3.5.13 is needed" in told


MODULE = """
import pytest
from tests.kube import assets

@pytest.mark.parametrize("number", range(20))
def test_on_kubernetes(number):
    assets.required()
"""


@pytest.mark.parametrize("required", ["", "1"])
def test_tests_are_skipped_in_sight_or_fail(tmp_path: Path, required: str) -> None:
    """A run of CI that has to test on Kubernetes fails without; any other one says what it left out."""
    (tmp_path / "test_one.py").write_text(MODULE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environ = {key: value for key, value in os.environ.items() if key not in assets.PROGRAMS.values()}
    environ |= {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": "",
        "KUBEBUILDER_ASSETS": "",
        "PYTHONPATH": str(ROOT),
    }
    environ |= {assets.REQUIRE: required, "KUMA_TEST_REQUIRES": "iptables"}
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-rs", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    if required:
        assert done.returncode == pytest.ExitCode.TESTS_FAILED
        assert "KUMA_REQUIRE_KUBE=1, but there is no Kubernetes to test on" in done.stdout
    else:
        assert done.returncode == pytest.ExitCode.OK, done.stdout
        assert "20 tests on a real Kubernetes were skipped: run `make kube-assets`" in done.stdout


def test_what_is_built_is_pinned_as_a_whole() -> None:
    """Each of the parts that Kubernetes names by folders of its own tree has the release of its number."""
    replaced = re.findall(r"^\t(k8s\.io/[\w.-]+) => (k8s\.io/[\w.-]+) (v\S+)$", GO_MOD, re.MULTILINE)
    wanted = assets.version().replace("v1.", "v0.")
    assert len(replaced) == 33
    assert {(name == other, version) for name, other, version in replaced} == {(True, wanted)}
    assert f"\nkubernetes={assets.version()}\n" in (assets.TOOLS / "build.sh").read_text()
    found = re.search(r"^\tgo\.etcd\.io/etcd/server/v3 v(\S+)( // indirect)?$", GO_MOD, re.MULTILINE)
    assert found
    assert tuple(map(int, found[1].split("."))) >= assets.OLDEST_ETCD
