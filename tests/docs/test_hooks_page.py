"""Every hook has a heading with its signature, an example that runs, a test of its own and a real user."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.commandline import exit_code
from kuma_core.kumactl.main import build
from kuma_core.plugin import commands, hookspecs
from kuma_core.plugin.loader import Installed
from kuma_core.sdk import kumactl as door
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(.+?)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))

HOOKS = {
    name: f"{name}({', '.join(inspect.signature(spec).parameters)})"
    for name, spec in vars(hookspecs).items()
    if hasattr(spec, f"{hookspecs.NAMESPACE}_spec")
}


def example(hook: str) -> ModuleType:
    """The module that a hook's section shows."""
    (source,) = re.findall(r"```python\n(.*?)```", SECTIONS[HOOKS[hook]], re.DOTALL)
    module = ModuleType(f"example_of_{hook}")
    exec(compile(source, f"docs/reference/hooks.md, {hook}", "exec", dont_inherit=True), module.__dict__)
    return module


def test_there_are_hooks() -> None:
    assert len(HOOKS) >= 6
    assert {name for name in HOOKS if not name.startswith("kuma_register_")} == {"kuma_admit"}


def test_the_page_has_a_heading_with_the_signature_of_every_hook_and_no_other() -> None:
    assert set(SECTIONS) == set(HOOKS.values())


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook: str) -> None:
    tests = (path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "plugin").glob("test_*.py"))
    assert any(f"def test_hook_{hook}(" in text for text in tests)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_real_user(hook: str) -> None:
    doors = [ROOT / "kuma_core" / "builtin" / "__init__.py", *(ROOT / "plugins").glob("*/kuma_*/__init__.py")]
    users = [
        path for path in doors if re.search(rf"@hookimpl\ndef {hook}\(", path.read_text(encoding="utf-8"))
    ]
    assert users, f"{hook} is used by nobody but its documentation"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_it_returns(hook: str) -> None:
    spec = getattr(hookspecs, hook)
    assert (spec.__doc__ or "").startswith("Return ")
    assert inspect.signature(spec).return_annotation.startswith("Iterable[")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_example_is_a_plugin_of_that_hook_alone(hook: str) -> None:
    module = example(hook)
    implemented = {name for name in vars(module) if name in HOOKS}
    beside = {"kuma_register_resource_types"} if hook == "kuma_register_policies" else set()
    assert implemented == {hook} | beside
    make_catalog([kuma_store_memory, module])


@pytest.fixture(scope="module")
def clock() -> ModuleType:
    return example("kuma_register_components")


@pytest.fixture(scope="module")
def running(clock: ModuleType) -> Any:
    """A control plane with every example at once."""
    others = [example(hook) for hook in HOOKS if hook != "kuma_register_components"]
    settings = {"KUMA_STORE_TYPE": "drawer", "KUMA_ACME_SHELVES": "7"}
    with running_platform([clock, *others], settings) as platform:
        yield platform


def test_the_example_of_config(running: RunningPlatform) -> None:
    assert running.get("/config").body["acme"] == {"shelves": 7}


def test_the_example_of_resource_types(running: RunningPlatform) -> None:
    label = {"type": "Label", "mesh": "default", "name": "a", "text": "fragile"}
    assert running.put("/meshes/default/labels/a", label).status == 201
    assert running.get("/meshes/default/labels/a").body == label
    refused = running.put("/meshes/default/labels/b", {**label, "name": "b", "text": ""})
    assert refused.body["causes"] == [{"field": "text", "message": "cannot be empty"}]


def test_the_example_of_stores(running: RunningPlatform) -> None:
    assert running.platform.config.text("store.type") == "drawer"


def test_the_example_of_generators(running: RunningPlatform) -> None:
    from kuma_core.sdk import Proxy
    from kuma_core.sdk.envoy import ProxyView

    generator = next(item for item in running.platform.catalog.generators if item.name == "acme_sink")
    view: ProxyView = object()  # type: ignore[assignment]  # the example looks at nothing
    (draft,) = generator.generate(view)
    assert draft.build(draft.inputs).name == "acme_sink"
    assert Proxy("default", "a") < Proxy("default", "b")


