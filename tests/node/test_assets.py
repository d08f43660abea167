"""What a node needs is found, or named."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ..kube import assets as kube
from ..kube.test_assets import fill, program
from . import assets

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kube, "USUAL", tmp_path / "usual")
    monkeypatch.setattr(assets, "_lacking", set)
    monkeypatch.setattr(assets, "CNI_FOLDERS", (tmp_path / "cni",))
    for name in assets.CNI_PLUGINS:
        program(tmp_path / "cni" / name)


def fill_all(home: Path) -> dict[str, str]:
    """An environment in which all programs are there, and where they are."""
    environ = {"HOME": str(home)}
    fill(kube.built(environ))
    for name in assets.PROGRAMS:
        program(kube.built(environ, assets.MODULE) / name)
    return environ


def test_all_that_is_needed_is_found(tmp_path: Path) -> None:
    environ = fill_all(tmp_path)
    environ["TEST_ASSET_KUBELET"] = str(program(tmp_path / "one"))
    found = assets.look_up(environ)
    assert isinstance(found, assets.NodeAssets)
    assert (found.kubelet, found.cni) == (tmp_path / "one", tmp_path / "cni")
    assert found.scheduler == kube.built(environ, assets.MODULE) / "kube-scheduler"


def test_what_is_missing_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = fill_all(tmp_path)
    (tmp_path / "cni/bridge").unlink()
    monkeypatch.setattr(assets, "_lacking", lambda: {"runc"})
    told = assets.look_up(environ)
    assert (
        told
        == f"{assets.MISSING}: install containernetworking-plugins runc, for instance with 'apt-get install'"
    )
    (kube.built(environ, assets.MODULE) / "kubelet").unlink()
    told = assets.look_up(environ)
    assert isinstance(told, str)
    assert told.startswith(f"{assets.MISSING}: kubelet is not here; run `make kube-assets`")
    (kube.built(environ) / "etcd").unlink()
    assert "etcd is not here" in str(assets.look_up(environ))


@pytest.mark.parametrize("required", ["", "1"])
def test_a_test_is_skipped_or_fails(required: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv(assets.REQUIRE, required)
    expected = pytest.fail.Exception if required else pytest.skip.Exception
    with pytest.raises(expected, match=assets.MISSING):
        assets.required()


def test_whoever_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert assets.unusable() == f"{assets.MISSING}: only root can run one"


def test_both_modules_are_of_one_release() -> None:
    """Where both have a dependency, it is the same one, so that what is built for one serves the other."""
    pattern = re.compile(r"^\t(\S+)(?: => \S+)? (v\S+)", re.MULTILINE)
    cluster, node = (
        dict(pattern.findall((kube.TOOLS / name / "go.mod").read_text())) for name in ("", assets.MODULE)
    )
    assert {name: version for name, version in node.items() if cluster.get(name, version) != version} == {}
    assert node["k8s.io/kubernetes"] == kube.version()


def test_the_script_builds_where_tests_look(tmp_path: Path) -> None:
    fill_all(tmp_path)
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    done = subprocess.run(
        [kube.TOOLS / "build.sh"], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{kube.built(environ)}\n{kube.built(environ, assets.MODULE)}\n"


COMPILER = """#!/bin/sh
while [ $# -gt 0 ]; do
  if [ "$1" = -o ]; then echo "${2##*/}" >> "$TOLD"; mkdir -p "${2%/*}"; touch "$2"; chmod +x "$2"; fi
  shift
done
"""
"""Stands for Go: writes down what it is to build, and builds nothing."""


@pytest.mark.parametrize("cluster", [False, True])
def test_only_what_is_missing_is_built(cluster: bool, tmp_path: Path) -> None:
    """A machine that built the programs of a cluster builds those of a node alone."""
    go = tmp_path / "go"
    go.write_text(COMPILER)
    go.chmod(0o755)
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": "", "GO": str(go)}
    environ["TOLD"] = str(tmp_path / "told")
    if cluster:
        fill(kube.built(environ))
    subprocess.run([kube.TOOLS / "build.sh"], env=environ, capture_output=True, timeout=60, check=True)
    told = set((tmp_path / "told").read_text().split())
    assert told == {*assets.PROGRAMS, *(() if cluster else kube.PROGRAMS)}
    assert isinstance(
        assets.look_up({**environ, "TEST_ASSET_ETCD": str(program(tmp_path / "etcd"))}), assets.NodeAssets
    )
    assert not (tmp_path / ".cache/kuma-kube/building").exists()


def test_what_tests_need_is_what_ci_installs() -> None:
    lists = ((ROOT / ".ci" / name).read_text().split() for name in ("packages", "packages-node"))
    installed = {name for listed in lists for name in listed}
    assert {*assets.PACKAGES.values(), "containernetworking-plugins"} <= installed
