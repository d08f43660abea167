"""Output formats of plugins in kumactl, as their users see them: entry points and processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kuma_core.sdk import OutputFormat

from .test_commands import Machine

FORMAT = """
from kuma_core.sdk import OutputFormat, hookimpl

@hookimpl
def kuma_register_formats():
    return [OutputFormat("names", "the names alone", "naming:names")]
"""
NAMING = """
def names(items):
    return "\\n".join(item["name"] for item in items)
"""
DOCUMENTS = "type: Mesh\nname: shop\n---\ntype: Anything\nname: b.demo\nmesh: shop\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    (tmp_path / "documents.yaml").write_text(DOCUMENTS)
    return made


def apply(machine: Machine, output: str, *words: str, **environ: str) -> tuple[int, str, str]:
    path = str(machine.folder / "documents.yaml")
    done = machine.call("kumactl", "apply", "-f", path, "-o", output, *words, **environ)
    return done.returncode, done.stdout, done.stderr


def test_hook_kuma_register_formats(machine: Machine) -> None:
    """No server is asked: none runs."""
    machine.add("acme", FORMAT)
    machine.write("naming", NAMING)
    assert apply(machine, "names") == (0, "shop\nb.demo\n", "")
    assert machine.plugins()["acme"]["provides"] == ["output format names"]
    code, out, err = apply(machine, "nams")
    assert (code, out) == (1, "")
    assert err.startswith('Error: unknown output format "nams"; use table, yaml, json, ')
    assert "names" in err


@pytest.mark.parametrize("flag", ["--dry-run", "--dry-run=xds", "--wait"])
def test_a_format_of_a_plugin_sends_nothing(machine: Machine, flag: str) -> None:
    machine.add("acme", FORMAT)
    machine.write("naming", NAMING)
    code, out, err = apply(machine, "names", flag)
    assert (code, out) == (1, "")
    assert err.startswith("Error: -o names prints the documents and sends nothing: leave --")


def test_documents_are_checked_before(machine: Machine) -> None:
    machine.add("acme", FORMAT)
    machine.write("naming", NAMING)
    (machine.folder / "documents.yaml").write_text("type: Mesh\n---\n- 1\n---\nname: a\n")
    code, out, err = apply(machine, "names")
    assert (code, out) == (1, "")
    assert [line.partition(": ")[2] for line in err.splitlines()[1:]] == [
        "Name field cannot be empty",
        "a resource must be a mapping, but this is a list",
        "Type field cannot be empty",
    ]


@pytest.mark.parametrize(
    ("hook", "naming", "said"),
    [
        (
            FORMAT,
            "def names(items): raise OSError('no ink')",
            'the output format "names" failed: OSError: no ink',
        ),
        (FORMAT, "raise SystemExit(0)", 'the output format "names" failed: SystemExit: 0'),
        (FORMAT.replace("OutputFormat(", "("), NAMING, "which is no OutputFormat"),
        (FORMAT.replace("return", "raise"), NAMING, "kuma_register_formats failed: TypeError"),
    ],
)
def test_a_broken_format_names_its_plugin(machine: Machine, hook: str, naming: str, said: str) -> None:
    machine.add("acme", hook)
    machine.write("naming", naming)
    code, out, err = apply(machine, "names")
    assert (code, out) == (1, "")
    assert err.startswith('Error: plugin "acme" (acme-acme 3.1): ')
    assert said in err


def test_two_formats_of_one_name(machine: Machine) -> None:
    machine.add("acme", FORMAT)
    machine.add("other", FORMAT)
    machine.write("naming", NAMING)
    code, _, err = apply(machine, "names")
    assert code == 1
    assert 'plugin "acme" (acme-acme 3.1) and plugin "other" (acme-other 3.1) bring the output format' in err
    assert apply(machine, "names", KUMA_PLUGINS="no:other") == (0, "shop\nb.demo\n", "")


def test_a_format_of_ours_that_is_not_chosen_names_its_package(machine: Machine) -> None:
    code, _, err = apply(machine, "kubernetes", KUMA_PLUGINS="")
    assert code == 1
    assert "it comes with the package kuma-store-k8s: pip install" in err
    assert os.linesep in err


@pytest.mark.parametrize(
    "values",
    [("Names", "x", "a:b"), ("table", "x", "a:b"), ("a", "", "a:b"), ("a", "x\ny", "a:b"), ("a", "x", "ab")],
)
def test_what_is_no_format(values: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="output format"):
        OutputFormat(*values)
