"""kumactl and a real control plane: what one says the other understands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import kuma_policy_traffic
import kuma_store_memory
from kuma_core import __version__
from kuma_core.sdk import CellFormat, Column, ResourceType, Scope, Spec, hookimpl
from kuma_core.testing.platform import RunningPlatform, running_platform

from .conftest import Call, configure


class GreetingSpec(Spec):
    """Words for somebody."""

    words: list[str] = []
    loud: bool = False


class HolidaySpec(Spec):
    """A day of rest, in every mesh."""

    day: str = ""


def greeter() -> types.ModuleType:
    """Somebody's plugin with two kinds."""
    module = types.ModuleType("greeter")
    columns = (Column("WORDS", "words.*"), Column("LOUD", "loud", CellFormat.ON_OFF))
    kinds = [
        ResourceType("Greeting", "greetings", GreetingSpec, "greeting", ("hi",), columns=columns),
        ResourceType("Holiday", "holidays", HolidaySpec, "holiday", scope=Scope.GLOBAL),
    ]
    module.kuma_register_resource_types = hookimpl(  # type: ignore[attr-defined]
        lambda: kinds, specname="kuma_register_resource_types"
    )
    return module


MESH = "type: Mesh\nname: payments\nmtls: {enabled: false, ca: {builtin: {}}}\n"
DATAPLANE = """\
type: Dataplane
mesh: payments
name: checkout-1
networking:
  inbound:
  - {interface: 127.0.0.1:10000:9000, tags: {service: checkout, version: "1.0"}}
  outbound:
  - {interface: ":20000", service: ledger}
"""
SELECTORS = "sources: [{match: {service: web}}]\ndestinations: [{match: {service: ledger}}]\n"
POLICIES = [
    f"type: TrafficPermission\nmesh: payments\nname: web-to-ledger\n{SELECTORS}",
    "type: TrafficRoute\nmesh: payments\nname: split\n"
    "sources: [{match: {service: web}}]\ndestinations: [{match: {service: ledger}}]\n"
    "conf: [{weight: 90, destination: {service: ledger, version: '1'}},"
    " {weight: 10, destination: {service: ledger, version: '2'}}]\n",
    f"type: TrafficLog\nmesh: payments\nname: all\n{SELECTORS}",
    f"type: HealthCheck\nmesh: payments\nname: ledger\n{SELECTORS}"
    "conf: {activeChecks: {interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 1}}\n",
    "type: ProxyTemplate\nmesh: payments\nname: plain\nselectors: [{match: {service: web}}]\n"
    "conf: {imports: [default-proxy]}\n",
]
OTHERS = [
    "type: Greeting\nmesh: payments\nname: hello\nwords: ['yes', '1.0', 'two\\n  lines\\n', '2020-01-01']\n",
    "type: Holiday\nname: sunday\nday: '0755'\n",
]
ALL = "---\n".join([MESH, DATAPLANE, *POLICIES, *OTHERS])


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    plugins = [kuma_store_memory, kuma_policy_traffic, greeter()]
    with running_platform(plugins, {"KUMA_API_SERVER_MAX_BODY_BYTES": "20000"}) as platform:
        yield platform


@pytest.fixture
def at(kumactl: Call, home: Path, cp: RunningPlatform) -> Iterator[Call]:
    """kumactl with a configuration that names the control plane, which is empty again afterwards."""
    configure(home, cp.api_url)
    yield kumactl
    for mesh in cp.get("/meshes").body["items"]:
        if mesh["name"] != "default":
            cp.delete(f"/meshes/{mesh['name']}")
    cp.delete("/holidays/sunday")
    cp.delete("/meshes/default/dataplanes/dp")


def test_add_asks_whether_it_is_a_control_plane(kumactl: Call, cp: RunningPlatform) -> None:
    added = kumactl("config", "control-planes", "add", "--name", "real", "--address", cp.api_url)
    assert (added.code, added.err) == (0, "")
    assert f"*        real    {cp.api_url}" in kumactl("config", "control-planes", "list").out
    assert kumactl("version", "--server").out.endswith(f"Server:     {__version__} ({cp.api_url})\n")
    wrong = f"http://127.0.0.1:{cp.diagnostics}"
    refused = kumactl("config", "control-planes", "add", "--name", "wrong", "--address", wrong)
    assert (refused.code, "Control Plane API Server is not responding" in refused.err) == (1, True)


