"""Cells and tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kuma_core.kumactl.table import cell, duration, layout, timestamp
from kuma_core.model import CellFormat, Column

NOW = datetime(2020, 1, 1, 0, 1, tzinfo=UTC)
ITEM = {
    "text": "a",
    "number": 3,
    "on": True,
    "off": False,
    "none": None,
    "object": {"b": {"x": 1}, "a": None},
    "list": [{"n": "1"}, {"n": 2}, {"n": "x"}, {}, 4],
    "when": ["2020-01-01T00:00:00Z", "2020-01-01T01:00:30+01:00", "nonsense"],
    "tags": [{"k": "b", "a": "1"}, {"k": "a"}, 3, {"k": "b"}],
}


@pytest.mark.parametrize(
    ("path", "cell_format", "default", "shown"),
    [
        ("text", CellFormat.TEXT, "", "a"),
        ("number", CellFormat.TEXT, "", "3"),
        ("on", CellFormat.TEXT, "", "true"),
        ("none", CellFormat.TEXT, "-", "-"),
        ("text.deeper", CellFormat.TEXT, "-", "-"),
        ("gone.*.x", CellFormat.TEXT, "-", "-"),
        ("gone", CellFormat.TEXT, "", ""),
        ("object?", CellFormat.TEXT, "", "b,a"),
        ("gone?", CellFormat.TEXT, "off", "off"),
        ("object.*.x", CellFormat.TEXT, "", "1"),
        ("text | number", CellFormat.TEXT, "", "a,3"),
        ("list.*.n", CellFormat.SUM, "", "3"),
        ("gone", CellFormat.SUM, "", "0"),
        ("on", CellFormat.ON_OFF, "", "on"),
        ("off", CellFormat.ON_OFF, "", "off"),
        ("gone", CellFormat.ON_OFF, "", "off"),
        ("text", CellFormat.ON_OFF, "", "off"),
        ("when.*", CellFormat.AGE, "", "30s"),
        ("gone", CellFormat.AGE, "", "never"),
        ("gone", CellFormat.AGE, "unknown", "unknown"),
        ("tags.*", CellFormat.TAGS, "", "a=1 k=a,b"),
    ],
)
def test_cells(path: str, cell_format: CellFormat, default: str, shown: str) -> None:
    assert cell(ITEM, Column("H", path, cell_format, default), NOW) == shown


def test_the_layout_rule() -> None:
    assert layout(["A", "LONG", "C"], [["aaa", "b", "c"], ["", "", ""]]) == (
        "A     LONG   C\naaa   b      c\n             "
    )
    assert layout(["A", "B"], []) == "A   B"


def test_a_cell_neither_breaks_its_line_nor_commands_the_terminal() -> None:
    assert layout(["A"], [["x\ny\x1b[31m"]]).count("\n") == 1
    assert "\x1b" not in layout(["A"], [["x\ny\x1b[31m"]])


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (14.99, "14s"),
        (120, "2m0s"),
        (3723, "1h2m3s"),
        (3600, "1h0m0s"),
        (26 * 3600 + 9, "26h0m9s"),
        (-3.5, "-3s"),
        (-0.5, "0s"),
    ],
)
def test_ages_in_the_notation_of_go(seconds: float, shown: str) -> None:
    assert duration(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize("value", [None, 3, "", "x", "2020", "2020-13-01T00:00:00Z", "9" * 50])
def test_what_is_no_timestamp(value: Any) -> None:
    assert timestamp(value) is None or value == "2020"
