"""The configuration file and ``kumactl config``."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kuma_core.errors import ConfigError
from kuma_core.kumactl import default_file
from kuma_core.kumactl.config import Configuration, ControlPlane, NamedContext
from kuma_core.kumactl.config_file import load, save, to_value
from kuma_core.kumactl.output import dump_yaml

from .conftest import Call, FakeServer, configure


def file_of(home: Path) -> Path:
    return home / ".kumactl" / "config"


def test_a_missing_default_file_is_created(kumactl: Call, home: Path) -> None:
    assert kumactl("version").code == 0
    assert stat.S_IMODE(file_of(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(home).parent.stat().st_mode) & 0o700 == 0o700
    assert file_of(home).read_text() == default_file.DEFAULT_TEXT
    assert os.listdir(file_of(home).parent) == ["config"]


def test_help_creates_nothing(kumactl: Call, home: Path) -> None:
    assert kumactl("help").code == 0
    assert kumactl("get", "--help").code == 0
    assert not file_of(home).exists()


def test_the_default_text_is_what_we_would_write(kumactl: Call) -> None:
    assert dump_yaml(to_value(load(None))) == default_file.DEFAULT_TEXT


def test_a_given_file_must_exist_and_is_not_created(kumactl: Call, home: Path) -> None:
    path = home / "other"
    for argv in (("--config-file", str(path), "version"), ("version", "--config-file", str(path))):
        result = kumactl(*argv)
        assert result.code == 1
        assert result.err.startswith(f'Error: Failed to access configuration file "{path}"')
    assert not path.exists()
    assert not file_of(home).exists()


def test_an_empty_file_is_an_empty_configuration(kumactl: Call, home: Path) -> None:
    path = home / "empty"
    path.write_text("")
    result = kumactl("config", "control-planes", "list", "--config-file", str(path))
    assert (result.code, result.out) == (0, "ACTIVE   NAME   ADDRESS\n")


def test_snake_case_is_read_and_unknown_keys_are_kept(home: Path) -> None:
    path = home / "c"
    path.write_text(
        "control_planes:\n- name: lab\n  coordinates: {api_server: {url: 'http://h:1'}}\n"
        "contexts:\n- name: lab\n  control_plane: lab\n"
        "  credentials: {admin_api: {client_cert: c, client_key: k}}\n"
        "  defaults: {mesh: m, wall: brick}\n  color: red\ncurrent_context: lab\nfuture: {a_b: 1}\n"
    )
    read = load(str(path))
    assert read == Configuration(
        (ControlPlane("lab", "http://h:1"),), (NamedContext("lab", "lab", "c", "k", "m"),), "lab"
    )
    save(read)
    assert load(str(path)) == read
    assert path.read_text() == (
        "contexts:\n- color: red\n  controlPlane: lab\n  credentials:\n    adminApi:\n"
        "      clientCert: c\n      clientKey: k\n"
        "  defaults:\n    mesh: m\n    wall: brick\n  name: lab\n"
        "controlPlanes:\n- coordinates:\n    apiServer:\n      url: http://h:1\n  name: lab\n"
        "currentContext: lab\nfuture:\n  a_b: 1\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("controlPlanes: [{coordinates: {apiServer: {url: 'http://h'}}}]", "controlPlanes[0].name"),
        ("controlPlanes: [{name: a}]", "controlPlanes[0].coordinates.apiServer.url must be an absolute URL"),
        ("controlPlanes: [{name: a, coordinates: {apiServer: {url: /x}}}]", "must be an absolute URL"),
        ("controlPlanes: [{name: a, coordinates: {apiServer: {url: 'http://h:x'}}}]", "must be an absolute"),
        ("controlPlanes: [{name: a, coordinates: {apiServer: {url: 'ftp://h'}}}]", "must be an absolute"),
        ("contexts: [{controlPlane: a}]", "contexts[0].name must not be empty"),
        ("contexts: [{name: a}]", "contexts[0].controlPlane must not be empty"),
    ],
)
def test_rules_are_checked_when_it_is_read(home: Path, text: str, problem: str) -> None:
    path = home / "c"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert str(caught.value).startswith(f'Failed to load invalid configuration from file "{path}": ')
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"a: [", "line 2, column 1"),
        (b"- 1", "the document must be a mapping"),
        (b"contexts: 3", "contexts must be a list"),
        (b"contexts: [3]", "contexts[0] must be a mapping"),
        (b"contexts: [{name: 1, controlPlane: a}]", "contexts[0].name must be text"),
        (b"controlPlanes: [{name: a, coordinates: 1}]", "controlPlanes[0].coordinates must be a mapping"),
        (b"currentContext: [a]", "currentContext must be text"),
        (b"currentContext: a\n---\ncurrentContext: b\n", "holds 2 documents"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"a: 1\na: 2", "line 2, column 1"),
    ],
)
def test_what_cannot_be_parsed_is_told(home: Path, text: bytes, problem: str) -> None:
    path = home / "c"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert str(caught.value).startswith(f'Failed to parse configuration from file "{path}": ')
    assert problem in str(caught.value)


def test_rules_are_checked_when_it_is_saved(home: Path) -> None:
    path = home / "c"
    path.write_text("currentContext: a")
    with pytest.raises(ConfigError, match="absolute URL"):
        save(Configuration((ControlPlane("a", "nonsense"),), path=str(path)))
    assert path.read_text() == "currentContext: a"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no active Control Plane is set: run `kumactl config control-planes add`"),
        ("currentContext: gone", 'configuration is broken: the current context "gone" does not exist'),
        (
            "currentContext: a\ncontexts: [{name: a, controlPlane: gone}]",
            'configuration is broken: context "a" points to Control Plane "gone"',
        ),
    ],
)
def test_no_or_a_dangling_current_context(kumactl: Call, home: Path, text: str, sentence: str) -> None:
    path = home / "c"
    path.write_text(text)
    result = kumactl("get", "meshes", "--config-file", str(path))
    assert result.code == 1
    assert sentence in result.err
    assert "kumactl config control-planes add" in result.err


@pytest.mark.parametrize("argv", [("version",), ("config", "view")])
def test_where_nothing_can_be_written_the_built_in_configuration_holds(
    kumactl: Call, home: Path, argv: tuple[str, ...]
) -> None:
    (home / ".kumactl").write_text("a file where the directory should be")
    result = kumactl(*argv)
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert result.err.startswith("Warning: Failed to write configuration file")
    assert result.err.rstrip().endswith("using http://localhost:5681")


def test_a_change_that_cannot_be_written_is_an_error(kumactl: Call, home: Path, server: FakeServer) -> None:
    (home / ".kumactl").write_text("")
    result = kumactl("config", "control-planes", "add", "--name", "a", "--address", server.url)
    assert result.code == 1
    assert "there is no configuration file to write to" in result.err


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    kumactl: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, "http://h:1")
    before = file_of(home).read_text()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    result = kumactl("config", "control-planes", "switch", "--name", "local")
    assert result.code == 1
    assert f'Failed to write configuration file "{file_of(home)}": No space left on device' in result.err
    assert file_of(home).read_text() == before
    assert os.listdir(file_of(home).parent) == ["config"]


@pytest.mark.skipif(sys.platform == "win32", reason="the user database is of Unix")
def test_without_home_the_user_database_is_asked(
    kumactl: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda _path: str(home))
    assert default_file.default_path() == str(file_of(home))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert default_file.default_path() is None
    result = kumactl("version")
    assert (result.code, result.err.count("\n")) == (0, 1)
    assert "there is no home directory" in result.err


def test_a_link_to_the_file_stays_a_link(home: Path) -> None:
    real, link = home / "real", home / "link"
    real.write_text("currentContext: a")
    link.symlink_to(real)
    save(replace(load(str(link)), current_context="b"))
    assert link.is_symlink()
    assert real.read_text() == "currentContext: b\n"


def test_view_prints_yaml_and_a_blank_line_on_stdout(kumactl: Call) -> None:
    result = kumactl("config", "view")
    assert (result.code, result.out, result.err) == (0, default_file.DEFAULT_TEXT + "\n", "")


def test_add_list_switch_remove(kumactl: Call, server: FakeServer, home: Path) -> None:
    configure(home, "http://localhost:5681")
    added = kumactl("config", "control-planes", "add", "--name=lab", f"--address={server.url}")
    assert (added.code, added.err) == (0, "")
    assert added.out == 'added Control Plane "lab"\nswitched active Control Plane to "lab"\n'
    assert kumactl("config", "control-planes", "list").out == (
        f"ACTIVE   NAME    ADDRESS\n         local   http://localhost:5681\n*        lab     {server.url}\n"
    )
    switched = kumactl("config", "control-planes", "switch", "--name", "local")
    assert switched.out == 'switched active Control Plane to "local"\n'
    assert kumactl("config", "control-planes", "remove", "--name", "local").out == (
        'removed Control Plane "local"\nswitched active Control Plane to "lab"\n'
    )
    removed = kumactl("config", "control-planes", "remove", "--name", "lab")
    assert removed.out.startswith('removed Control Plane "lab"\nthere is no active Control Plane left')
    assert load(str(file_of(home))) == Configuration()


def test_removing_another_one_keeps_the_active_one(kumactl: Call, server: FakeServer) -> None:
    kumactl("config", "control-planes", "add", "--name", "lab", "--address", server.url)
    result = kumactl("config", "control-planes", "remove", "--name", "local")
    assert result.out == 'removed Control Plane "local"\n'


@pytest.mark.parametrize("verb", ["remove", "switch"])
def test_an_unknown_name(kumactl: Call, verb: str) -> None:
    result = kumactl("config", "control-planes", verb, "--name", "x")
    assert result.code == 1
    assert result.err == 'Error: there is no Control Plane with name "x" (known: local)\n'


def test_a_name_twice_needs_overwrite(kumactl: Call, server: FakeServer, home: Path) -> None:
    argv = ("config", "control-planes", "add", "--name", "local", "--address", server.url)
    result = kumactl(*argv)
    assert result.code == 1
    assert 'Control Plane with name "local" already exists' in result.err
    assert "--overwrite" in result.err
    assert server.requests == []
    certs = ("--admin-client-cert", "c.pem", "--dataplane-token-client-key", "k.pem")
    assert kumactl(*argv, "--overwrite", *certs).code == 0
    assert load(str(file_of(home))) == Configuration(
        (ControlPlane("local", server.url),), (NamedContext("local", "local", "c.pem", "k.pem"),), "local"
    )


def test_required_flags_are_named_together(kumactl: Call) -> None:
    result = kumactl("config", "control-planes", "add")
    assert (result.code, result.err) == (1, 'Error: required flag(s) "address", "name" not set\n')


@pytest.mark.parametrize("address", ["localhost:5681", "/x", "http://", "http://a b", ""])
def test_an_address_must_be_an_absolute_url(kumactl: Call, address: str) -> None:
    result = kumactl("config", "control-planes", "add", "--name", "a", "--address", address)
    assert result.code == 1
    assert "--address must be an absolute URL like http://localhost:5681" in result.err


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (500, "down", "Control Plane API Server is not responding"),
        (200, '{"tagline": "Other"}', "provided address is not valid Kuma Control Plane API Server"),
        (200, "<html>", "could not connect to the Control Plane API Server"),
        (200, "[]", "could not connect to the Control Plane API Server"),
        (302, "", "could not connect to the Control Plane API Server"),
    ],
)
def test_what_is_no_control_plane_is_not_added(
    kumactl: Call, server: FakeServer, home: Path, status: int, body: str, sentence: str
) -> None:
    server.reply("GET", "/", status, body)
    result = kumactl("config", "control-planes", "add", "--name", "a", "--address", server.url)
    assert result.code == 1
    assert sentence in result.err
    assert file_of(home).read_text() == default_file.DEFAULT_TEXT


def several(*names: str, current: str) -> Configuration:
    planes = tuple(ControlPlane(name, f"http://{name}") for name in names)
    return Configuration(planes, tuple(NamedContext(name, name) for name in names), current)


def test_removing_keeps_the_active_one_wherever_it_stands() -> None:
    before = several("a", "b", "c", current="c")
    assert before.remove("b").current_context == "c"
    assert before.remove("c").current_context == "a"


def test_switch_prefers_the_context_of_that_name() -> None:
    before = several("a", "b", current="a")
    other = replace(before, contexts=(NamedContext("first", "b"), *before.contexts))
    assert other.switch("b").current_context == "b"
    without = replace(before, contexts=(NamedContext("first", "b"), NamedContext("a", "a")))
    assert without.switch("b").current_context == "first"
