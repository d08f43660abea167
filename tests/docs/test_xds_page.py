"""The page on the xDS protocol, compared with the tests that it names and the numbers of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from kuma_core.xds.server.ordering import RETURN_SECONDS
from kuma_core.xds.server.refusals import BACKOFF_SECONDS, JITTER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "xds.md").read_text()


def written_in(*folders: str) -> set[str]:
    """The names of all test functions in some folders."""
    files = [file for folder in folders for file in (ROOT / "tests" / folder).glob("test_*.py")]
    trees = [ast.parse(file.read_text()) for file in files]
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 50
    assert len(named) == len(set(named)), "a test is named twice"
    assert set(named) - written_in("xds", "end_to_end", "security") == set()


def test_every_raw_exchange_stands_on_the_page() -> None:
    source = ast.parse((ROOT / "tests" / "xds" / "test_exchanges.py").read_text())
    written = {item.name for item in source.body if isinstance(item, ast.FunctionDef)}
    exchanges = {name for name in written if name.startswith("test_")}
    assert exchanges - set(re.findall(r"`(test_\w+)`", PAGE)) == set()


def test_every_rule_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("|---")]
    rules = [row for row in rows if not row.startswith("| the protocol |")]
    assert rules
    assert [row for row in rules if "`test_" not in row] == []


def test_the_waits_are_those_of_the_code() -> None:
    *first, last = BACKOFF_SECONDS
    assert f"{', '.join(map(str, first))} and then every {last} s" in PAGE
    assert JITTER == 0.1, "the page says a tenth"
    assert f"for {RETURN_SECONDS:.0f} s only" in PAGE
