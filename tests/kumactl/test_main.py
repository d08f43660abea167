"""The root command, ``version`` and the cost of starting."""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kuma_core import __version__
from kuma_core.commandline import Group
from kuma_core.kumactl.main import COMMANDS, build
from kuma_core.testing.commands import every_command

from .conftest import Call, FakeServer

HEAVY = {"yaml", "ssl", "http", "http.client", "urllib.request", "json", "pydantic", "grpc", "falcon"}
HEAVY |= {"mstache", "logging", "csv", "kuma_core.documents", "kuma_core.kumactl.client", "pluggy"}
KUMACTL = "from kuma_core.kumactl.main import main; main()"


def test_1_the_root_alone_prints_help(kumactl: Call) -> None:
    for argv in ((), ("-h",), ("--help",), ("help",)):
        result = kumactl(*argv)
        assert (result.code, result.err) == (0, "")
        for name in dict(COMMANDS):
            assert f"\n  {name} " in result.out


def test_1_help_of_a_command(kumactl: Call) -> None:
    helped = kumactl("help", "config", "control-planes", "add").out
    assert helped == kumactl("config", "control-planes", "add", "-h").out
    assert helped.startswith("Usage: kumactl config control-planes add")


def test_1_an_unknown_first_word(kumactl: Call) -> None:
    result = kumactl("aply")
    assert (result.code, result.out) == (1, "")
    assert 'Error: unknown command "aply" for "kumactl"' in result.err
    assert "Did you mean this?\n\tapply" in result.err
    assert "Run 'kumactl --help' for usage." in result.err


@pytest.mark.parametrize("argv", [("--log-level", "loud", "version"), ("version", "--log-level=loud")])
def test_1_an_unknown_log_level_prints_usage(kumactl: Call, argv: tuple[str, ...]) -> None:
    result = kumactl(*argv)
    assert result.code == 1
    assert result.err.startswith('Error: unknown log level "loud"; use off, info or debug\nUsage: ')


def test_1_an_unknown_flag_prints_usage(kumactl: Call) -> None:
    result = kumactl("version", "--nope")
    assert result.code == 1
    assert "--nope" in result.err
    assert "\nUsage: kumactl version" in result.err


def test_version(kumactl: Call) -> None:
    assert kumactl("version").out == f"{__version__}\n"
    for flag in ("-a", "--detailed"):
        assert kumactl("version", flag).out.splitlines()[:2] == [
            f"Version:    {__version__}",
            "Git Tag:    unknown",
        ]


def test_version_of_the_server(connected: Call, server: FakeServer) -> None:
    assert (
        connected("version", "--server").out
        == f"Version:    {__version__}\nServer:     9.8.7 ({server.url})\n"
    )
    server.reply("GET", "/", 200, "{}")
    assert connected("version", "--server", "-a").out.endswith(f"Server:     unknown ({server.url})\n")
    server.reply("GET", "/", 500, "down")
    result = connected("version", "--server")
    assert (result.code, result.err) == (1, "Error: (500): down\n")


@pytest.mark.parametrize(
    ("argv", "detailed"),
    [
        (("--detailed=true",), True),
        (("--detailed=T",), True),
        (("--detailed=false",), False),
        (("--detailed", "--detailed=0"), True),
    ],
)
def test_1_a_flag_may_have_a_value(kumactl: Call, argv: tuple[str, ...], detailed: bool) -> None:
    assert ("Git Tag:" in kumactl("version", *argv).out) is detailed
    wrong = kumactl("version", "--detailed=maybe")
    assert wrong.err.startswith('Error: invalid value "maybe" for --detailed: use true or false\nUsage: ')


def test_every_command_takes_the_global_flags_once_and_explains_itself() -> None:
    found = dict(every_command(build()))
    assert "kumactl manage ca builtin rotate" in found, "those of plugins too"
    for command in found.values():
        if command.name == "help":
            continue
        names = [p.name for p in command.params]
        assert [names.count(n) for n in ("config_file", "mesh_flag", "log_level")] == [1, 1, 1], command.name
        assert command.help or command.name == "kumactl"
        assert isinstance(command, Group) or not isinstance(command, click.Group)
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        assert all(option.help for option in options)


def test_every_line_of_the_tuple_leads_to_a_command() -> None:
    for name, place in COMMANDS:
        module, attribute = place.split(":")
        assert getattr(importlib.import_module(module), attribute).name == name


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(home)}


def test_version_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, atexit; atexit.register(lambda: print(*sys.modules)); " + KUMACTL
    argv = [sys.executable, "-c", code, "version"]
    done = subprocess.run(argv, env=environment(tmp_path), capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version == __version__
    assert HEAVY.isdisjoint(modules.split())
    assert (tmp_path / ".kumactl" / "config").exists()


def test_version_costs_less_than_100_ms_more_than_the_interpreter(tmp_path: Path) -> None:
    def seconds(code: str) -> float:
        """Of the processor, so that what else runs on the machine does not count."""
        before = os.times()
        subprocess.run(
            [sys.executable, "-c", code, "version"],
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    pairs = [(seconds("pass"), seconds(KUMACTL)) for _ in range(9)]
    floor = statistics.median(bare for bare, _ in pairs)  # a machine that is busy takes longer for either
    assert statistics.median(ours - bare for bare, ours in pairs) < max(0.1, 4 * floor)


def test_an_error_is_one_line_on_stderr_and_exit_code_1(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", KUMACTL, "delete", "mesh", "a", "--config-file", str(tmp_path / "none")]
    done = subprocess.run(argv, env=environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("Error: Failed to access configuration file")
