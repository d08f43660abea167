"""What tests of the pages share: a page that goes nowhere else, accessibility, and meshes to look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

import kuma_ca_builtin
import kuma_gui
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.platform import RunningPlatform, running_platform
from plugins.gui import build_web

from .finding import browser_program
from .pictures import smaller

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
LOOKS = [pytest.param(NARROW, "dark", id="narrow-dark"), pytest.param(WIDE, "light", id="wide-light")]
"""Each width and each theme once: what is wrong with a width is so in both themes, and the other way round."""
EVERY_LOOK = [
    *LOOKS,
    pytest.param(NARROW, "light", id="narrow-light", marks=pytest.mark.chaos),
    pytest.param(WIDE, "dark", id="wide-dark", marks=pytest.mark.chaos),
]
PATIENCE_MILLISECONDS = 30_000
AXE = build_web.WEB / "node_modules/axe-core/axe.min.js"
expect.set_options(timeout=PATIENCE_MILLISECONDS)  # the machine may be ten times slower than one thinks
PLUGINS = [kuma_store_memory, kuma_ca_builtin, kuma_policy_traffic, kuma_gui]


class Tab:
    """A tab of a browser at the GUI of a control plane; ``foreign`` are requests to other hosts, ``errors`` what its
    console complained of."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.page: Page = context.new_page()
        self.origin, self.foreign, self.errors = origin, list[str](), list[str]()
        self.requests: list[str] = []
        self.page.on("request", self._requested)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str) -> Page:
        """Open a page and wait until its heading is there."""
        self.page.goto(self.origin + path)
        self.page.locator("h1").wait_for()
        return self.page

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        self.requests.append(request.url.removeprefix(self.origin))
        if f"{parts.scheme}://{parts.netloc}" != self.origin and parts.scheme not in (
            "data",
            "blob",
            "about",
        ):
            self.foreign.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def leave(self) -> None:
        """Leave the page whose errors were wanted, which it may meet again at any moment, and forget them."""
        self.page.goto("about:blank")
        self.errors.clear()

    def api_requests(self) -> list[str]:
        """The paths of the REST API that this page has read so far."""
        return [path for path in self.requests if path.startswith("/api/")]


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page: each rule with the elements."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return [f"{item['id']}: {[node['html'] for node in item['nodes'][:3]]}" for item in found]


@contextmanager
def context_of(
    browser: Browser, size: dict[str, int] = WIDE, theme: str = "light", is_first: bool = False
) -> Iterator[BrowserContext]:
    """A browser's profile of its own, without any history, but for the first steps, which it has seen unless it
    ``is_first``."""
    context = browser.new_context(
        locale="en-US", timezone_id="UTC", viewport=size, color_scheme=theme, reduced_motion="reduce"
    )  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    if not is_first:
        context.add_init_script("try { localStorage.setItem('kuma.firstRun', 'done') } catch {}")
    try:
        yield context
    finally:
        context.close()


@contextmanager
def tab_inside(words: list[str], folder: Path, origin: str) -> Iterator[Tab]:
    """A tab of a browser that sees the machine of a network namespace for the first time; ``words`` enter that."""
    program = folder / "browser"
    program.write_text(f'#!/bin/sh\nexec {" ".join(words)} {browser_program()} "$@"\n')
    program.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with context_of(browser, is_first=True) as context:
            yield Tab(context, origin)
        browser.close()


@contextmanager
def gui_platform(*more: Any, **settings: str) -> Iterator[RunningPlatform]:
    """A control plane with the GUI and every plugin of ours that it shows, and with ``more``."""
    with running_platform([*PLUGINS, *more], {"KUMA_GUI_SERVER_INTERFACE": "127.0.0.1", **settings}) as cp:
        yield cp


def origin_of(cp: RunningPlatform) -> str:
    """Where the GUI of a control plane is."""
    return f"http://127.0.0.1:{cp.gui}"


def picture(page: Page, name: str) -> None:
    """Keep a picture for the documentation, where ``KUMA_TEST_PICTURES`` names the folder for it."""
    if folder := os.environ.get("KUMA_TEST_PICTURES"):
        Path(folder, f"{name}.png").write_bytes(smaller(page.screenshot()))
