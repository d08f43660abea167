"""The guide to plugins shows the example as it is, and the example works without any other change."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import kuma_store_memory
from kuma_core.commandline import exit_code
from kuma_core.documents import load_documents
from kuma_core.kumactl.main import build
from kuma_core.kumactl.session import add_global_flags
from kuma_core.specs.shapes import SUPPORTED
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "plugin_hello"
PAGE = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hello() -> Iterator[ModuleType]:
    sys.path.insert(0, str(HELLO))
    try:
        yield importlib.import_module("kuma_hello")
    finally:
        sys.path.remove(str(HELLO))


@pytest.fixture(scope="module")
def running(hello: ModuleType) -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, hello]) as platform:
        yield platform


@pytest.mark.parametrize(
    ("language", "file"),
    [
        ("ini", "setup.cfg"),
        ("python", "kuma_hello/__init__.py"),
        ("python", "kuma_hello/spec.py"),
        ("python", "kuma_hello/feature.py"),
        ("python", "kuma_hello/commands.py"),
    ],
)
def test_the_page_shows_the_files_as_they_are(language: str, file: str) -> None:
    assert f"```{language}\n{(HELLO / file).read_text(encoding='utf-8')}```" in PAGE


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """As somebody runs them who has copied them: with pytest, which finds the plugin and nothing else of ours."""
    tests = [
        source
        for source in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if "kuma_core.testing" in source
    ]
    for number, source in enumerate(tests):
        (tmp_path / f"test_page_{number}.py").write_text(source, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(HELLO)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "test_a_greeting_says_something PASSED" in done.stdout
    assert "test_what_is_written_is_read_again[Greeting] PASSED" in done.stdout


@pytest.mark.parametrize("count", [0, 2])
def test_a_count_that_is_not_the_default_is_kept_and_the_default_is_not_shown(
    running: RunningPlatform, count: int
) -> None:
    greeting = {"type": "Greeting", "mesh": "default", "name": "count", "text": "hello"}
    running.apply({**greeting, "repeatCount": count})
    assert running.get("/meshes/default/greetings/count").body == {**greeting, "repeatCount": count}
    running.apply({**greeting, "repeatCount": 1})
    assert running.get("/meshes/default/greetings/count").body == greeting
    assert running.delete("/meshes/default/greetings/count").status == 200


def test_the_page_names_every_type_that_a_field_may_have() -> None:
    (paragraph,) = re.findall(r"A field may be of the types (.*?)\n\n", PAGE, re.DOTALL)
    assert set(re.findall(r"\w+", SUPPORTED)) - {"and", "of", "these", "them", "another"} <= set(
        re.findall(r"\w+", paragraph)
    )


def test_rest_serves_the_new_kind(running: RunningPlatform) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (greeting,) = load_documents(block, "the page")
    url = "/meshes/default/greetings/morning"
    assert running.put(url, greeting).status == 201
    assert running.get(url).body == greeting
    assert running.put(url, {**greeting, "repeat_count": 3, "repeatCount": None}).status == 200
    changed = {**greeting, "repeatCount": 3}
    assert running.get("/meshes/default/greetings").body["items"] == [changed]
    assert running.delete(url).status == 200
    assert running.get(url).status == 404
    assert running.get("/meshes/default/greetings").body["items"] == []


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({}, {"field": "text", "message": "cannot be empty"}),
        ({"text": "x" * 81}, {"field": "text", "message": "cannot be longer than 80 characters"}),
        ({"text": "x", "repeatCount": -1}, None),
        ({"text": ["x"]}, None),
    ],
    ids=["empty", "long", "negative", "type"],
)
def test_rest_refuses_what_breaks_the_rules(
    running: RunningPlatform, spec: dict[str, object], cause: dict[str, str] | None
) -> None:
    greeting = {"type": "Greeting", "mesh": "default", "name": "bad", **spec}
    answer = running.put("/meshes/default/greetings/bad", greeting)
    assert answer.status == 400
    (found,) = answer.body["causes"]
    assert cause in (None, found)
    assert found["field"] in ("text", "repeatCount")
    assert running.get("/meshes/default/greetings/bad").status == 404


def test_the_mesh_of_a_greeting_must_exist(running: RunningPlatform) -> None:
    greeting = {"type": "Greeting", "mesh": "cellar", "name": "a", "text": "hello"}
    answer = running.put("/meshes/cellar/greetings/a", greeting)
    assert (answer.status, answer.body["details"]) == (400, "Mesh is not found")


def test_greetings_go_with_their_mesh(running: RunningPlatform) -> None:
    running.apply({"type": "Mesh", "name": "attic"})
    running.apply({"type": "Greeting", "mesh": "attic", "name": "a", "text": "hello"})
    assert running.delete("/meshes/attic").status == 200
    assert running.get("/meshes/attic/greetings/a").status == 404


def test_kinds_tells_clients_about_it(running: RunningPlatform) -> None:
    (kind,) = (item for item in running.get("/kinds").body["kinds"] if item["name"] == "Greeting")
    assert (kind["path"], kind["singular"], kind["scope"]) == ("greetings", "greeting", "mesh")
    assert kind["plugin"] == "kuma_hello"
    assert [(column["header"], column["path"]) for column in kind["columns"]] == [("TEXT", "text")]


def test_the_example_is_short() -> None:
    assert sum(len(path.read_text().splitlines()) for path in HELLO.rglob("*.py")) < 150


def test_the_parts_of_the_feature_share_what_was_opened(running: RunningPlatform) -> None:
    def changes() -> int:
        return int(running.get("/meshes/default/hello").body["changes"])

    before = changes()
    running.apply({"type": "Greeting", "mesh": "default", "name": "twice", "text": "ho", "repeatCount": 2})
    eventually(lambda: changes() > before)
    assert "ho ho" in running.get("/meshes/default/hello").body["said"]
    told = running.request("GET", "/", port=running.platform.config.number("hello.port")).body
    counted = running.request("GET", "/metrics", port=running.diagnostics).body
    assert told == f"{changes()} greetings were written\n"
    assert f"hello_greeting_changes_total {changes()}.0" in counted


def test_the_command_says_the_greetings(
    hello: ModuleType, running: RunningPlatform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (brought,) = hello.kuma_register_commands()
    assert (brought.name, brought.place) == ("kumactl greet", "kuma_hello.commands:greet")
    running.apply({"type": "Greeting", "mesh": "default", "name": "loud", "text": "hey"})
    config = tmp_path / "config"
    config.touch()
    point = ["config", "control-planes", "add", "--name=cp", f"--address={running.api_url}"]
    assert exit_code(build(), [*point, f"--config-file={config}"]) == 0
    root = build()
    root.add_command(importlib.import_module("kuma_hello.commands").greet)
    add_global_flags(root)
    capsys.readouterr()
    assert exit_code(root, ["greet", f"--config-file={config}"]) == 0
    assert "hey\n" in capsys.readouterr().out


def test_every_envoy_starts_with_the_tag(running: RunningPlatform) -> None:
    running.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
    asked = {"mesh": "default", "name": "web-1"}
    answer = running.request("POST", "/bootstrap", asked, running.bootstrap)
    tags = yaml.safe_load(answer.body)["statsConfig"]["statsTags"]
    assert tags == [{"tagName": "hello.greets", "fixedValue": "yes"}]
