"""The reference pages of kuma-dp and kuma-tcp-echo name everything that the programs know."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from kuma_core.dataplane.kuma_dp import kuma_dp
from kuma_core.dataplane.settings import OPTIONS
from kuma_core.dataplane.tcp_echo import _Parser

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


def row(text: str, first_cell: str) -> list[str]:
    """The cells of the one table row that begins with this text."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {first_cell}")]
    assert len(rows) == 1, f"{first_cell} has {len(rows)} lines"
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_setting_of_kuma_dp_has_a_row_with_its_default(option: object) -> None:
    rows = [line for line in page("kuma-dp").splitlines() if f"| `{option.env}` |" in line]  # type: ignore[attr-defined]
    assert len(rows) == 1
    flag, _, default, meaning = (cell.strip() for cell in rows[0].strip("|").split("|"))
    assert flag == (f"`{option.flag}`" if option.flag else "none")  # type: ignore[attr-defined]
    assert meaning
    expected = f"`{option.default}`" if option.default else ""  # type: ignore[attr-defined]
    assert default.startswith(expected or ("none", "empty"))


def test_the_page_of_kuma_dp_names_no_setting_that_does_not_exist() -> None:
    text = page("kuma-dp")
    known = {option.env for option in OPTIONS} | {"KUMA_GENERAL_ADVERTISED_HOSTNAME"}
    assert set(re.findall(r"KUMA_[A-Z_]+", text)) <= known


def all_flags(command: click.Command) -> set[str]:
    flags = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    for child in getattr(command, "commands", {}).values():
        flags |= all_flags(child)
    return {flag for flag in flags if flag.startswith("-")}


def test_every_flag_and_command_of_kuma_dp_is_named() -> None:
    text = page("kuma-dp")
    assert {flag for flag in all_flags(kuma_dp) if f"`{flag}`" not in text} == set()
    assert {name for name in kuma_dp.commands if f"| `kuma-dp {name}` |" not in text} == set()


def test_every_flag_of_kuma_tcp_echo_has_a_row() -> None:
    text = page("kuma-tcp-echo")
    flags = [action.option_strings[0] for action in _Parser()._actions if action.option_strings]
    assert len(flags) == 6
    for flag in flags:
        assert row(text, f"`{flag}")[-1]


def source_sentences() -> list[str]:
    """The beginnings of the error sentences that kuma-dp's modules hold, up to the first inserted value."""
    folder = Path(__file__).parents[2] / "kuma_core" / "dataplane"
    text = "".join(path.read_text() for path in sorted(folder.glob("*.py")) if path.name != "tcp_echo.py")
    raised = re.findall(
        r"(?:KumaError|_bootstrap_error|_catalog_error|ConfigError)\(\s*f?[\"']([^\"'{:]{12,})", text
    )
    return [sentence.strip() for sentence in raised]


def test_every_error_of_kuma_dp_is_listed() -> None:
    sentences = source_sentences()
    assert len(sentences) > 10
    text = page("kuma-dp")
    known_elsewhere = {"the preparation of Envoy ended with status"}  # a bug, not something a user can do
    missing = [s for s in sentences if s not in known_elsewhere and s.split(".")[0] not in text]
    assert missing == []
