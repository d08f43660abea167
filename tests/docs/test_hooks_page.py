"""Every hook has a heading with its signature, an example that runs, a test of its own and a real user."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import kuma_store_memory
from kuma_core.commandline import exit_code
from kuma_core.kumactl.main import build
from kuma_core.plugin import commands, hookspecs
from kuma_core.plugin.loader import Installed
from kuma_core.sdk import kumactl as door
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.ports import free_port
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


EXAMPLES: dict[str, ModuleType] = {}
"""The examples that run together, by hook."""


def test_there_are_hooks() -> None:
    assert len(HOOKS) >= 6
    others = {name for name in HOOKS if not name.startswith("kuma_register_")}
    assert others == {"kuma_admit", "kuma_open", "kuma_prepare"}


def test_the_page_has_a_heading_with_the_signature_of_every_hook_and_no_other() -> None:
    assert set(SECTIONS) == set(HOOKS.values())


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook: str) -> None:
    tests = (path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "plugin").glob("test_*.py"))
    assert any(f"def test_hook_{hook}(" in text for text in tests)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_real_user(hook: str) -> None:
    doors = [
        *(ROOT / "kuma_core" / "builtin").rglob("*.py"),
        *(ROOT / "plugins").glob("*/kuma_*/__init__.py"),
    ]
    users = [
        path for path in doors if re.search(rf"@hookimpl\n *def {hook}\(", path.read_text(encoding="utf-8"))
    ]
    assert users, f"{hook} is used by nobody but its documentation"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_it_returns(hook: str) -> None:
    spec = getattr(hookspecs, hook)
    returned = inspect.signature(spec).return_annotation
    if hook == "kuma_prepare":
        assert returned == "None"
        return
    assert (spec.__doc__ or "").startswith("Return ")
    assert returned == "object" if hook == "kuma_open" else returned.startswith("Iterable[")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_example_is_a_plugin_of_that_hook_alone(hook: str) -> None:
    module = example(hook)
    implemented = {name for name in vars(module) if name in HOOKS}
    beside = {
        "kuma_register_policies": {"kuma_register_resource_types"},
        "kuma_register_servers": {"kuma_register_config"},
    }.get(hook, set())
    assert implemented == {hook} | beside
    make_catalog([kuma_store_memory, module])


@pytest.fixture(scope="module")
def clock() -> ModuleType:
    return example("kuma_register_components")


@pytest.fixture(scope="module")
def running(clock: ModuleType) -> Any:
    """A control plane with every example at once."""
    EXAMPLES.update({hook: example(hook) for hook in HOOKS if hook != "kuma_register_components"})
    others = EXAMPLES.values()
    settings = {
        "KUMA_STORE_TYPE": "drawer",
        "KUMA_ACME_SHELVES": "7",
        "KUMA_STATUS_PORT": str(free_port()),
    }
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
    section, _, _ = SECTIONS[HOOKS["kuma_register_commands"]].partition("**Phase 2**")
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
    from kuma_core.sdk import Proof, Proxy, Unauthenticated

    (tmp_path / "default").write_text("sesame")
    shared = example("kuma_register_authenticators").SharedWord(tmp_path)
    claim = shared.recognise("sesame")
    assert claim.proof == Proof("word of default")
    claim.allows(Proxy("default", "web-1"), tuple)
    with pytest.raises(Unauthenticated, match="not the word of the mesh shop"):
        claim.allows(Proxy("shop", "web-1"), tuple)
    for word in ("x", ""):
        with pytest.raises(Unauthenticated, match="the word of no mesh"):
            shared.recognise(word)


def test_the_example_of_admit(running: RunningPlatform) -> None:
    running.apply(mesh("barn"), dataplane("a", inbound("10.0.0.1:80:80", "web"), mesh="barn"))
    refused = running.delete("/meshes/barn")
    assert refused.status == 400
    assert "still some dataplanes attached" in refused.body["causes"][0]["message"]
    assert running.delete("/meshes/barn/dataplanes/a").status == 200
    assert running.delete("/meshes/barn").status == 200


def test_the_example_of_secrets(running: RunningPlatform) -> None:
    kind = running.platform.core.secrets.kind_of("default", "acme-banned-shelves")
    assert kind is not None
    assert kind.unite is not None
    assert kind.unite(b"a", b"b") == b"ab"
    assert running.platform.core.secrets.kind_of("shop", "acme-banned-shelves") is None


def test_the_example_of_open(running: RunningPlatform) -> None:
    own_id = running.platform.instance_id

    def entries() -> float:
        return sample(running, "acme_entries", {"id": own_id})

    before = entries()
    running.apply(mesh("meadow"))
    eventually(lambda: entries() > before)


def test_the_example_of_prepare(running: RunningPlatform) -> None:
    assert running.platform.core.secrets.get("default", "acme-seal").value == b"a new seal"


def test_the_example_of_change_listeners(running: RunningPlatform) -> None:
    seen = EXAMPLES["kuma_register_change_listeners"].SEEN
    assert seen[0].key is None
    running.apply(dataplane("seen", inbound("10.0.0.9:80:80", "seen")))
    eventually(lambda: ("Dataplane", "seen") in [(c.key.type, c.key.name) for c in seen if c.key])
    assert {change.key.type for change in seen if change.key} == {"Dataplane"}


def test_the_example_of_metrics(running: RunningPlatform) -> None:
    count = len(running.get("/meshes").body["items"])
    eventually(lambda: sample(running, "acme_meshes", {}) == count)
    EXAMPLES["kuma_register_metrics"].called("sign", 0.02)
    assert sample(running, "acme_call_seconds_count", {"verb": "sign"}) == 1
    assert sample(running, "acme_call_seconds_bucket", {"verb": "sign", "le": "0.01"}) == 0
    assert sample(running, "acme_call_seconds_bucket", {"verb": "sign", "le": "0.1"}) == 1


def test_the_example_of_servers(running: RunningPlatform) -> None:
    port = running.platform.config.number("status.port")
    assert running.request("GET", "/", port=port).body == "nothing is broken\n"


def test_the_example_of_bootstrap(running: RunningPlatform) -> None:
    running.apply(dataplane("boots", inbound("10.0.0.8:80:80", "boots")))
    asked = {"mesh": "default", "name": "boots"}
    answer = running.request("POST", "/bootstrap", asked, running.bootstrap)
    assert yaml.safe_load(answer.body)["statsConfig"] == {
        "statsTags": [{"tagName": "acme.site", "fixedValue": "site-7"}]
    }


def sample(running: RunningPlatform, name: str, labels: dict[str, str]) -> float:
    """A number of ``/metrics``."""
    text = running.request("GET", "/metrics", port=running.diagnostics).body
    found = [
        item.value
        for family in text_string_to_metric_families(text)
        for item in family.samples
        if item.name == name and item.labels == labels
    ]
    assert len(found) == 1, (name, found)
    return float(found[0])


def test_the_example_of_components(running: RunningPlatform, clock: ModuleType) -> None:
    eventually(lambda: clock.Clock.ticks > 1, what="a clock that ticks")
