"""``kumactl apply --dry-run`` and ``kumactl delete --dry-run``."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from .conftest import Call, FakeServer

HELLO = "type: Greeting\nmesh: default\nname: hello\nwords: [a]\n"
PATH = "/meshes/default/greetings/hello"
DIFF = "--- before\n+++ after\n@@ -1 +1 @@\n-1\n+2"
CHANGE = {"type": "lds", "name": "outbound:127.0.0.1:1", "op": "change", "diff": DIFF}
CHANGED = {"mesh": "default", "name": "web-1", "changes": [CHANGE]}
TROUBLED = {"mesh": "default", "name": "web-2", "changes": [], "problem": "policy X: boom"}
SHOWN = """\
  web-1 in mesh default
    change lds outbound:127.0.0.1:1
      --- before
      +++ after
      @@ -1 +1 @@
      -1
      +2
"""


def will_answer(
    server: FakeServer, method: str, path: str, *proxies: Any, warnings: Any = ()
) -> dict[str, Any]:
    answer = {"proxies": list(proxies), "warnings": list(warnings)}
    server.reply(method, path, 200, json.dumps(answer))
    return answer


def test_apply_prints_a_line_for_the_document_then_each_change(connected: Call, server: FakeServer) -> None:
    will_answer(server, "PUT", PATH, CHANGED)
    result = connected("apply", "--dry-run=xds", stdin=HELLO)
    assert (result.code, result.err) == (0, "")
    assert result.out == f'would apply Greeting "hello": 1 proxy changes\n{SHOWN}'
    assert server.written() == [("PUT", f"{PATH}?dry-run=xds")]
    assert json.loads(server.requests[-1][3])["words"] == ["a"]


@pytest.mark.parametrize(
    ("proxies", "said"),
    [
        ([], "no proxies change"),
        ([CHANGED, CHANGED], "2 proxies change"),
        ([TROUBLED], "no proxies change, 1 could not be configured"),
        ([CHANGED, TROUBLED], "1 proxy changes, 1 could not be configured"),
    ],
)
def test_proxies_are_counted(connected: Call, server: FakeServer, proxies: list[Any], said: str) -> None:
    will_answer(server, "PUT", PATH, *proxies)
    lines = connected("apply", "--dry-run=xds", stdin=HELLO).out.splitlines()
    assert lines[0] == f'would apply Greeting "hello": {said}'
    assert ("    problem: policy X: boom" in lines) is (TROUBLED in proxies)


def test_each_document_is_asked_by_itself_and_a_refusal_stops_none(
    connected: Call, server: FakeServer
) -> None:
    causes = [{"field": "mesh", "message": "mesh of name m is not found"}]
    error = {"title": "Could not create a resource", "details": "Mesh is not found", "causes": causes}
    will_answer(server, "PUT", "/meshes/m")
    server.error("PUT", "/meshes/m/greetings/hello", 400, error)
    will_answer(server, "PUT", PATH, CHANGED, warnings=["unknown field \x1bx"])
    text = f"type: Mesh\nname: m\n---\n{HELLO.replace('default', 'm')}---\n{HELLO}"
    result = connected("apply", "--dry-run=xds", stdin=text)
    assert result.code == 1
    assert result.out == (
        f'would apply Mesh "m": no proxies change\nwould apply Greeting "hello": 1 proxy changes\n{SHOWN}'
    )
    assert result.err == (
        'failed Greeting "hello": Could not create a resource (Mesh is not found)\n'
        "* mesh: mesh of name m is not found\n"
        "Warning: unknown field \N{REPLACEMENT CHARACTER}x\n"
        "Error: 1 of 3 resources could not be tried\n"
    )


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents_are_the_answers(connected: Call, server: FakeServer, form: str, read: Any) -> None:
    first = will_answer(server, "PUT", "/meshes/m")
    second = will_answer(server, "PUT", PATH, CHANGED, TROUBLED)
    result = connected("apply", "--dry-run=xds", "-o", form, stdin=f"type: Mesh\nname: m\n---\n{HELLO}")
    assert (result.code, read(result.out)) == (
        0,
        {
            "answers": [
                {"resource": {"type": "Mesh", "name": "m"}, **first},
                {"resource": {"type": "Greeting", "mesh": "default", "name": "hello"}, **second},
            ]
        },
    )
    refused = connected("apply", stdin=result.out)
    assert "Type field cannot be empty" in refused.err, "a mistake must not write what was only tried"


def test_quiet_prints_nothing_for_what_went_well(connected: Call, server: FakeServer) -> None:
    will_answer(server, "PUT", PATH, CHANGED)
    for form in ("table", "json"):
        assert connected("apply", "--dry-run=xds", "-q", "-o", form, stdin=HELLO).out == ""


def test_delete(connected: Call, server: FakeServer) -> None:
    answer = will_answer(server, "DELETE", PATH, CHANGED)
    result = connected("delete", "--dry-run=xds", "greeting", "hello")
    assert (result.code, result.err) == (0, "")
    assert result.out == f'would delete Greeting "hello": 1 proxy changes\n{SHOWN}'
    printed = json.loads(connected("delete", "greeting", "hello", "--dry-run=xds", "-o", "json").out)
    resource = {"type": "Greeting", "mesh": "default", "name": "hello"}
    assert printed == {"answers": [{"resource": resource, **answer}]}
    assert set(server.written()) == {("DELETE", f"{PATH}?dry-run=xds")}


def test_delete_of_what_is_not_there(connected: Call, server: FakeServer) -> None:
    for flag in ("--dry-run", "--dry-run=xds"):
        result = connected("delete", flag, "greeting", "hello")
        assert (result.code, result.out) == (1, "")
        assert result.err == 'Error: there is no Greeting with name "hello" in mesh "default"\n'
    assert set(server.written()) <= {("DELETE", f"{PATH}?dry-run=xds")}


def test_a_bare_dry_run_of_delete_looks_only(connected: Call, server: FakeServer) -> None:
    server.items[PATH] = {"type": "Greeting", "mesh": "default", "name": "hello"}
    for flag in ("--dry-run", "--dry-run=true"):
        assert connected("delete", flag, "greeting", "hello").out == 'would delete Greeting "hello"\n'
    assert server.written() == []
    assert connected("delete", "--dry-run=false", "greeting", "hello").out == 'deleted Greeting "hello"\n'


@pytest.mark.parametrize("argv", [("apply",), ("delete", "greeting", "hello")])
def test_the_value_stands_behind_an_equals_sign(
    connected: Call, server: FakeServer, argv: tuple[str, ...]
) -> None:
    server.items[PATH] = {"type": "Greeting", "mesh": "default", "name": "hello"}
    for value in ("other", "XDS", ""):
        result = connected(*argv, f"--dry-run={value}", stdin=HELLO)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(
            f'Error: invalid value "{value}" for --dry-run: use --dry-run to check only, '
            "or --dry-run=xds to see which proxies would change\nUsage: "
        )
    assert connected(*argv, "--dry-run", "xds", stdin=HELLO).code == 1
    assert connected(*argv, "--dry-run", stdin=HELLO).out.endswith('Greeting "hello"\n')
    assert server.written() == []


@pytest.mark.parametrize("argv", [("apply",), ("apply", "--dry-run"), ("delete", "greeting", "hello")])
def test_an_output_format_without_an_answer(
    connected: Call, server: FakeServer, argv: tuple[str, ...]
) -> None:
    result = connected(*argv, "-o", "json", stdin=HELLO)
    assert (result.code, result.out, server.requests) == (1, "", [])
    assert result.err.startswith("Error: -o json is for --dry-run=xds only: ")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"proxies": [1], "warnings": []}', '{"proxies": []}'])
def test_an_answer_of_another_shape_ends_the_run(connected: Call, server: FakeServer, body: str) -> None:
    server.reply("PUT", PATH, 200, body)
    result = connected("apply", "--dry-run=xds", stdin=f"{HELLO}---\ntype: Mesh\nname: m\n")
    assert (result.code, result.out) == (1, "")
    assert 'failed Greeting "hello": ' in result.err
    assert result.err.endswith("Error: 2 of 2 resources could not be tried\n")
    assert len(server.written()) == 1


def test_an_answer_that_does_not_tell_all_says_so(connected: Call, server: FakeServer) -> None:
    brief = {**CHANGED, "changes": [{"type": "lds", "name": "l", "op": "change"}]}
    told = {"dataplanes": 30, "of": 5000, "detailed": 1}
    answer = {"proxies": [CHANGED, brief], "warnings": [], "examined": told}
    server.reply("PUT", PATH, 200, json.dumps(answer))
    lines = connected("apply", "--dry-run=xds", stdin=HELLO).out.splitlines()
    assert lines[0] == 'would apply Greeting "hello": 2 proxies change'
    assert lines[-3:] == [
        "    change lds l",
        "  what differs is shown for the first 1 proxies",
        "  only 30 of 5000 dataplanes were examined before the time was over; what changes for the others is not known",
    ]
    short = {**answer, "examined": {"dataplanes": 2, "of": 2, "detailed": 2}}
    server.reply("PUT", PATH, 200, json.dumps(short))
    out = connected("apply", "--dry-run=xds", "-o", "json", stdin=HELLO).out
    assert json.loads(out)["answers"][0]["examined"] == short["examined"]
