"""Commands of plugins in kumactl and kuma-cp, as their users see them: entry points and processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kuma_core import packages

from .test_command import BROKEN, Site

PROGRAMS = {
    "kumactl": "from kuma_core.kumactl.main import main; main()",
    "kuma-cp": "from kuma_core.runtime.kuma_cp import main; main()",
}
DONE = subprocess.CompletedProcess[str]


def source(*commands: tuple[str, tuple[str, ...], str], before: str = "") -> str:
    """A plugin's module that brings commands, each as (program, path, place)."""
    values = ", ".join(
        f"Command({program!r}, {path!r}, 'Count.', {place!r})" for program, path, place in commands
    )
    hook = f"@hookimpl\ndef kuma_register_commands():\n    return [{values}]\n"
    return f"{before}\nfrom kuma_core.sdk import Command, hookimpl\n{hook}"


COUNTING = """
import click
from kuma_core.sdk.kumactl import Group, pass_session

@click.group("whatever", cls=Group)
def count():
    "Count things."

@count.command("meshes")
@click.option("--twice", is_flag=True)
@pass_session
def meshes(session, twice):
    "Count the meshes."
    click.echo(f"{session.mesh} {twice}")

@click.command("shelves")
def shelves():
    click.echo("three")
"""


class Machine(Site):
    """A site whose programs are run: ``machine.call("kumactl", "count", "meshes")``."""

    def bring(self, name: str, *commands: tuple[str, tuple[str, ...], str], before: str = "") -> None:
        """Install a plugin that brings commands."""
        self.add(name, source(*commands, before=before))

    def write(self, module: str, text: str) -> None:
        """Put a module beside the plugins."""
        (self.folder / f"{module}.py").write_text(text)

    def call(self, program: str, *words: str, **environ: str) -> DONE:
        """Run a program with these words."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAMS[program], *words],
            env=self.environ({"HOME": str(self.folder), **environ}),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        return done

    def complete(self, program: str, line: str) -> tuple[list[str], str]:
        """What a shell offers at the end of a line, and what the program says beside."""
        variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
        words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), variable: "bash_complete"}
        done = self.call(program, **words)
        return [offer.partition(",")[2] for offer in done.stdout.split()], done.stderr

    @property
    def imported(self) -> bool:
        """Whether a plugin that notes it was imported since this was asked last."""
        note = self.folder / "imported"
        found = note.exists()
        note.unlink(missing_ok=True)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


NOTE = "import pathlib; (pathlib.Path(__file__).parent / 'imported').touch()"


def test_hook_kuma_register_commands(machine: Machine) -> None:
    for program in PROGRAMS:
        words = (("count",), ("config", "count"))
        machine.bring(program.replace("-", "_"), *((program, path, "counting:count") for path in words))
    machine.write("counting", COUNTING)
    for program in PROGRAMS:
        for words in ((), ("config",)):
            listed = machine.call(program, *words, "--help")
            assert (listed.returncode, listed.stderr) == (0, "")
            assert "\n  count " in listed.stdout
            done = machine.call(program, *words, "count", "meshes", "-h")
            assert done.stdout.startswith(f"Usage: {' '.join((program, *words))} count meshes [OPTIONS]")
            assert machine.call(program, "help", *words, "count", "meshes").stdout == done.stdout
    shown = machine.plugins()["kumactl"]["provides"]
    assert shown == ["command kumactl config count", "command kumactl count"]


def test_a_command_of_a_plugin_is_one_of_kumactl(machine: Machine) -> None:
    """It has the session, the global flags, flags with values, and errors like all others."""
    machine.bring("acme", ("kumactl", ("count",), "counting:count"))
    machine.write("counting", COUNTING)
    assert machine.call("kumactl", "count", "meshes").stdout == "default False\n"
    assert machine.call("kumactl", "count", "meshes", "--mesh=a", "--twice=true").stdout == "a True\n"
    assert machine.call("kumactl", "--mesh=a", "count", "meshes", "--twice").stdout == "a True\n"
    wrong = machine.call("kumactl", "count", "meshs")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith('Error: unknown command "meshs" for "kumactl count"\n\nDid you mean this?')
    assert machine.call("kumactl", "coun").stderr.count("\tcount\n") == 1


@pytest.mark.parametrize(
    ("program", "words"),
    [
        *(
            ("kumactl", words)
            for words in (["version"], ["config", "view"], ["get", "-h"], ["apply", "--nope"])
        ),
        *(("kumactl", words) for words in (["generate", "dataplane-token"], ["completion", "bash"])),
        *(("kuma-cp", words) for words in (["version"], ["run", "-h"], ["secrets", "generate-key", "-h"])),
        ("kuma-cp", ["config", "view", "-h"]),
    ],
)
def test_a_command_of_the_program_imports_no_plugin(machine: Machine, program: str, words: list[str]) -> None:
    machine.bring("acme", before=NOTE)
    machine.call(program, *words)
    assert not machine.imported


def test_a_mistyped_sub_command_of_kuma_cp_is_an_error(machine: Machine) -> None:
    done = machine.call("kuma-cp", "config", "vew")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        'Error: unknown command "vew" for "kuma-cp config"\n\nDid you mean this?\n\tview\n'
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_lists_completion_and_unknown_words_ask_the_plugins(machine: Machine, program: str) -> None:
    machine.bring("acme", (program, ("config", "count"), "nowhere:count"), before=NOTE)
    for words in (
        (),
        ("--help",),
        ("config",),
        ("config", "-h"),
        ("nonsense",),
        ("config", "vew"),
        ("help",),
    ):
        machine.call(program, *words)
        assert machine.imported, words
    assert machine.complete(program, f"{program} config c") == (
        (["control-planes", "count"] if program == "kumactl" else ["count"]),
        "",
    )
    assert machine.imported


@pytest.mark.parametrize(
    ("place", "text", "cause"),
    [
        ("nowhere:count", "", "ModuleNotFoundError: No module named 'nowhere'"),
        ("torn:count", "import nothing_there", "ModuleNotFoundError: No module named 'nothing_there'"),
        ("torn:count", "raise SystemExit(0)", "SystemExit: 0"),
        ("torn:count", "", "AttributeError: module 'torn' has no attribute 'count'"),
        ("torn:count", "count = 3", "that is 3, which is no command of click"),
    ],
)
def test_a_command_that_cannot_be_loaded_is_listed_and_told_when_it_is_called(
    machine: Machine, place: str, text: str, cause: str
) -> None:
    machine.bring("acme", ("kumactl", ("count",), place))
    machine.write("torn", text)
    listed = machine.call("kumactl", "--help")
    assert (listed.returncode, listed.stderr, "  count       Count.\n" in listed.stdout) == (0, "", True)
    whose = 'the command "kumactl count" of plugin "acme" (acme-acme 3.1)'
    said = f"Error: {whose} cannot be loaded from {place}: {cause}\n"
    for words in (("count",), ("count", "-h"), ("help", "count")):
        called = machine.call("kumactl", *words)
        assert (called.returncode, called.stdout, called.stderr) == (1, "", said)
    assert machine.complete("kumactl", "kumactl count ") == ([], "")


TAKEN = [
    ("kumactl", ("version",), 'brings "kumactl version", which is a command of kumactl itself'),
    ("kumactl", ("help",), 'brings "kumactl help", which is a command of kumactl itself'),
    ("kumactl", ("manage", "ca"), 'brings "kumactl manage ca", which is a command of kumactl itself'),
    ("kumactl", ("config", "view"), 'brings "kumactl config view", which is a command of kumactl itself'),
    ("kuma-cp", ("run",), 'brings "kuma-cp run", which is a command of kuma-cp itself'),
    ("kuma-cp", ("config", "view"), 'brings "kuma-cp config view", which is a command of kuma-cp itself'),
    (
        "kumactl",
        ("get", "count"),
        'brings "kumactl get count", and "kumactl get" is no group of commands of kumactl',
    ),
    (
        "kumactl",
        ("acme", "count"),
        'brings "kumactl acme count", and "kumactl acme" is no group of commands of kumactl',
    ),
]


@pytest.mark.parametrize(("program", "path", "said"), TAKEN, ids=[" ".join(path) for _, path, _ in TAKEN])
def test_the_programs_own_names_cannot_be_taken(
    machine: Machine, program: str, path: tuple[str, ...], said: str
) -> None:
    machine.bring("acme", (program, path, "counting:count"), (program, ("count",), "counting:count"))
    machine.write("counting", COUNTING)
    listed = machine.call(program, "--help")
    assert listed.stderr == (
        f'Warning: plugin "acme" (acme-acme 3.1) {said}. Repair or upgrade it, or leave it out: KUMA_PLUGINS=no:acme\n'
    )
    assert "\n  count " in listed.stdout, "its other commands stay"
    assert "Count things" not in machine.call(program, *path, "-h").stdout


def test_two_plugins_with_one_command(machine: Machine) -> None:
    for name in ("one", "two"):
        machine.bring(
            name, ("kumactl", ("count",), "counting:count"), ("kumactl", (name,), "counting:shelves")
        )
    machine.write("counting", COUNTING)
    said = 'Error: plugins "one" and "two" both bring the command "kumactl count"; leave one out: KUMA_PLUGINS=no:two\n'
    called = machine.call("kumactl", "count", "meshes")
    assert (called.returncode, called.stdout, called.stderr) == (1, "", said)
    assert "\n  count       Refused, as it is brought twice.\n" in machine.call("kumactl", "--help").stdout
    assert machine.call("kumactl", "one").stdout == "three\n"
    machine.bring("thrice", *[("kumactl", ("thrice",), "counting:shelves")] * 3)
    assert machine.call("kumactl", "thrice").stderr == (
        'Error: plugin "thrice" brings the command "kumactl thrice" twice; leave one out: KUMA_PLUGINS=no:thrice\n'
    )
    assert machine.call("kumactl", "count", "meshes", KUMA_PLUGINS="no:two").stdout == "default False\n"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        *BROKEN,
        (
            source(("kumactl", ("Count",), "a:b")),
            "kuma_register_commands failed: ValueError: the path of a command",
        ),
        (
            "from kuma_core.sdk import hookimpl\n@hookimpl\ndef kuma_register_commands(): return 3",
            "TypeError",
        ),
        (
            "from kuma_core.sdk import hookimpl\n@hookimpl\ndef kuma_register_commands(): return 'a'",
            "'a', which is no Command",
        ),
        ("def kuma_register_commands(): return []", "lacks the @hookimpl decorator"),
        (
            "from kuma_core.sdk import hookimpl\n@hookimpl\ndef kuma_register_commands(): raise SystemExit(0)",
            "SystemExit",
        ),
    ],
)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_broken_plugin_is_named_and_costs_the_others_nothing(
    machine: Machine, program: str, text: str, cause: str
) -> None:
    machine.add("ugly", text)
    machine.bring("fine", (program, ("shelves",), "counting:shelves"))
    machine.write("counting", COUNTING)
    done = machine.call(program, "shelves")
    assert (done.returncode, done.stdout) == (0, "three\n")
    (warning,) = done.stderr.splitlines()
    assert warning.startswith('Warning: plugin "ugly" (acme-ugly 3.1)')
    assert cause in warning
    assert warning.endswith("Repair or upgrade it, or leave it out: KUMA_PLUGINS=no:ugly")
    assert machine.call(program, "shelves", KUMA_PLUGINS="no:ugly").stderr == ""
    assert machine.complete(program, f"{program} shel") == (["shelves"], "")


def test_the_selection_holds_for_commands(machine: Machine) -> None:
    for program in PROGRAMS:
        machine.bring(program.replace("-", "_"), (program, ("shelves",), "counting:shelves"))
    machine.write("counting", COUNTING)
    for program, name in (("kumactl", "kumactl"), ("kuma-cp", "kuma_cp")):
        for selection in ("", f"no:{name}", "store_memory"):
            gone = machine.call(program, "shelves", KUMA_PLUGINS=selection)
            assert (gone.returncode, gone.stdout) == (1, ""), selection
            assert f'unknown command "shelves" for "{program}"' in gone.stderr
        assert machine.call(program, "shelves", KUMA_PLUGINS=name).stdout == "three\n"
    assert machine.call("kuma-cp", "--plugins", "no:kuma_cp", "shelves").returncode == 1
    assert machine.call("kuma-cp", "--plugins", "kuma_cp", "shelves").stdout == "three\n"
    assert "\n  shelves " not in machine.call("kuma-cp", "--plugins", "", "--help").stdout


def test_a_selection_before_the_command_holds_for_the_command(machine: Machine) -> None:
    def loaded(*words: str) -> bool:
        return "loaded" in machine.call("kuma-cp", *words).stdout

    assert not loaded("--plugins", "", "plugins")
    assert loaded("--plugins", "", "plugins", "--plugins", "store_memory")
    assert "no store plugin is loaded" in machine.call("kuma-cp", "--plugins", "", "run").stderr


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ("a,no:b", 'KUMA_PLUGINS "a,no:b": name either plugins to load (a,b) or to leave out (no:x)'),
        ("nobody", 'plugin "nobody" is not installed here.'),
    ],
)
def test_a_selection_that_means_nothing(machine: Machine, selection: str, said: str) -> None:
    listed = machine.call("kumactl", "--help", KUMA_PLUGINS=selection)
    assert (listed.returncode, "\n  version " in listed.stdout) == (0, True)
    assert listed.stderr.startswith(f"Warning: no plugin is used: {said}")
    called = machine.call("kumactl", "manage", "ca", "builtin", "status", KUMA_PLUGINS=selection)
    assert called.returncode == 1
    assert called.stderr.splitlines()[1] == (
        'Error: "kumactl manage ca builtin" comes with the package kuma-ca-builtin, '
        "and no plugin is used, as the warning says"
    )


# -- what people look for, and is not here


@pytest.mark.parametrize("name", packages.COMMANDS)
def test_a_command_whose_plugin_is_left_out_names_it(machine: Machine, name: str) -> None:
    package = packages.COMMANDS[name]
    plugin = package.removeprefix("kuma-").replace("-", "_")
    program, *words = name.split()
    called = machine.call(program, *words, "status", KUMA_PLUGINS=f"no:{plugin}")
    left_out = f"whose plugin {plugin} is left out here; look at KUMA_PLUGINS"
    said = f'Error: "{name}" comes with the package {package}, {left_out}\n'
    assert (called.returncode, called.stdout, called.stderr) == (1, "", said)
    group = machine.call(program, *words[:-1], KUMA_PLUGINS=f"no:{plugin}")
    assert f"\n  {words[-1]}" in group.stdout
    assert f"Not here: it comes with {package}.\n" in group.stdout


@pytest.mark.parametrize("name", packages.COMMANDS)
def test_the_packages_bring_the_commands_that_are_theirs(machine: Machine, name: str) -> None:
    provides = {row["distribution"]: row["provides"] for row in machine.plugins().values()}
    assert f"command {name}" in str(provides[packages.COMMANDS[name]])


@pytest.mark.parametrize("name", packages.KINDS)
def test_the_packages_bring_the_kinds_that_are_theirs(machine: Machine, name: str) -> None:
    provides = {row["distribution"]: row["provides"] for row in machine.plugins().values()}
    assert f"kind {name}" in str(provides[packages.KINDS[name]])


# -- installed without the extra


def test_a_plugin_that_was_installed_bare_says_what_to_install(machine: Machine) -> None:
    """kuma-cp says so before it imports anything of it; kumactl needs no more than its commands."""
    machine.bring("acme", ("kumactl", ("shelves",), "counting:shelves"), before=NOTE)
    machine.write("counting", COUNTING)
    info = machine.folder / "acme_acme-3.1.dist-info" / "METADATA"
    needs = ("falcon", "acme-motor >= 2", "acme-oil; python_version < '3'", "acme-paint; extra == 'dev'")
    lines = [f"Requires-Dist: {line}" for line in needs[2:]]
    lines += [f"Requires-Dist: {line}; extra == 'cp'" for line in needs[:2]]
    info.write_text(info.read_text().strip() + "\n" + "\n".join([*lines, "Provides-Extra: cp", ""]))
    said = (
        'plugin "acme" (acme-acme 3.1) was installed without what it needs in a control plane (acme-motor): '
        "pip install 'acme-acme[cp]'"
    )
    run = machine.call("kuma-cp", "run")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"Error: {said}. Repair or upgrade it, or start without it: --plugins no:acme\n"
    assert machine.plugins()["acme"]["state"] == "broken"
    assert not machine.imported
    assert machine.call("kumactl", "shelves").stdout == "three\n"


FAILING = """
import click, os, sys
from kuma_core.errors import KumaError
from kuma_core.sdk.kumactl import Group

