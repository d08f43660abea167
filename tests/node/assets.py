"""What a real node needs of the machine: Kubernetes' programs for it, those of Debian, and the right to use them.

Without them a test on a node is skipped, and says what is missing and how to get it; with ``KUMA_REQUIRE_NODE=1`` it
fails instead. Programs of Kubernetes are looked for where those of a cluster are (``tests/kube/assets.py``).
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..kube import assets
from .images import ROOT
from .machine import OVER, trial

REQUIRE = "KUMA_REQUIRE_NODE"
MODULE = "node"
"""The module below ``tools/kube`` that the programs are built from."""
PROGRAMS = {
    "kubelet": "TEST_ASSET_KUBELET",
    "kube-proxy": "TEST_ASSET_KUBE_PROXY",
    "kube-scheduler": "TEST_ASSET_KUBE_SCHEDULER",
}
MISSING = "there is no node of Kubernetes to test on"
"""How the reason of each such skip begins; tests/skips.py knows it."""
PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "wget": "wget",
}
"""Programs of the machine, and the package of Debian that brings each."""
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("bridge", "host-local", "loopback")


@dataclass(frozen=True)
class NodeAssets:
    """The files of the programs, those of a cluster, and the folder of CNI plugins."""

    cluster: assets.Assets
    kubelet: Path
    proxy: Path
    scheduler: Path
    cni: Path


def look_up(environ: Mapping[str, str]) -> NodeAssets | str:
    """All that is needed, or what is missing."""
    cluster = assets.look_up(environ)
    if isinstance(cluster, str):
        return f"{MISSING}: {cluster}"
    found = dict(assets.find(PROGRAMS, environ, MODULE))
    for name, path in found.items():
        if path is None:
            return f"{MISSING}: {name} is not here; {assets.ADVICE}"
    cni = next(_cni_folders(), None)
    if lacking := {*_lacking(), *([] if cni else ["containernetworking-plugins"])}:
        return f"{MISSING}: install {' '.join(sorted(lacking))}, for instance with 'apt-get install'"
    assert cni
    kubelet, proxy, scheduler = (path for path in found.values() if path)
    return NodeAssets(cluster, kubelet, proxy, scheduler, cni)


def _cni_folders() -> Iterator[Path]:
    return (folder for folder in CNI_FOLDERS if all((folder / name).exists() for name in CNI_PLUGINS))


def _lacking() -> set[str]:
    """Packages of programs that are not here."""
    return {package for program, package in PACKAGES.items() if not shutil.which(program)}


def unusable() -> str:
    """Why this machine lets nobody run a node, although all programs are there; empty if it does."""
    if os.geteuid():
        return f"{MISSING}: only root can run one"
    for over, needed in itertools.product(OVER, (ROOT, Path(sys.prefix), Path(sys.base_prefix), Path.home())):
        if needed.is_relative_to(over):
            return f"{MISSING}: {needed} is needed there, and a node has a folder {over} of its own"
    done = subprocess.run(trial(), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        return f"{MISSING}: the kernel, or a container around us, refuses it: {done.stderr.strip()[-300:]}"
    return ""


def required() -> NodeAssets:
    """What is needed. Skips the test that asks, or fails it with ``KUMA_REQUIRE_NODE=1``, if something is missing."""
    __tracebackhide__ = True
    found = look_up(os.environ)
    why = found if isinstance(found, str) else unusable()
    if not why:
        assert not isinstance(found, str)
        return found
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE}=1, but {why}")
    pytest.skip(why)