def test_several_documents_of_every_kind(at: Call) -> None:
    result = at("apply", "-f", "-", stdin=ALL)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        'created Mesh "payments"',
        'created Dataplane "checkout-1"',
        'created TrafficPermission "web-to-ledger"',
        'created TrafficRoute "split"',
        'created TrafficLog "all"',
        'created HealthCheck "ledger"',
        'created ProxyTemplate "plain"',
        'created Greeting "hello"',
        'created Holiday "sunday"',
    ]
    again = at("apply", "-f", "-", stdin=ALL)
    assert {line.split()[0] for line in again.out.splitlines()} == {"unchanged"}
    changed = at("apply", stdin=OTHERS[1].replace("0755", "0756"))
    assert changed.out == 'updated Holiday "sunday"\n'


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_get_prints_apply_takes_for_every_kind(at: Call, cp: RunningPlatform, form: str) -> None:
    assert at("apply", stdin=ALL).code == 0
    insight = "type: DataplaneInsight\nmesh: payments\nname: checkout-1\nsubscriptions: [{id: a}]\n"
    assert at("apply", stdin=insight).code == 0
    kinds = [k for k in cp.get("/kinds").body["kinds"] if not k["readOnly"]]
    assert len(kinds) == 10
    for kind in kinds:
        listed = at("get", kind["path"], "--mesh", "payments", "-o", form).out
        names = [item["name"] for item in yaml.safe_load(listed)["items"]]
        assert names, kind["name"]
        printed = "".join(f'unchanged {kind["name"]} "{name}"\n' for name in names)
        assert at("apply", "-f", "-", stdin=listed).out == printed
        one = at("get", kind["singular"], names[-1], "--mesh", "payments", "-o", form).out
        assert at("apply", stdin=one).out == f'unchanged {kind["name"]} "{names[-1]}"\n'


def test_tables_and_documents(at: Call) -> None:
    at("apply", stdin=ALL)
    assert at("get", "dataplanes", "--mesh", "payments").out == (
        "MESH       NAME         TAGS\npayments   checkout-1   service=checkout version=1.0\n"
    )
    meshes = at("get", "meshes").out.splitlines()
    assert meshes[0].split()[:2] == ["NAME", "mTLS"]
    assert [line.split()[:2] for line in meshes[1:]] == [["default", "off"], ["payments", "off"]]
    for word in ("healthchecks", "health-checks", "HealthCheck", "healthcheck"):
        assert at("get", word, "--mesh=payments").out == "MESH       NAME\npayments   ledger\n"
    value = json.loads(at("get", "dataplane", "checkout-1", "--mesh=payments", "-o", "json").out)
    assert (value["type"], value["mesh"], value["name"]) == ("Dataplane", "payments", "checkout-1")
    assert yaml.safe_load(at("get", "dataplane", "checkout-1", "--mesh=payments", "-o", "yaml").out) == value


def test_a_kind_of_somebodys_plugin_is_like_any_other(at: Call) -> None:
    text = "---\n".join(
        [MESH, "type: greeting\nmesh: payments\nname: hello\nwords: [a, b]\nloud: true\nsound: x\n"]
    )
    applied = at("apply", stdin=text)
    assert applied.out.endswith('created Greeting "hello"\n')
    assert applied.err == 'Warning: unknown field "sound" is ignored\n'
    assert at("get", "hi", "--mesh", "payments").out == (
        "MESH       NAME    WORDS   LOUD\npayments   hello   a,b     on\n"
    )
    at("apply", stdin=OTHERS[1])
    assert at("get", "holidays").out == "NAME\nsunday\n"
    assert at("delete", "holiday", "sunday").out == 'deleted Holiday "sunday"\n'
    assert at("delete", "greeting", "hello", "--mesh", "payments").out == 'deleted Greeting "hello"\n'
    assert at("delete", "hi", "hello", "--mesh", "payments").err == (
        'Error: there is no Greeting with name "hello" in mesh "payments"\n'
    )


def test_unknown_fields_are_told_for_each_document(at: Call) -> None:
    text = MESH + "mtsl: {}\n---\n" + DATAPLANE + "netwroking: {}\n"
    result = at("apply", stdin=text)
    assert result.code == 0
    assert result.err.splitlines() == [
        'Warning: unknown field "mtsl" is ignored',
        'Warning: unknown field "netwroking" is ignored',
    ]


def test_many_warnings_are_not_too_many(at: Call) -> None:
    result = at("apply", stdin=MESH + "".join(f"x{number}: 1\n" for number in range(300)))
    assert (result.code, result.out) == (0, 'created Mesh "payments"\n')
    assert len(result.err.splitlines()) == 20
    assert "more warnings" in result.err.splitlines()[-1]


def test_inspect(at: Call) -> None:
    at("apply", stdin="---\n".join([MESH, DATAPLANE]))
    header, line = at("inspect", "dataplanes", "--mesh", "payments").out.splitlines()
    assert header.startswith("MESH       NAME         TAGS")
    assert line.split() == [
        *("payments", "checkout-1", "service=checkout", "version=1.0"),
        *("Never", "connected", "never", "never", "0", "0"),
    ]
    for tag, count in (("service=checkout", 1), ("service=*,version=1.0", 1), ("service=other", 0)):
        printed = at("inspect", "dataplanes", "--mesh", "payments", "--tag", tag, "-o", "json").out
        assert len(json.loads(printed)["items"]) == count


