"""Text says why by itself: it never points at a chapter of a document that this repository does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("kuma_core", "plugins", "tests", "docs", "examples", "conf", "packaging")
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".sh", ".conf", ".service", ".sql", ".toml", ".cfg"}

POINTERS = [
    r"\b(?:API|[Dd]ata[ -]plane|[Cc]ommand[ -]line) specification\b",
    r"\b[Ss]pecification of the \w",
    r"\b(?:[Ss]pecification|[Dd]ata plane|[Aa]rchitecture|[Cc]ommand line|[Kk]ubernetes),? \d",
    r"\b(?:GUI|gui), (?:\d|[A-D]\d?\b)",
    r"\b[Ss]tances?\b|_[s]tances?_",
    r"\b[Qq]uirk [a-z]\b|_[q]uirk_",
    r"\b[Ss]ections? \d|_section_\d",
    r"\b[Ww]orked examples? \d|_worked_example_\d",
    r"\b[Pp]rotocol rules? \d|_rules?_\d+_\d",
    r"[a-z`.] \(\d{1,2}\.\d{1,2}\b(?!\.\d)[^)%a-z]*\)|; \d{1,2}\.\d{1,2}\)",
    r'(?:"""|# |# -- )\d{1,2}\.\d{1,2}: ',
    r"\bdef test_\d{1,2}_\d{1,2}_[a-z]|\bdef test_\d{1,2}_steps?_",
]
"""Chapters, numbers in brackets, and names of tests that begin with a number; ``docs/reference/conformance.md``
explains the numbers of scenarios, which stay."""

POINTER = re.compile("|".join(f"(?:{pattern})" for pattern in POINTERS))


def pointers(text: str) -> Iterator[str]:
    """Give the number and the text of each line that holds a pointer."""
    for number, line in enumerate(text.splitlines(), 1):
        if POINTER.search(line):
            yield f"{number}: {line.strip()}"


@pytest.mark.parametrize(
    "line",
    [
        "its one shape ({}, 2.5)".format("API " + "specification"),
        "the {} of the command line says so".format("specification"),
        "secrets come first ({}, 5)".format("data plane"),
        "tokens are asked for (stan{} 4)".format("ce"),
        "def test_stan{}_9_it_is_accepted():".format("ce"),
        "what an outbound is {}".format("(2.4)"),
        "what an outbound is {}.".format("(2.4, 5)"),
        "# {} rules between settings".format("5.3:"),
        "def test_{}kumactl_adds():".format("7_8_"),
        "def test_rule_{}_a_listener_first():".format("12_5"),
    ],
)
def test_a_pointer_is_found(line: str) -> None:
    assert list(pointers(line)) == [f"1: {line}"]


@pytest.mark.parametrize(
    "line",
    [
        "an instance of Kuma 0.3.1 (0.3.1) at 10.0.0.1",
        "RETRY_AFTER_SECONDS = (0.2, 0.4, 0.8)",
        "time.sleep(0.05)",
        "def test_scenarios_27_28_29_nobody_may_come_in():",
        "def test_1_000_streams_at_once():",
        "def test_tls_1_2_and_newer():",
    ],
)
def test_other_numbers_are_left_alone(line: str) -> None:
    assert list(pointers(line)) == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_text_points_outside_this_repository(room: str) -> None:
    files = [path for path in (ROOT / room).rglob("*") if path.suffix in SUFFIXES and path.is_file()]
    assert files
    found = [f"{path.relative_to(ROOT)}:{it}" for path in files for it in pointers(path.read_text())]
    assert found == [], "say the reason in a few words, or drop it:\n" + "\n".join(found)
