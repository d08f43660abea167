"""From memory into a file, from there into a real PostgreSQL, and back: nothing is lost on the way."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
import kuma_store_postgres
from kuma_core.commandline import exit_code
from kuma_core.kumactl.main import build
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from tests.conformance.strategies import MESH, SPECS, valid
from tests.examples import examples

from .server import Server

HOW_TO = (Path(__file__).parents[3] / "docs/how-to/back-up.md").read_text(encoding="utf-8")
PLUGINS = [kuma_policy_traffic, kuma_ca_builtin]
KINDS = [kind for kind in SPECS if kind != "DataplaneInsight"]
EXAMPLES = examples(10, chaos=50)


def configuration(cp: RunningPlatform, home: Path) -> Path:
    """A configuration of kumactl that names a control plane, in a home directory."""
    path = home / ".kumactl" / "config"
    path.parent.mkdir(parents=True)
    path.write_text(
        f"controlPlanes: [{{name: it, coordinates: {{apiServer: {{url: '{cp.api_url}'}}}}}}]\n"
        "contexts: [{name: it, controlPlane: it}]\ncurrentContext: it\n"
    )
    return path


class Pair:
    """A control plane in memory and one over PostgreSQL."""

    def __init__(self, memory: RunningPlatform, postgres: RunningPlatform, folder: Path) -> None:
        self.memory, self.postgres, self.folder = memory, postgres, folder
        self.configurations = {
            id(cp): configuration(cp, folder / name) for name, cp in (("old", memory), ("new", postgres))
        }

    def kumactl(self, cp: RunningPlatform, *words: str) -> None:
        """Call kumactl about one of them; it must succeed."""
        assert exit_code(build(), [f"--config-file={self.configurations[id(cp)]}", *words]) == 0

    def exported(self, cp: RunningPlatform) -> str:
        """The text of an export."""
        path = self.folder / "export.yaml"
        self.kumactl(cp, "export", "-o", str(path))
        return path.read_text()


@pytest.fixture(scope="module")
def pair(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        database = stack.enter_context(server.database(server.template))
        memory = stack.enter_context(running_platform([kuma_store_memory, *PLUGINS]))
        environ = server.environ(database)
        postgres = stack.enter_context(running_platform([kuma_store_postgres, *PLUGINS], environ))
        memory.apply(mesh(MESH))
        yield Pair(memory, postgres, tmp_path_factory.mktemp("pair"))


documents = st.lists(st.sampled_from(KINDS).flatmap(valid), min_size=1, max_size=6)


def test_any_resources_come_back_byte_by_byte(pair: Pair) -> None:
    """What hypothesis makes up is added to what there is, so that the files grow."""
    tried: list[int] = []

    @given(documents)
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def comes_back(found: list[dict[str, Any]]) -> None:
        pair.memory.apply(*found)
        before = pair.exported(pair.memory)
        pair.kumactl(pair.postgres, "import", "-f", str(pair.folder / "export.yaml"))
        assert pair.exported(pair.postgres) == before
        tried.append(len(found))

    comes_back()
    assert len(tried) >= EXAMPLES
    kinds = {line for line in pair.exported(pair.postgres).splitlines() if line.startswith("type: ")}
    assert len(kinds) >= 5, kinds


def test_the_steps_of_the_how_to(server: Server, tmp_path: Path) -> None:
    """From memory to PostgreSQL: the trust of a mesh and a token go along, also over a restart."""
    passphrase, export, import_, compare = re.findall(r"```bash\n(.*?)```", HOW_TO, re.DOTALL)

    def run(script: str, home: str) -> str:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=tmp_path,
            env={"PATH": path, "HOME": str(tmp_path / home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    with (
        server.database(server.template) as database,
        running_platform([kuma_store_memory, *PLUGINS]) as old,
    ):
        old.apply(
            mesh("shop", mtls={"enabled": True}), dataplane("a", inbound("10.0.0.1:1:1", "a"), mesh="shop")
        )
        token, trusted = old.token("a", "shop"), old.trusted
        roots = old.platform.core.authorities["builtin"].trust_anchors("shop")
        configuration(old, tmp_path / "old")
        run(passphrase, "old")
        assert "exported 3 resources and 4 secrets to backup.yaml" in run(export, "old")
        environ = server.environ(database)
        with running_platform([kuma_store_postgres, *PLUGINS], environ) as new:
            configuration(new, tmp_path / "new")
            said = run(import_, "new")
            assert "would import secrets: 1 created, 3 updated" in said
            assert "imported secrets: 1 created, 3 updated" in said
            assert "Now restart every control plane of this store" in said
        with running_platform([kuma_store_postgres, *PLUGINS], environ) as new:
            (tmp_path / "new/.kumactl/config").unlink()
            (tmp_path / "new/.kumactl").rmdir()
            configuration(new, tmp_path / "new")
            run(compare, "new")
            after = (tmp_path / "after.yaml").read_text()
            run(compare, "old")
            assert (tmp_path / "after.yaml").read_text() == after
            assert new.trusted == trusted
            assert new.platform.core.authorities["builtin"].trust_anchors("shop") == roots
            before, now = (cp.offer("builtin.tokens").keys for cp in (old, new))
            assert now.to_sign().id == before.to_sign().id
            assert token
