"""Which browser the tests use: one of the machine, in this order, or else one from npm, which needs no root."""

from __future__ import annotations

import json
import os
import shutil
from typing import NoReturn

import pytest

from plugins.gui import build_web

NAMED, REQUIRED = "KUMA_TEST_BROWSER", "KUMA_REQUIRE_BROWSER"
PACKAGE = "chromium-headless-shell"
PROGRAMS = (PACKAGE, "chromium", "chromium-browser", "google-chrome")
FROM_NPM, PLACE = "@sparticuz/chromium", build_web.HERE / ".browser"
UNPACK = (
    "import(require('module').createRequire({place}).resolve({name}))"
    ".then(async (found) => console.log(await found.default.executablePath()))"
)


def browser_program() -> str:
    """The path of the browser; skips, or fails where one is required, if there is none."""
    if named := os.environ.get(NAMED):
        return named if os.access(named, os.X_OK) else _none(f"{NAMED}={named} is no program")
    found = next(filter(None, map(shutil.which, PROGRAMS)), "") or _from_npm()
    return found or _none(
        f"there is no browser here: 'apt-get install {PACKAGE}', or 'npm install --prefix {PLACE} {FROM_NPM}'"
    )


def _from_npm() -> str:
    """The browser of the package in ``.browser``, which unpacks itself; fetched where a browser is required."""
    package = PLACE / "node_modules" / FROM_NPM
    if os.environ.get(REQUIRED) == "1" and not package.is_dir():
        build_web.any_node().npm("install", "--no-save", "--prefix", str(PLACE), FROM_NPM)
    if not package.is_dir():
        return ""
    script = UNPACK.format(place=json.dumps(f"{PLACE}/"), name=json.dumps(FROM_NPM))
    return build_web.any_node().output("-e", script)


def _none(why: str) -> NoReturn:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but {why}")
    pytest.skip(why)