def _boom(kind):
    if kind == "value":
        raise ValueError("no\\n  such   shelf")
    if kind == "file":
        open("/nowhere/at/all")
    if kind == "bare":
        raise RuntimeError
    if kind == "known":
        raise KumaError("the shelf is full")
    if kind == "usage":
        raise click.UsageError("name a shelf")
    if kind == "exit":
        sys.exit(3)
    click.echo("fine")

@click.group("count", cls=Group)
def count():
    "Count things."

@count.command("shelves")
@click.option("--kind", default="")
def shelves(kind):
    _boom(kind)

def _convert(ctx, param, value):
    raise LookupError("not convertible")

@click.command("tally")
@click.argument("kind")
@click.option("--broken", callback=lambda c, p, v: v and _convert(c, p, v))
def tally(kind, broken):
    _boom(kind)
"""


@pytest.fixture
def failing(machine: Machine) -> Machine:
    for program in PROGRAMS:
        name = program.replace("-", "_")
        machine.bring(name, (program, ("count",), "failing:count"), (program, ("tally",), "failing:tally"))
    machine.write("failing", FAILING)
    return machine


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("count", "shelves", "--kind=value"), "ValueError: no such shelf"),
        (("tally", "value"), "ValueError: no such shelf"),
        (("tally", "file"), "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at/all'"),
        (("tally", "bare"), "RuntimeError: no reason is given"),
        (("tally", "x", "--broken=1"), "LookupError: not convertible"),
    ],
)
def test_a_command_that_raises_names_the_plugin_in_one_sentence(
    failing: Machine, program: str, words: tuple[str, ...], said: str
) -> None:
    done = failing.call(program, *words)
    typed = " ".join((program, *(word for word in words if word in ("count", "shelves", "tally"))))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f'Error: the command "{typed}" of ')
    assert f"failed: {said}. This is a mistake in the plugin" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_our_programs_have_words_for_passes(failing: Machine) -> None:
    assert failing.call("kumactl", "tally", "known").stderr == "Error: the shelf is full\n"
    assert failing.call("kumactl", "tally", "usage").stderr.startswith("Error: name a shelf\n")
    assert failing.call("kumactl", "tally", "exit").returncode == 3
    assert failing.call("kumactl", "tally", "fine").stdout == "fine\n"
    missing = failing.call("kumactl", "tally").stderr
    assert "mistake in the plugin" not in missing


def test_the_traceback_comes_with_the_log_level_debug(failing: Machine) -> None:
    environ = failing.environ({"HOME": str(failing.folder)})
    for words in (["--log-level=debug", "count", "shelves"], ["count", "shelves", "--log-level", "debug"]):
        command = [sys.executable, "-c", PROGRAMS["kumactl"], *words, "--kind=value"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert done.stderr.startswith("Traceback (most recent call last):\n")
        assert 'raise ValueError("no' in done.stderr
        assert done.stderr.splitlines()[-1].startswith('Error: the command "kumactl count shelves" of ')
