"""The page on conformance names files that are there, all of them, and the true number of cases."""

from __future__ import annotations

import re
from pathlib import Path

from .strategies import SPECS
from .test_properties import CASES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/conformance.md").read_text()
PROPERTIES = 4
"""A round trip, two ways to be broken, and anything in one place."""


SCENARIOS = 70
NUMBERS = re.compile(r"scenarios?((?:_(?:and_)?\d+)+)")
ROW = re.compile(r"^\| ([\d, ]+) \| .* \| (`.*`) \|$", re.MULTILINE)
NOT_BUILT = re.compile(r"^Not built yet, and not tested: ([\d, ]+),", re.MULTILINE)


def proved_in(path: Path) -> set[int]:
    """The scenarios that the tests of a file carry in their names."""
    names = re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    told = [text for name in names for text in NUMBERS.findall(name)]
    return {int(number) for text in told for number in re.findall(r"\d+", text)}


def test_every_scenario_is_proved_where_the_page_says() -> None:
    rows = [(set(map(int, numbers.split(", "))), files) for numbers, files in ROW.findall(PAGE)]
    for numbers, files in rows:
        for name in re.findall(r"`([\w/]+\.py)`", files):
            missing = numbers - proved_in(ROOT / name)
            assert missing == set(), f"{name} has no test named after {missing}"
    (text,) = NOT_BUILT.findall(PAGE)
    absent = set(map(int, text.split(", ")))
    told = set().union(*(numbers for numbers, _ in rows))
    assert told | absent == set(range(1, SCENARIOS + 1))
    assert not told & absent


def test_the_page_names_every_file() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert all((ROOT / name).is_file() for name in named)
    here = {str(path.relative_to(ROOT)) for path in Path(__file__).parent.rglob("test_*.py")}
    assert here - named == {"tests/conformance/test_page.py"}


def test_the_page_says_how_many_cases_there_are() -> None:
    total = f"{CASES * len(SPECS) * PROPERTIES:,}".replace(",", " ")
    assert f"{CASES} for each kind and property, {total} in all" in PAGE