def test_delete(at: Call) -> None:
    at("apply", stdin=ALL)
    for word, name, kind in (
        ("traffic-route", "split", "TrafficRoute"),
        ("healthcheck", "ledger", "HealthCheck"),
        ("dataplane", "checkout-1", "Dataplane"),
    ):
        assert at("delete", word, name, "--mesh", "payments").out == f'deleted {kind} "{name}"\n'
        gone = at("delete", word, name, "--mesh", "payments")
        assert (gone.code, f'there is no {kind} with name "{name}"' in gone.err) == (1, True)
        assert at("get", word, name, "--mesh", "payments").code == 1
    assert at("delete", "mesh", "payments").out == 'deleted Mesh "payments"\n'
    assert at("get", "traffic-logs").out == "MESH   NAME\n"
    gone = at("get", "traffic-logs", "--mesh", "payments")
    assert (gone.code, gone.out) == (1, "")
    assert gone.err.startswith('Error: there is no Mesh with name "payments"')
    assert "DataplaneOverview is read-only" in at("delete", "dataplane-overview", "x").err


# -- 9: errors


def test_9_a_refusal_has_a_line_for_each_cause(at: Call) -> None:
    text = (
        "type: Dataplane\nmesh: default\nname: dp\nnetworking: {inbound: [{interface: nonsense, tags: {}}]}\n"
    )
    result = at("apply", stdin=text)
    lines = result.err.splitlines()
    assert (result.code, result.out) == (1, "")
    assert lines[0] == 'failed Dataplane "dp": Could not create a resource (Resource is not valid)'
    assert any(line.startswith("* networking.inbound[0].interface: ") for line in lines)
    assert any(line.startswith("* networking.inbound[0].tags") for line in lines)
    assert lines[-1] == "Error: 1 of 1 resources could not be applied"


def test_9_a_type_that_does_not_fit(at: Call) -> None:
    text = DATAPLANE.replace("payments", "default").replace('"1.0"', "1.0")
    result = at("apply", stdin=text)
    assert result.code == 1
    assert "networking.inbound[0].tags" in result.err


def test_9_a_mesh_that_is_not_there(at: Call) -> None:
    result = at("apply", stdin=DATAPLANE)
    assert result.code == 1
    assert "* mesh: " in result.err


def test_9_an_item_that_is_not_there(at: Call) -> None:
    assert (
        at("get", "dataplane", "none").err
        == 'Error: there is no Dataplane with name "none" in mesh "default"\n'
    )
    assert at("get", "mesh", "none").err == 'Error: there is no Mesh with name "none"\n'
    assert "unknown TYPE: nothing. Allowed values: " in at("get", "nothing").err


def test_9_names_that_are_none(at: Call) -> None:
    result = at("apply", stdin="type: Mesh\nname: Größe\n")
    assert result.code == 1
    assert "* name: invalid characters" in result.err
    for name in ("a/../b", "..", "/"):
        for argv in (
            ("apply",),
            ("get", "mesh", name),
            ("delete", "mesh", name),
            ("get", "dataplane", "--mesh", name),
        ):
            result = at(*argv, stdin=f"type: Mesh\nname: {name}\n")
            assert (result.code, f'"{name}" cannot be a name: it is part of a path' in result.err) == (
                1,
                True,
            )


def test_9_a_document_that_is_too_large(at: Call) -> None:
    result = at("apply", stdin=f"---\n{MESH}---\ntype: Holiday\nname: sunday\nday: {'x' * 30000}\n")
    assert (result.code, result.out) == (1, 'created Mesh "payments"\n')
    assert "The body has more than 20000 bytes (apiServer.maxBodyBytes)" in result.err


def test_9_a_read_only_api(kumactl: Call, home: Path) -> None:
    with running_platform([kuma_store_memory], {"KUMA_API_SERVER_READ_ONLY": "true"}) as platform:
        configure(home, platform.api_url)
        applied = kumactl("apply", stdin=MESH)
        deleted = kumactl("delete", "mesh", "default")
        assert kumactl("get", "mesh", "default").code == 0
    for result in (applied, deleted):
        assert result.code == 1
        assert "Nothing can be written here: the API is read-only (apiServer.readOnly)" in result.err


def test_the_program_itself(home: Path, cp: RunningPlatform) -> None:
    """As a person uses it: get, a pipe, apply."""
    configure(home, cp.api_url)
    program = f"{sys.executable} -c 'from kuma_core.kumactl.main import main; main()'"
    done = subprocess.run(
        ["sh", "-c", f"{program} get meshes -o yaml | {program} apply -f -"],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, 'unchanged Mesh "default"\n', "")


def test_every_line_of_help_names_what_the_server_has(at: Call, cp: RunningPlatform) -> None:
    allowed = at("delete", "nothing", "x").err.partition("Allowed values: ")[2].strip().split(", ")
    kinds: list[dict[str, Any]] = cp.get("/kinds").body["kinds"]
    assert allowed == [kind["singular"] for kind in kinds]
