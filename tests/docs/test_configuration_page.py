"""The page of the configuration has a line for every key, and no other line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.config import Setting, build_config
from kuma_core.documents import load_documents

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for cells in ([cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines())
    if re.fullmatch(r"\| *`[a-zA-Z.]+`", f"| {cells[0]}") and len(cells) == 5
}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.path)
def test_every_key_has_a_line(setting: Setting) -> None:
    _, variables, type_, default, help_ = ROWS[setting.path]
    assert variables == ", ".join(f"`{name}`" for name in (setting.env, *setting.aliases))
    assert type_ == setting.type.name
    assert default
    assert help_ == setting.help


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.path)
def test_every_default_is_what_the_page_says(setting: Setting) -> None:
    shown = ROWS[setting.path][3]
    text = "" if shown == "empty" else shown.strip("`").replace("\\n", "\n")
    assert setting.type.from_text(text) == setting.default


def test_every_line_is_a_key() -> None:
    assert set(ROWS) == {setting.path for setting in SETTINGS}


def test_every_key_says_what_it_is_for() -> None:
    assert [item.path for item in SETTINGS if len(item.help) < 10 or item.help[-1] not in ".…"] == []


def test_one_command_rewrites_the_page() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, f"{checked.stdout}run python docs/generate.py{checked.stderr}"


def test_the_example_is_a_configuration() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = build_config(SETTINGS, load_documents(block, "the page")[0], "the page", {})
    assert config.warnings == ()
    assert config.text("general.advertisedHostname") == "cp.example.com"
