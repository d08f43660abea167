"""Which browser the tests use: one of the machine, in this order, or else one from npm, which needs no root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

NAMED, REQUIRED = "KUMA_TEST_BROWSER", "KUMA_REQUIRE_BROWSER"
PACKAGE = "chromium-headless-shell"
PROGRAMS = (PACKAGE, "chromium", "chromium-browser", "google-chrome")
FROM_NPM = "@sparticuz/chromium"


def browser_program() -> str:
    """The path of the browser; skips, or fails where one is required, if there is none."""
    if named := os.environ.get(NAMED):
        return named if os.access(named, os.X_OK) else _none(f"{NAMED}={named} is no program")
    found = next(filter(None, map(shutil.which, PROGRAMS)), "") or _from_npm()
    return found or _none(
        f"there is no {PACKAGE} here: 'apt-get install {PACKAGE}', or 'npm install -g {FROM_NPM}'"
    )


def _from_npm() -> str:
    """The browser that somebody installed from npm for all projects; it unpacks itself and tells its path."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        return ""
    root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
    package = Path(root, FROM_NPM)
    if not (root and package.is_dir()):
        return ""
    script = f"import({str(package)!r} + '/build/esm/index.js').then(async (m) => console.log(await m.default.executablePath()))"
    return subprocess.run([node, "-e", script], capture_output=True, text=True, check=False).stdout.strip()


def _none(why: str) -> NoReturn:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but {why}")
    pytest.skip(why)
