"""``kumactl apply``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kuma_core.kumactl import source

from .conftest import Call, FakeServer

DATAPLANE = """\
type: Dataplane
mesh: default
name: dp-1
networking:
  inbound:
  - interface: 127.0.0.1:10000:9000
    tags:
      service: echo
"""
DP_PATH = "/meshes/default/dataplanes/dp-1"


def test_from_a_file_created_unchanged_updated(connected: Call, server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "dp.yaml"
    file.write_text(DATAPLANE)
    assert connected("apply", "-f", str(file)).out == 'created Dataplane "dp-1"\n'
    assert connected("apply", "--file", str(file)).out == 'unchanged Dataplane "dp-1"\n'
    file.write_text(DATAPLANE.replace("echo", "web"))
    result = connected("apply", f"--file={file}")
    assert (result.code, result.out, result.err) == (0, 'updated Dataplane "dp-1"\n', "")
    assert server.items[DP_PATH]["networking"]["inbound"][0]["tags"] == {"service": "web"}


@pytest.mark.parametrize("argv", [(), ("-f", "-")])
def test_from_standard_input(connected: Call, server: FakeServer, argv: tuple[str, ...]) -> None:
    assert connected("apply", *argv, stdin=DATAPLANE).out == 'created Dataplane "dp-1"\n'
    assert server.written() == [("PUT", DP_PATH)]


def test_json_too(connected: Call, server: FakeServer) -> None:
    value = {"type": "Mesh", "name": "m", "mtls": {"enabled": True}}
    assert connected("apply", stdin=json.dumps(value)).code == 0
    assert server.items["/meshes/m"] == value


def test_from_a_url_through_redirects(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/file", 302, "", Location="/real")
    server.reply("GET", "/real", 200, DATAPLANE)
    assert connected("apply", "-f", server.url + "/file").out == 'created Dataplane "dp-1"\n'


@pytest.mark.parametrize("status", [204, 404, 500])
def test_a_url_that_does_not_answer_200_is_an_error(connected: Call, server: FakeServer, status: int) -> None:
    server.reply("GET", "/file", status)
    result = connected("apply", "-f", server.url + "/file")
    assert (result.code, result.out, server.written()) == (1, "", [])
    assert f"Error: error with GET http request: {server.url}/file: ({status})" in result.err


def test_a_redirect_cannot_lead_to_local_files(connected: Call, server: FakeServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(DATAPLANE)
    server.reply("GET", "/file", 302, "", Location=secret.as_uri())
    result = connected("apply", "-f", server.url + "/file")
    assert (result.code, server.written()) == (1, [])
    assert "error with GET http request" in result.err


def test_a_file_that_is_not_there(connected: Call, tmp_path: Path) -> None:
    path = tmp_path / "no"
    result = connected("apply", "-f", str(path))
    assert (
        result.err
        == f'Error: error while reading provided file: cannot read "{path}": No such file or directory\n'
    )


def mesh_in(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("---\n".join(f"type: Mesh\nname: {name}\n" for name in names))


def test_a_folder_stands_for_all_documents_in_it(connected: Call, server: FakeServer, tmp_path: Path) -> None:
    mesh_in(tmp_path / "b.yaml", "b1", "b2")
    mesh_in(tmp_path / "c.yml", "c")
    (tmp_path / "a.json").write_text('{"type": "Mesh", "name": "a"}')
    mesh_in(tmp_path / "below" / "x.yaml", "x")
    mesh_in(tmp_path / ".hidden" / "x.yaml", "hidden")
    mesh_in(tmp_path / "z.txt", "z")
    (tmp_path / "below" / "back").symlink_to(tmp_path)
    result = connected("apply", "-f", str(tmp_path))
    assert (result.code, result.err) == (0, "")
    assert result.out.split('"')[1::2] == ["a", "b1", "b2", "c", "x"]


def test_several_places_in_the_order_given(connected: Call, server: FakeServer, tmp_path: Path) -> None:
    mesh_in(tmp_path / "f" / "a.yaml", "a")
    mesh_in(tmp_path / "b.yaml", "b")
    result = connected(
        "apply", "-f", str(tmp_path / "b.yaml"), "-f", "-", "-f", str(tmp_path / "f"), stdin=DATAPLANE
    )
    assert result.out.split('"')[1::2] == ["b", "dp-1", "a"]
    twice = connected("apply", "-f", "-", "-f", "-", stdin=DATAPLANE)
    assert twice.err == "Error: standard input (-) can be read only once\n"


def test_folders_are_bounded(
    connected: Call, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("type: Mesh")
    assert (
        f'nothing to apply: "{tmp_path}" holds no file that ends in'
        in connected("apply", "-f", str(tmp_path)).err
    )
    mesh_in(tmp_path / "1" / "2" / "a.yaml", "a")
    monkeypatch.setattr(source, "MAX_LEVELS", 1)
    assert "lies deeper than 1 folders" in connected("apply", "-f", str(tmp_path)).err
    mesh_in(tmp_path / "b.yaml", "b")
    monkeypatch.setattr(source, "MAX_LEVELS", 2)
    monkeypatch.setattr(source, "MAX_FILES", 1)
    assert "holds more than 1 files" in connected("apply", "-f", str(tmp_path)).err
    monkeypatch.setattr("kuma_core.kumactl.apply.MAX_TOTAL", 30)
    mesh_in(tmp_path / "c.yaml", "c")
    several = ("-f", str(tmp_path / "b.yaml"), "-f", str(tmp_path / "c.yaml"))
    assert "all files together are larger than 30" in connected("apply", *several).err
    assert server.written() == []


def test_what_get_prints_can_be_applied(connected: Call, server: FakeServer) -> None:
    server.items["/meshes/default"] = {"type": "Mesh", "name": "default"}
    for name in "ab":
        server.items[f"/meshes/default/greetings/{name}"] = {
            "type": "Greeting",
            "mesh": "default",
            "name": name,
            "words": ["yes", "1.0", "{{x"[:1]],
        }
    for form in ("yaml", "json"):
        printed = connected("get", "greetings", "-o", form).out
        assert connected("apply", stdin=printed).out == 'unchanged Greeting "a"\nunchanged Greeting "b"\n'
    empty = connected("apply", stdin=connected("get", "healthchecks", "-o", "yaml").out)
    assert (empty.code, empty.out, empty.err) == (0, "", "")


def test_a_bad_item_is_named(connected: Call, server: FakeServer) -> None:
    text = "items:\n- {type: Mesh, name: a}\n- {type: Mesh}\n"
    result = connected("apply", stdin=text)
    assert "resource: Name field cannot be empty (items[1] in document 1 of standard input)" in result.err
    assert server.written() == []
    assert "a resource must be a mapping" in connected("apply", stdin="items: [1]").err


def test_input_without_end_is_refused(
    connected: Call, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert source.MAX_SOURCE == 16 * 1024 * 1024
    monkeypatch.setattr(source, "MAX_SOURCE", 100)
    file = tmp_path / "f"
    file.write_text("#" * 101)
    server.reply("GET", "/f", 200, "#" * 101)
    for argv, stdin in ((("-f", str(file)), None), (("-f", server.url + "/f"), None), ((), "#" * 100_000)):
        result = connected("apply", *argv, stdin=stdin)
        assert result.code == 1
        assert "larger than 100 bytes" in result.err


@pytest.mark.parametrize("text", ["", "# nothing\n---\n"])
def test_nothing_to_apply_is_an_error(connected: Call, text: str) -> None:
    assert connected("apply", stdin=text).err == "Error: nothing to apply: standard input holds no document\n"


def test_what_is_not_text_is_refused(connected: Call) -> None:
    assert "standard input, line 2: byte 5 is not UTF-8 text" in connected("apply", stdin=b"a: 1\n\xff").err


def test_malformed_yaml_names_line_and_column(connected: Call, server: FakeServer) -> None:
    result = connected("apply", stdin="a: 1\na: 2\n")
    assert (result.code, server.requests) == (1, [])
    assert 'Error: standard input, line 2, column 1: key "a" occurs twice' in result.err


def test_every_document_in_order(connected: Call, server: FakeServer) -> None:
    text = (
        "---\ntype: Mesh\nname: b\n---\n---\ntype: greeting\nname: hello\nmesh: b\nwords: [x]\n---\n"
        + DATAPLANE
    )
    result = connected("apply", stdin=text)
    assert result.out == 'created Mesh "b"\ncreated Greeting "hello"\ncreated Dataplane "dp-1"\n'
    assert server.written() == [("PUT", "/meshes/b"), ("PUT", "/meshes/b/greetings/hello"), ("PUT", DP_PATH)]
    assert server.items["/meshes/b/greetings/hello"]["type"] == "Greeting"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type: Dataplane\nmesh: a\n", "Name field cannot be empty"),
        ("type: Dataplane\nname: ''\nmesh: a\n", "Name field cannot be empty"),
        ("type: Dataplane\nname: a\n", "Mesh field cannot be empty"),
        ("name: a\nmesh: a\n", "Type field cannot be empty"),
        ("type: Dataplane\nname: 1\nmesh: a\n", "name must be text, but is the number 1; put it in quotes"),
        ("type: Dataplane\nname: a\nmesh: true\n", "mesh must be text, but is true"),
        ("type: [a]\nname: a\nmesh: a\n", "type must be text, but is a list"),
        ("- type: Mesh\n", "a resource must be a mapping, but this is a list"),
        ("just text", "a resource must be a mapping, but this is text"),
        ("type: Nope\nname: a\n", 'unknown type "Nope"; this control plane has Mesh, Dataplane,'),
        ("type: DataplaneInsight\nname: a\nmesh: a\n", "DataplaneInsight is read-only"),
    ],
)
def test_documents_are_checked_before_anything_is_sent(
    connected: Call, server: FakeServer, text: str, problem: str
) -> None:
    result = connected("apply", stdin=text)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"Error: YAML contains invalid resource: {problem}")
    assert "(document 1 of standard input)" in result.err
    both = connected("apply", stdin=f"{DATAPLANE}---\n{text}\n---\ntype: Mesh\n")
    assert f"\n* document 2 of standard input: {problem}" in both.err
    assert "\n* document 3 of standard input: Name field cannot be empty" in both.err
    assert server.written() == []


def test_a_failure_does_not_stop_the_next_document(connected: Call, server: FakeServer) -> None:
    causes = [{"field": "mtls.ca", "message": "is unknown"}]
    error = {"title": "Could not create a resource", "details": "Resource is not valid", "causes": causes}
    server.error("PUT", "/meshes/bad", 400, error)
    server.reply("PUT", "/meshes/ro", 405, "405: Method Not Allowed")
    text = "---\n".join(f"type: Mesh\nname: {name}\n" for name in ("bad", "ro", "good"))
    result = connected("apply", stdin=text)
    assert (result.code, result.out) == (1, 'created Mesh "good"\n')
    assert result.err == (
        'failed Mesh "bad": Could not create a resource (Resource is not valid)\n* mtls.ca: is unknown\n'
        'failed Mesh "ro": (405): 405: Method Not Allowed\n'
        "Error: 2 of 3 resources could not be applied\n"
    )


def test_a_server_that_is_gone_stops_the_rest(connected: Call, server: FakeServer) -> None:
    server.reply("PUT", "/meshes/b", 307, "", Location="/x")
    text = "---\n".join(f"type: Mesh\nname: {name}\n" for name in "abc")
    result = connected("apply", stdin=text)
    assert (result.code, result.out) == (1, 'created Mesh "a"\n')
    assert result.err.endswith("Error: 2 of 3 resources could not be applied\n")
    assert server.written() == [("PUT", "/meshes/a"), ("PUT", "/meshes/b")]


def test_warnings_of_the_server_are_shown(connected: Call, server: FakeServer) -> None:
    server.reply("PUT", "/meshes/a", 201, "", Kuma_Result="created", Warning='299 - "unknown field mtsl"')
    result = connected("apply", "--quiet", stdin="type: Mesh\nname: a\n")
    assert (result.code, result.out, result.err) == (0, "", "Warning: unknown field mtsl\n")


def test_dry_run_checks_and_sends_nothing(connected: Call, server: FakeServer) -> None:
    result = connected("apply", "--dry-run", stdin=DATAPLANE)
    assert (result.code, result.out) == (0, 'would apply Dataplane "dp-1"\n')
    assert connected("apply", "--dry-run", "--quiet", stdin=DATAPLANE).out == ""
    assert connected("apply", "--dry-run", stdin="type: Nope\nname: a\n").code == 1
    assert server.written() == []


def test_the_global_mesh_is_not_used_and_said_so(connected: Call, server: FakeServer) -> None:
    result = connected("apply", "--mesh", "other", stdin=DATAPLANE)
    assert server.written() == [("PUT", DP_PATH)]
    assert result.err == "Warning: apply does not use --mesh: each document names its own mesh\n"


def test_variables(connected: Call, server: FakeServer) -> None:
    text = "type: {{kind}}\nname: {{{name}}}\nmesh: {{& mesh}}\na: '{{a}}'\nb: '{{b}}'\nc: '{{c}}'\n"
    argv = ("-v", "kind=Dataplane,name=x", "--var", "mesh=m", "-v", "a=<&>", "-v", 'b=1,"c=2,3"')
    assert connected("apply", *argv, stdin=text).out == 'created Dataplane "x"\n'
    value = server.items["/meshes/m/dataplanes/x"]
    assert (value["a"], value["b"], value["c"]) == ("<&>", "1", "2,3")


def test_1_a_value_with_one_equals_sign_keeps_its_commas(connected: Call, server: FakeServer) -> None:
    connected("apply", "-v", "a=1,2,3", stdin="type: Mesh\nname: m\na: '{{a}}'\n")
    assert server.items["/meshes/m"]["a"] == "1,2,3"


@pytest.mark.parametrize("value", ["x", "=1", "a=1,b,c=2"])
def test_1_a_variable_without_key_or_value(connected: Call, value: str) -> None:
    result = connected("apply", "-v", value, stdin=DATAPLANE)
    assert result.code == 1
    assert "for -v/--var: want KEY=VALUE\nUsage: " in result.err


def test_template_errors_are_told_with_their_line(connected: Call, server: FakeServer) -> None:
    result = connected("apply", stdin="type: Mesh\nname: {{#a}}\n")
    assert (result.code, server.requests) == (1, [])
    assert "Error: standard input: the template is malformed: unclosed section" in result.err
    assert "line 2" in result.err


def test_strict_refuses_variables_that_are_not_set(connected: Call, server: FakeServer) -> None:
    text = "type: Mesh\nname: m\nlabel: '{{gone}}'\n"
    assert connected("apply", stdin=text).code == 0
    result = connected("apply", "--strict", stdin=text)
    assert result.code == 1
    assert 'standard input, line 3: variable "gone" is not set; set it with -v gone=VALUE' in result.err
    assert len(server.written()) == 1


def test_a_variable_that_is_not_set_is_told(connected: Call, server: FakeServer) -> None:
    result = connected(
        "apply", "--quiet", stdin="type: Mesh\nname: m\nweight: {{weight}}\nformat: '{{format}}'\n"
    )
    assert (result.code, result.out) == (0, "")
    assert [line.split(" is not set")[0] for line in result.err.splitlines()] == [
        'Warning: standard input, line 3: variable "weight"',
        'Warning: standard input, line 4: variable "format"',
    ]
    assert server.items["/meshes/m"] == {"type": "Mesh", "name": "m", "weight": None, "format": ""}


EVIL = "type: Mesh\nname: evil"
ADDED = [
    ("type: Mesh\nname: {{x}}\n", f"m\n---\n{EVIL}"),
    ("type: Mesh\nname: {{x}}\n", f"m\r---\r{EVIL}"),
    ("type: Mesh\nname: {{x}}\n", f"m\n...\n---\n{EVIL}"),
    ("type: Mesh\nname: m\n{{x}}", "--- {type: Mesh, name: evil}"),
    ("type: Mesh\nname: m\nmtls:\n{{x}}\n", f"  enabled: true\n---\n{EVIL}"),
    ('{"type": "Mesh", "name": "{{x}}"}', 'm"}{"type": "Mesh", "name": "evil'),
    ('{"type": "Mesh", "name": "{{x}}"}', 'm"}\n---\n{"type": "Mesh", "name": "evil'),
    ("items:\n- type: Mesh\n  name: {{x}}\n", "m\n- type: Mesh\n  name: evil"),
    ("items: [{type: Mesh, name: {{x}}}]", "m}, {type: Mesh, name: evil"),
]


@pytest.mark.parametrize(("text", "value"), ADDED)
def test_a_variable_adds_no_document(connected: Call, server: FakeServer, text: str, value: str) -> None:
    result = connected("apply", "-v", "y=1", "-v", f"x={value}".replace("=", "=", 1), stdin=text)
    assert (result.code, result.out, server.requests) == (1, "", [])
    assert 'Error: standard input: with the value of "x" there are more documents' in result.err


@pytest.mark.parametrize(
    ("text", "values", "names"),
    [
        ("type: Mesh\nname: {{x}}\n---\ntype: Mesh\nname: {{y}}\n", ("a", "b"), ["a", "b"]),
        ("{{x}}", ("{type: Mesh, name: whole}", ""), ["whole"]),
        ("type: Mesh\nname: a\nlines: |\n  {{x}}\n", ("--- no mark\n  ...", ""), ["a"]),
        ("type: Mesh\nname: a\n{{x}}\n", ("mtls:\n  enabled: true", ""), ["a"]),
        ("type: Mesh\nname: a\n{{#x}}\n---\ntype: Mesh\nname: b\n{{/x}}\n", ("yes", ""), ["a", "b"]),
        ('{"type": "Mesh", "name": "a", "f": "{{x}}"}', ("} {", ""), ["a"]),
        (
            '{"type": "Mesh", "name": "{{x}}"}\n{"type": "Mesh", "name": "b", "w": {{y}}}',
            ("a", "1"),
            ["a", "b"],
        ),
        ("# {{x}}\ntype: Mesh\nname: a\n", ("x", ""), ["a"]),
    ],
)
def test_what_values_may_do(
    connected: Call, server: FakeServer, text: str, values: tuple[str, str], names: list[str]
) -> None:
    x, y = values
    result = connected("apply", "-v", f"x={x}", "-v", f"y={y}", stdin=text)
    assert (result.code, result.err) == (0, "")
    assert result.out.split('"')[1::2] == names
