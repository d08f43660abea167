"""The page of kumactl has a section for every command and a line for every flag, and none for others."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from kuma_core.kumactl.default_file import DEFAULT_TEXT
from kuma_core.kumactl.main import build
from kuma_core.testing.commands import every_command

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "kumactl.md").read_text()
GLOBAL = {"--config-file", "--mesh", "--log-level", "-h", "--help"}


COMMANDS = dict(every_command(build()))
SECTIONS = dict(re.findall(r"^#{2,3} (.+?)\n(.*?)(?=^#{2,3} |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def flags_in(section: str) -> set[str]:
    """The flags that begin the rows of a section's table."""
    cells = re.findall(r"^\| (`-.*?) \| ", section, re.MULTILINE)
    return {flag for cell in cells for flag in re.findall(r"(?:`|, )(--?[a-z-]+)", cell)}


def flags_of(command: click.Command) -> set[str]:
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    return {flag for option in options for flag in option.opts} - GLOBAL


@pytest.mark.parametrize("path", sorted(set(COMMANDS) - {"kumactl"}))
def test_every_command_has_a_section_with_exactly_its_flags(path: str) -> None:
    assert path in SECTIONS, f"docs/reference/kumactl.md has no section `### {path}`"
    assert flags_in(SECTIONS[path]) == flags_of(COMMANDS[path])


def test_every_section_of_a_command_is_one() -> None:
    assert {title for title in SECTIONS if title.startswith("kumactl ")} == set(COMMANDS) - {"kumactl"}


def test_the_global_flags() -> None:
    assert flags_in(SECTIONS["Global flags"]) == GLOBAL
    assert {flag for p in COMMANDS["kumactl"].params for flag in p.opts} == GLOBAL - {"-h", "--help"}


def test_the_default_configuration() -> None:
    assert f"```yaml\n{DEFAULT_TEXT}```" in SECTIONS["Configuration file"]
