"""A kind of a plugin that is not in this repository's installation: REST, OpenAPI, kumactl and validation at once.

The plugin is ``examples/plugin_hello``. Its REST behaviour is tested with the guide to plugins, kinds of other
shapes with kumactl and OpenAPI; here one and the same plugin goes through all of them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import validate

from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import Shell, plugins

HELLO = Path(__file__).parents[2] / "examples" / "plugin_hello"
GREETING = {"type": "Greeting", "mesh": "default", "name": "morning", "text": "hello", "repeatCount": 3}


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    sys.path.insert(0, str(HELLO))
    try:
        hello = importlib.import_module("kuma_hello")
    finally:
        sys.path.remove(str(HELLO))
    with running_platform([*plugins(), hello]) as platform:
        yield platform


@pytest.fixture
def shell(cp: RunningPlatform, tmp_path: Path) -> Iterator[Shell]:
    with ExitStack() as stack:
        found = Shell(tmp_path, stack)
        found.good(f"kumactl config control-planes add --name test --address {cp.api_url}")
        yield found


def test_nothing_of_it_is_installed() -> None:
    assert "hello" not in {point.name for point in entry_points(group="kuma")}


def test_openapi_describes_it(cp: RunningPlatform) -> None:
    document = cp.get("/openapi.json").body
    validate(document)
    item = document["paths"]["/meshes/{mesh}/greetings/{name}"]
    assert {"get", "put", "delete"} <= set(item)
    assert set(document["paths"]["/meshes/{mesh}/greetings"]) >= {"get"}
    properties = document["components"]["schemas"]["Greeting"]["properties"]
    assert set(properties) == {"type", "mesh", "name", "text", "repeatCount"}
    assert properties["text"]["type"] == "string"


def test_kumactl_applies_shows_and_deletes_it(cp: RunningPlatform, shell: Shell) -> None:
    applied = shell.good("kumactl apply -f -", yaml.safe_dump(GREETING))
    assert applied == 'created Greeting "morning"\n'
    assert cp.get("/meshes/default/greetings/morning").body == GREETING
    assert shell.good("kumactl get greetings").splitlines()[1].split() == ["default", "morning", "hello"]
    shown = shell.good("kumactl get greeting morning -o yaml")
    assert yaml.safe_load(shown) == GREETING
    assert shell.good("kumactl apply -f -", shown) == 'unchanged Greeting "morning"\n'
    assert shell.good("kumactl delete greeting morning") == 'deleted Greeting "morning"\n'


def test_kumactl_shows_what_its_rules_refuse(cp: RunningPlatform, shell: Shell) -> None:
    refused = shell.run("kumactl apply -f -", yaml.safe_dump({**GREETING, "text": ""}))
    assert refused.returncode == 1
    assert "* text: cannot be empty" in refused.stderr
    assert cp.get("/meshes/default/greetings").body == {"items": []}
