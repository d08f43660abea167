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


def test_the_page_names_every_file() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert all((ROOT / name).is_file() for name in named)
    here = {str(path.relative_to(ROOT)) for path in Path(__file__).parent.rglob("test_*.py")}
    assert here - named == {"tests/conformance/test_page.py"}


def test_the_page_says_how_many_cases_there_are() -> None:
    total = f"{CASES * len(SPECS) * PROPERTIES:,}".replace(",", " ")
    assert f"{CASES} for each kind and property, {total} in all" in PAGE
