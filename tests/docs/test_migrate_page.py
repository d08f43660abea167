"""The guide to move from Kuma 0.3 is followed to the letter, from a server that answers as 0.3 does to one of ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.platform import running_platform

from ..kumactl.kuma_0_3 import running_kuma_0_3
from ..kumactl.test_kuma_0_3 import DOCUMENTS, INSIGHT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/migrate-from-kuma.md").read_text()
PLUGINS = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "HOME": str(tmp_path), "PATH": path}


def test_the_guide_works_as_it_stands(tmp_path: Path, environ: dict[str, str]) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    with running_kuma_0_3() as old, running_platform(PLUGINS) as new:
        for text in (*DOCUMENTS.values(), INSIGHT):
            value = yaml.safe_load(text)
            collection = re.sub("(?<=[a-z])(?=[A-Z])", "-", value["type"]).lower() + "s"
            path = collection.replace("y-templates", "ytemplates").replace("meshs", "meshes")
            place = "" if value["type"] == "Mesh" else "/meshes/shop"
            old.resources[f"{place}/{path}/{value['name']}"] = value
        written = list(old.written)
        for block in blocks:
            script = block.replace("http://old.example:5681", old.url).replace(
                "http://new.example:5681", new.api_url
            )
            command = ["bash", "-euo", "pipefail", "-c", script]
            done = subprocess.run(
                command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, (script, done.stdout, done.stderr)
        assert old.written == written
        assert (tmp_path / "web-1-token").read_text().count(".") == 2
        for text in DOCUMENTS.values():
            value = yaml.safe_load(text)
            collection = {kind.name: kind.path for kind in new.platform.catalog.kinds}[value["type"]]
            place = "" if value["type"] == "Mesh" else "/meshes/shop"
            assert new.get(f"{place}/{collection}/{value['name']}").body == value
    assert "old" not in (tmp_path / ".kumactl" / "config").read_text()


def test_the_commands_that_it_promises_are_those_that_are_tested() -> None:
    """What stands in its first paragraph is what tests/kumactl/test_kuma_0_3.py calls."""
    tests = (ROOT / "tests/kumactl/test_kuma_0_3.py").read_text()
    promised = re.findall(r"`([a-z -]+)`", PAGE.split("\n\n")[1])[1:]
    assert len(promised) == 7
    for command in promised:
        words = ", ".join(f'"{word}"' for word in command.split())
        assert f"({words}" in tests, command
