"""The pages on the provided authority tell what it does, and their commands work as they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

import kuma_ca_builtin
import kuma_ca_provided
import kuma_store_memory
from kuma_ca_builtin import admin as builtin_admin
from kuma_ca_provided import admin, checks
from kuma_core.testing.platform import running_platform

from .. import needs
from .support import kumactl

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/how-to/provided-ca.md").read_text()
REFERENCE = (ROOT / "docs/reference/ca.md").read_text()
PLUGINS = [kuma_store_memory, kuma_ca_builtin, kuma_ca_provided]


def test_the_reference_has_every_route_and_bound() -> None:
    item = admin.PATH + "/{id}"
    for request in (f"POST {builtin_admin.PATH}`", f"GET {builtin_admin.PATH}`"):
        assert f"| `{request}" in REFERENCE
    for request in (f"POST {admin.PATH}`", f"GET {admin.PATH}`", f"DELETE {item}`"):
        assert f"| `{request}" in REFERENCE
    assert f"{admin.MAX_BODY_BYTES // 1024} KiB" in REFERENCE
    assert f"at least {checks.LEAST_RSA_BITS} bits" in REFERENCE
    for field in (checks.CERT, checks.KEY, checks.PAIR):
        assert f"\n| `{field}` | " in REFERENCE


def test_the_guide_works_as_it_stands(tmp_path: Path) -> None:
    needs.program("openssl", "openssl")
    commands = re.findall(r"^\$ (.*)$", GUIDE, re.MULTILINE)
    openssl = next(line for line in commands if line.startswith("openssl"))
    subprocess.run(openssl, shell=True, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    with running_platform(PLUGINS) as cp:
        for line in commands[1:]:
            words = line.replace("=root", f"={tmp_path}/root").split()
            assert words[0] == "kumactl"
            done = kumactl(cp, tmp_path, *words[1:])
            assert (done.returncode, done.stderr) == (0, "")
        assert "acme-mesh-root" in done.stdout
        (document,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
        answer = cp.put("/meshes/default", yaml.safe_load(document))
        assert (answer.status, "certificate" in answer.headers.get("Warning", "")) == (200, False)