def test_the_example_of_policies(running: RunningPlatform) -> None:
    running.apply(
        dataplane("far", inbound("10.0.0.3:80:80", "far")),
        dataplane("near", inbound("10.0.0.2:80:80", "near"), outbounds=[outbound(":7000", "far")]),
    )
    patience = {"type": "Patience", "mesh": "default", "name": "p", "seconds": 9}
    patience |= {"source": {"service": "near"}, "destination": {"service": "far"}}
    tried = running.put("/meshes/default/patience/p?dry-run=xds", patience)
    assert tried.status == 200, tried
    ((change,),) = [item["changes"] for item in tried.body["proxies"]]
    assert '+  "connectTimeout": "9s"' in change["diff"]


def test_the_example_of_commands(
    running: RunningPlatform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = example("kuma_register_commands")
    entry = Installed("shelves", "acme-shelves", "1.0", (), lambda: module)
    monkeypatch.setattr(commands, "discover", lambda: [entry])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("HOME", str(tmp_path))
    add = ("config", "control-planes", "add", "--name=test", f"--address={running.api_url}")
    assert exit_code(build(), add) == 0
    running.apply(dataplane("shelf", inbound("10.0.0.1:80:80", "web")))
    count = len(running.get("/meshes/default/dataplanes").body["items"])
    capsys.readouterr()
    assert exit_code(build(), ["inspect", "shelves", "--mesh", "default"]) == 0
    assert capsys.readouterr() == (f"{count} dataplanes\n", "")
    assert exit_code(build(), ["inspect", "--help"]) == 0
    assert "  shelves           Count the dataplanes of a mesh.\n" in capsys.readouterr().out


def test_the_page_names_all_that_the_door_for_commands_hands_on() -> None:
    section = SECTIONS[HOOKS["kuma_register_commands"]]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)", row)) == sorted(door.__all__)


def test_the_example_of_routes(running: RunningPlatform) -> None:
    running.apply(dataplane("a", inbound("10.0.0.1:80:80", "web")))
    count = len(running.get("/meshes/default/dataplanes").body["items"])
    assert running.get("/meshes/default/shelves").body == {"dataplanes": count}


def test_the_example_of_ca_providers(running: RunningPlatform) -> None:
    answer = running.put("/meshes/yard", mesh("yard", mtls={"ca": {"folder": {}}}))
    assert answer.status == 201
    assert "mtls.ca.folder: there is no /etc/acme-ca/yard.pem yet" in answer.headers["Warning"]


def test_the_example_of_admin_routes(running: RunningPlatform) -> None:
    answer = running.request("GET", "/meshes/default/secret-names", port=running.admin)
    assert "dataplane-token-signing-key" in answer.body["names"]


def test_the_example_of_authenticators(tmp_path: Path) -> None:
    from kuma_core.sdk import Proof, Unauthenticated

    (tmp_path / "default").write_text("sesame")
    shared = example("kuma_register_authenticators").SharedWord(tmp_path)
    assert shared.authenticate("default", "web-1", "sesame") == Proof("word of default")
    for mesh_name, word in (("default", "x"), ("default", ""), ("shop", "sesame")):
        with pytest.raises(Unauthenticated, match=f"not the word of the mesh {mesh_name}"):
            shared.authenticate(mesh_name, "web-1", word)


def test_the_example_of_admit(running: RunningPlatform) -> None:
    running.apply(mesh("barn"), dataplane("a", inbound("10.0.0.1:80:80", "web"), mesh="barn"))
    refused = running.delete("/meshes/barn")
    assert refused.status == 400
    assert "still some dataplanes attached" in refused.body["causes"][0]["message"]
    assert running.delete("/meshes/barn/dataplanes/a").status == 200
    assert running.delete("/meshes/barn").status == 200


def test_the_example_of_components(running: RunningPlatform, clock: ModuleType) -> None:
    eventually(lambda: clock.Clock.ticks > 1, what="a clock that ticks")
