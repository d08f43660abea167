"""Where the programs of a real Kubernetes are: etcd, the API server, the controller-manager and kubectl.

They are looked for as the field's envtest does: a variable for each of them, ``KUBEBUILDER_ASSETS``,
``/usr/local/kubebuilder/bin``; and last where ``make kube-assets`` puts what it builds. A test that needs them is
skipped without, and says what to do; with ``KUMA_REQUIRE_KUBE=1`` it fails instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools/kube"
REQUIRE = "KUMA_REQUIRE_KUBE"
USUAL = Path("/usr/local/kubebuilder/bin")

PROGRAMS = {
    "etcd": "TEST_ASSET_ETCD",
    "kube-apiserver": "TEST_ASSET_KUBE_APISERVER",
    "kube-controller-manager": "TEST_ASSET_KUBE_CONTROLLER_MANAGER",
    "kubectl": "TEST_ASSET_KUBECTL",
}
"""Each program, and the variable that names its file."""

OLDEST_ETCD = (3, 5, 13)
"""Watches of older ones end or fail with this API server."""

MISSING = "there is no Kubernetes to test on"
"""How the reason of each such skip begins; tests/skips.py knows it."""
ADVICE = "run `make kube-assets` once: 10 to 13 minutes on two idle cores, 4 GB of disk meanwhile, 550 MB afterwards"


@dataclass(frozen=True)
class Assets:
    """The files of the programs."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    kubectl: Path


def version() -> str:
    """The version of Kubernetes that ``tools/kube`` builds, as in ``v1.37.2``."""
    found = re.search(
        r"^\tk8s\.io/kubernetes (v[\d.]+)( // indirect)?$", (TOOLS / "go.mod").read_text(), re.MULTILINE
    )
    assert found, "tools/kube/go.mod requires no k8s.io/kubernetes"
    return found[1]


def built(environ: Mapping[str, str], module: str = "") -> Path:
    """Where ``make kube-assets`` puts what it builds from a module below ``tools/kube``."""
    cache_folder = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '')}/.cache"
    state = hashlib.sha256((TOOLS / module / "go.sum").read_bytes()).hexdigest()[:12]
    return Path(cache_folder) / "kuma-kube" / "-".join(filter(None, (version(), module, state)))


def candidates(program: str, variable: str, environ: Mapping[str, str], module: str = "") -> Iterator[Path]:
    """The files that may be a program, the first that is there counts."""
    if named := environ.get(variable):
        yield Path(named)
    if folder := environ.get("KUBEBUILDER_ASSETS"):
        yield Path(folder) / program
    yield USUAL / program
    yield built(environ, module) / program


def find(
    programs: Mapping[str, str], environ: Mapping[str, str], module: str = ""
) -> Iterator[tuple[str, Path | None]]:
    """Each of some programs, given with their variables, and its file, if it is there."""
    for program, variable in programs.items():
        files = candidates(program, variable, environ, module)
        yield program, next((path for path in files if os.access(path, os.X_OK)), None)


def look_up(environ: Mapping[str, str]) -> Assets | str:
    """The programs, or what is wrong with them."""
    found: dict[str, Path] = {}
    for program, path in find(PROGRAMS, environ):
        if path is None:
            return f"{MISSING}: {program} is not here; {ADVICE}"
        found[program] = path
    etcd = etcd_version(found["etcd"])
    if etcd < OLDEST_ETCD:
        wanted, is_there = (".".join(map(str, item)) for item in (OLDEST_ETCD, etcd))
        return f"{MISSING}: {found['etcd']} is etcd {is_there}, and {wanted} is needed; {ADVICE}"
    return Assets(*(found[program] for program in PROGRAMS))


@cache
def etcd_version(path: Path) -> tuple[int, ...]:
    """The version of an etcd; (0,) if it does not tell."""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"etcd Version: (\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else (0,)


def required() -> Assets:
    """The programs. Skips the test that asks, or fails it with ``KUMA_REQUIRE_KUBE=1``, if one is missing."""
    __tracebackhide__ = True
    found = look_up(os.environ)
    if isinstance(found, Assets):
        return found
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE}=1, but {found}")
    pytest.skip(found)
