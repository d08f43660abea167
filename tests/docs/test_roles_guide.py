"""The guide from open to roles: its commands are executed as they stand, and what it says of them is compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..conformance.support import Shell
from ..namespaces import network_namespace

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/how-to/roles.md").read_text()
COMMANDS = re.findall(r"^\$ (.*)$", GUIDE, re.MULTILINE)
REFUSED = "# refused"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Shell]:
    with network_namespace() as inside, ExitStack() as stack:
        yield Shell(tmp_path, stack, inside)


def test_the_commands_work_as_they_stand(machine: Shell) -> None:
    for name, text in re.findall(r"`([\w.]+)`:\n\n```yaml\n(.*?)```", GUIDE, re.DOTALL):
        (machine.home / name).write_text(text)
    start, *commands = COMMANDS
    assert start.endswith("kuma-cp run")
    machine.control_plane(start)
    assert machine.run("kumactl get meshes").returncode == 1, "nobody does anything without a credential"
    said = ""
    for command in commands:
        done = machine.run(command)
        assert (done.returncode != 0) is (REFUSED in command), (command, done.stdout, done.stderr)
        said += done.stdout + done.stderr
    for line in re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", GUIDE, flags=re.DOTALL), re.MULTILINE):
        assert re.sub(r" +", " ", line.strip()) in re.sub(r" +", " ", said), line
    assert said.count("AccessRoleBinding") >= 5
    for file in ("ann-token", "alice-token", "web-1-token"):
        assert (machine.home / file).read_text().count(".") == 2
    assert machine.run("kumactl auth whoami").returncode == 0
    machine.good("kumactl config control-planes switch --name=alice")
    assert "revoked" in machine.run("kumactl auth whoami").stderr


def test_it_is_linked() -> None:
    for page in ("README.md", "docs/how-to/secure.md", "docs/reference/roles.md"):
        assert "roles.md" in (ROOT / page).read_text()
