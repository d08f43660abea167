"""``kumactl get``, ``delete`` and ``inspect``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuma_core.documents import load_documents
from kuma_core.kumactl.inspect_commands import HEADER, row
from kuma_core.kumactl.output import dump_json, dump_yaml
from kuma_core.kumactl.table import layout
from kuma_core.kumactl.template import render

from .conftest import Call, FakeServer, configure

NOW = datetime(2020, 1, 15, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def filled(server: FakeServer) -> FakeServer:
    server.items["/meshes/default"] = {"type": "Mesh", "name": "default"}
    server.items["/meshes/payments"] = {
        "type": "Mesh",
        "name": "payments",
        "mtls": {"enabled": True, "ca": {"provided": None}},
    }
    inbound = [
        {"tags": {"service": s, "env": e}} for s, e in (("checkout-admin", "qa"), ("checkout", "prod"))
    ]
    server.items["/meshes/default/dataplanes/checkout-1"] = {
        "type": "Dataplane",
        "mesh": "default",
        "name": "checkout-1",
        "networking": {"inbound": inbound},
    }
    server.items["/meshes/other/dataplanes/gw"] = {
        "type": "Dataplane",
        "mesh": "other",
        "name": "gw",
        "networking": {"gateway": {"tags": {"service": "gw"}}},
    }
    server.items["/meshes/default/greetings/g"] = {"mesh": "default", "name": "g", "words": ["a", "b"]}
    return server


@pytest.mark.usefixtures("filled")
def test_meshes(connected: Call) -> None:
    result = connected("get", "meshes")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "NAME       mTLS   CA\n"  #
        "default    off    builtin\n"
        "payments   on     provided\n"
    )


@pytest.mark.usefixtures("filled")
def test_dataplanes(connected: Call) -> None:
    assert connected("get", "dataplanes").out == (
        "MESH      NAME         TAGS\ndefault   checkout-1   env=prod,qa service=checkout,checkout-admin\n"
    )


@pytest.mark.usefixtures("filled")
def test_the_header_is_printed_without_rows(connected: Call) -> None:
    assert connected("get", "healthchecks").out == "MESH   NAME\n"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("argv", [("get", "dataplanes"), ("get", "healthchecks"), ("inspect", "dataplanes")])
@pytest.mark.parametrize("output", ["table", "yaml", "json"])
def test_nothing_is_listed_of_a_mesh_that_is_not_there(
    connected: Call, server: FakeServer, argv: tuple[str, ...], output: str
) -> None:
    result = connected(*argv, "--mesh", "nope", "-o", output)
    assert (result.code, result.out) == (1, "")
    assert result.err == 'Error: there is no Mesh with name "nope"; `kumactl get meshes` lists them\n'
    server.reply("GET", "/meshes/nope", 500, "boom")
    assert connected(*argv, "--mesh", "nope").err == "Error: failed to look for the mesh: (500): boom\n"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "argv",
    [
        ("--mesh", "other", "get", "dataplanes"),
        ("get", "--mesh", "other", "dataplanes"),
        ("get", "dataplanes", "--mesh=other"),
        ("--mesh", "default", "get", "dataplanes", "--mesh=other"),
    ],
)
def test_1_global_flags_may_stand_anywhere(connected: Call, argv: tuple[str, ...]) -> None:
    assert connected(*argv).out == "MESH    NAME   TAGS\nother   gw     service=gw\n"


def test_the_mesh_of_the_context_holds_when_none_is_given(
    kumactl: Call, home: Path, filled: FakeServer
) -> None:
    configure(home, filled.url, "  defaults: {mesh: other}\n")
    assert "gw" in kumactl("get", "dataplanes").out
    assert "checkout-1" in kumactl("get", "dataplanes", "--mesh", "default").out


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("word", ["dataplanes", "dataplane", "Dataplane", "DATAPLANES", "dp", "data-planes"])
def test_a_kind_has_many_names(connected: Call, word: str) -> None:
    assert "checkout-1" in connected("get", word).out


@pytest.mark.parametrize(
    ("one", "two"), [("traffic-permissions", "trafficpermissions"), ("health-checks", "healthchecks")]
)
def test_double_spellings(connected: Call, server: FakeServer, one: str, two: str) -> None:
    server.items[f"/meshes/default/{one}/a"] = {"mesh": "default", "name": "a"}
    assert (connected("get", one).code, connected("get", two).code) == (0, 0)
    asked = [path for _, path, _, _ in server.requests if path != "/kinds"]
    assert asked == [f"/meshes/default/{one}"] * 2


@pytest.mark.usefixtures("filled")
def test_a_kind_of_somebody_elses_plugin(connected: Call) -> None:
    assert connected("get", "hi").out == 'MESH      NAME   WORDS\ndefault   g      ["a", "b"]\n'
    assert connected("delete", "greeting", "g").out == 'deleted Greeting "g"\n'


@pytest.mark.parametrize("argv", [("get", "nonsense"), ("get", "nonsense", "x")])
def test_an_unknown_type_lists_what_there_is(connected: Call, argv: tuple[str, ...]) -> None:
    result = connected(*argv)
    assert result.code == 1
    assert result.err == (
        "Error: unknown TYPE: nonsense. Allowed values: meshes, dataplanes, health-checks, "
        "traffic-permissions, dataplane-insights, greetings\n"
    )


@pytest.mark.usefixtures("filled")
def test_one_by_name(connected: Call) -> None:
    assert connected("get", "mesh", "payments").out == "NAME       mTLS   CA\npayments   on     provided\n"
    value = json.loads(connected("get", "dataplane", "checkout-1", "-o", "json").out)
    assert value["name"] == "checkout-1"


def test_one_that_is_not_there(connected: Call) -> None:
    assert connected("get", "dp", "x").err == 'Error: there is no Dataplane with name "x" in mesh "default"\n'
    assert connected("get", "mesh", "x").err == 'Error: there is no Mesh with name "x"\n'


@pytest.mark.usefixtures("filled")
def test_yaml_and_json(connected: Call) -> None:
    out = connected("get", "meshes", "-o", "yaml").out
    assert out == (
        "items:\n- name: default\n  type: Mesh\n- mtls:\n    ca:\n      provided: null\n    enabled: true\n"
        "  name: payments\n  type: Mesh\n"
    )
    text = connected("get", "meshes", "--output=json").out
    assert text.startswith('{\n  "items": [\n    {\n      "name": "default",\n')
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    assert json.loads(text) == yaml.safe_load(out)


def test_an_unknown_output_format(connected: Call) -> None:
    """Where resources are printed, plugins add formats."""
    result = connected("analyze", "-o", "xml")
    assert (result.code, result.err) == (1, 'Error: unknown output format "xml"; use table, yaml or json\n')
    result = connected("get", "meshes", "-o", "xml")
    assert (result.code, result.err) == (
        1,
        'Error: unknown output format "xml"; use table, yaml, json or kubernetes\n',
    )


NUMERIC = ["1", "1.0", "1e3", "0x1f", "0755", "1_0", ".5", "+1", "1:30", "2020-01-01"]
WORDS = ["true", "on", "no", "null", "~", "", "=", "<<", "- a", "a: b", "#x", "a\nb", "ü", " a ", "\x1b"]


@pytest.mark.parametrize("text", NUMERIC + WORDS)
def test_yaml_keeps_text_text(text: str) -> None:
    dumped = dump_yaml({"v": [text]})
    assert load_documents(dumped, "x") == [{"v": [text]}]
    assert yaml.safe_load(dumped) == {"v": [text]}


@pytest.mark.parametrize("text", ["1.0", "1e3", "0x1f", "2020-01-01", "on"])
def test_what_looks_like_a_number_is_quoted(text: str) -> None:
    assert dump_yaml({"b": 1, "a": text}) == f'a: "{text}"\nb: 1\n'


def test_plain_text_and_addresses_are_not_quoted() -> None:
    assert (
        dump_yaml(["10.0.0.1", "127.0.0.1:1:2", "10s", "a b"])
        == "- 10.0.0.1\n- 127.0.0.1:1:2\n- 10s\n- a b\n"
    )


@pytest.mark.parametrize("text", ["{{", "{{name}}", "a {{{b}}}", "{{{{", "\\{{", "{{\n{{=", "{ {"])
@pytest.mark.parametrize("dumped", [dump_yaml, dump_json])
def test_what_is_printed_is_no_template(text: str, dumped: Callable[[Any], str]) -> None:
    value = {"a": {text: [text, {}, {"b": text}]}}
    printed = dumped(value)
    assert render(printed, {}, "stdin", strict=True) == printed
    assert load_documents(printed, "stdin") == [value]


def test_failures_of_a_list(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/meshes", 500, "boom")
    assert connected("get", "meshes").err == "Error: failed to list Mesh resources: (500): boom\n"
    server.error("GET", "/meshes", 500, {"title": "Could not retrieve resources", "details": "Internal"})
    assert connected("get", "meshes").err == "Error: Could not retrieve resources (Internal)\n"


@pytest.mark.parametrize("body", ["{}", '{"items": 3}', '{"items": [3]}', '{"items": null}'])
def test_a_list_of_a_wrong_shape(connected: Call, server: FakeServer, body: str) -> None:
    server.reply("GET", "/meshes", 200, body)
    result = connected("get", "meshes")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "did not answer with a list of items" in result.err


def test_1_get_alone_prints_its_help(kumactl: Call) -> None:
    result = kumactl("get")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: kumactl get")


@pytest.mark.usefixtures("filled")
def test_delete(connected: Call, server: FakeServer) -> None:
    result = connected("delete", "dataplane", "gw", "--mesh", "other")
    assert (result.code, result.out, result.err) == (0, 'deleted Dataplane "gw"\n', "")
    assert connected("delete", "mesh", "payments").out == 'deleted Mesh "payments"\n'
    assert server.written() == [("DELETE", "/meshes/other/dataplanes/gw"), ("DELETE", "/meshes/payments")]


def test_delete_what_is_not_there(connected: Call) -> None:
    result = connected("delete", "traffic-permission", "x")
    assert (result.code, result.out) == (1, "")
    assert result.err == 'Error: there is no TrafficPermission with name "x" in mesh "default"\n'


@pytest.mark.parametrize("words", [(), ("mesh",), ("mesh", "a", "b")])
def test_delete_wants_two_arguments(connected: Call, server: FakeServer, words: tuple[str, ...]) -> None:
    result = connected("delete", *words)
    assert result.code == 1
    assert result.err.startswith(f"Error: accepts 2 arg(s), received {len(words)}\nUsage: kumactl delete")
    assert server.requests == []


def test_delete_of_an_unknown_type(connected: Call) -> None:
    assert connected("delete", "x", "y").err == (
        "Error: unknown TYPE: x. Allowed values: mesh, dataplane, healthcheck, traffic-permission, "
        "dataplane-insight, greeting\n"
    )


def test_other_failures_of_delete(connected: Call, server: FakeServer) -> None:
    server.reply("DELETE", "/meshes/a", 405, "405: Method Not Allowed")
    assert connected("delete", "mesh", "a").err == (
        'Error: failed to delete Mesh with the name "a": (405): 405: Method Not Allowed\n'
    )


def test_a_read_only_kind_is_not_deleted(connected: Call, server: FakeServer) -> None:
    result = connected("delete", "dataplane-insight", "a")
    assert (result.code, server.written()) == (1, [])
    assert "DataplaneInsight is read-only" in result.err


def overview(name: str, tags: dict[str, str], *subscriptions: dict[str, Any]) -> dict[str, Any]:
    value = {"type": "DataplaneOverview", "mesh": "default", "name": name}
    insight = {"dataplaneInsight": {"subscriptions": list(subscriptions)}} if subscriptions else {}
    return {**value, "dataplane": {"networking": {"inbound": [{"tags": tags}]}}, **insight}


def test_the_table_of_the_specification() -> None:
    open_one = {
        "connectTime": "2020-01-15T10:57:57.123456789Z",
        "status": {"lastUpdateTime": "2020-01-15T11:59:45.9Z", "total": {"responsesSent": "27"}},
    }
    old = {
        "connectTime": "2020-01-14T09:59:51Z",
        "disconnectTime": "2020-01-14T10:30:00Z",
        "status": {
            "lastUpdateTime": "2020-01-14T10:00:10Z",
            "total": {"responsesSent": "5", "responsesRejected": 2},
        },
    }
    older = {
        "connectTime": "2020-01-13T09:59:51Z",
        "disconnectTime": "2020-01-14T09:30:00Z",
        "status": {"lastUpdateTime": "2020-01-14T11:59:59Z", "total": {"responsesSent": "3"}},
    }
    items = [
        overview("checkout-1", {"service": "checkout", "env": "prod"}, open_one),
        overview("ledger-eu-1", {"service": "ledger", "version": "3", "region": "eu"}, old, older),
        overview("batch-1", {"service": "batch"}),
    ]
    assert layout(HEADER, [row(item, NOW) for item in items]).splitlines() == [
        "MESH      NAME          TAGS                                 STATUS    LAST CONNECTED AGO   "
        "LAST UPDATED AGO   TOTAL UPDATES   TOTAL ERRORS",
        "default   checkout-1    env=prod service=checkout            Online    1h2m2s               "
        "14s                27              0",
        "default   ledger-eu-1   region=eu service=ledger version=3   Offline   26h0m9s              "
        "25h59m50s          8               2",
        "default   batch-1       service=batch                        Offline   never                "
        "never              0               0",
    ]


@pytest.mark.parametrize("insight", [None, 3, {"subscriptions": 3}, {"subscriptions": [3, {"status": 4}]}])
def test_a_wrong_shape_counts_as_absent(insight: Any) -> None:
    cells = row({"mesh": "m", "name": "n", "dataplaneInsight": insight}, NOW)
    assert cells == ["m", "n", "", "Offline", "never", "never", "0", "0"]


def test_tags_are_sent_as_key_colon_value(connected: Call, server: FakeServer) -> None:
    server.overviews = [overview("a", {"service": "x"})]
    result = connected(
        "inspect", "dataplanes", "--tag", "service=a.b:80,version=*", "--tag=env=prod", "-o", "json"
    )
    value = json.loads(result.out)
    assert value["asked"] == [["tag", "service:a.b:80"], ["tag", "version:*"], ["tag", "env:prod"]]
    assert value["items"] == server.overviews
    table = connected("inspect", "dataplanes", "--mesh", "m").out
    assert table.splitlines()[1].split() == [
        "default",
        "a",
        "service=x",
        "Offline",
        "never",
        "never",
        "0",
        "0",
    ]
    assert server.requests[-1][1] == "/meshes/m/dataplanes+insights"


def test_1_a_group_alone_prints_its_help(kumactl: Call) -> None:
    result = kumactl("inspect")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: kumactl inspect")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("inspect", "meshes"), ""),
        (("generate", "dataplane-tokens"), "dataplane-token"),
        (("revoke", "dataplane-tokens", "--id=a"), "dataplane-token"),
        (("config", "control-planes", "lst"), "list"),
        (("manage", "ca", "builtn"), "builtin"),
        (("manage", "ca", "builtin", "rotat"), "rotate"),
        (("manage", "ca", "provided", "certificates", "ad"), "add"),
        (("install", "database-shema"), "database-schema"),
        (("completion", "bsh"), "bash"),
    ],
)
def test_a_mistyped_sub_command_is_an_error_and_prints_nothing(
    kumactl: Call, words: tuple[str, ...], meant: str
) -> None:
    result = kumactl(*words)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith('Error: unknown command "')
    assert (f"\n\nDid you mean this?\n\t{meant}\n" if meant else "Run 'kumactl inspect --help'") in result.err
