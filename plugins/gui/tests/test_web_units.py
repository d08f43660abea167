"""What of the pages needs no browser: the tests beside their sources, run by Node's own runner."""

from __future__ import annotations

import pytest

from plugins.gui import build_web


def test_units_of_the_pages() -> None:
    node = build_web._node()
    if node is None:
        pytest.skip("the pages' own tests need Node.js 22 or newer: make install")
    files = sorted(str(path) for path in build_web.WEB.glob("src/**/*.test.ts"))
    assert files
    try:
        said = node.output("--test", "--experimental-strip-types", *files)
    except build_web.BuildFailed as problem:
        pytest.fail(str(problem))
    assert "fail 0" in said
