"""A browser for the tests of this folder, and tabs that may ask nobody but the control plane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

pytest.importorskip("playwright", reason="the pages need a browser: make install")

from playwright.sync_api import Browser, expect, sync_playwright

from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from plugins.gui import build_web

from . import meshes, support
from .finding import browser_program

# Every other name leads nowhere; what a tab asks for nevertheless is counted. --no-sandbox: CI is root in a container.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for this folder: while it is there, nothing else of this process may run an event loop in this thread."""
    program = browser_program()
    build_web.ensure_pages()
    build_web.ensure_tools()
    expect.set_options(timeout=support.PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """A control plane with the GUI for all tests of a module; each has a mesh of its own, or changes nothing."""
    with support.gui_platform() as running:
        yield running


@pytest.fixture(scope="module")
def shop(cp: RunningPlatform) -> Iterator[RunningPlatform]:
    """The mesh ``shop``, whose proxies are connected."""
    cp.apply(*meshes.shop("shop"))
    with fleet(cp) as envoys:
        for name in meshes.SHOP_PROXIES:
            envoys.connect(DeltaClient(f"shop.{name}"))
        eventually(lambda: cp.get("/meshes/shop/overview").body["dataplanes"]["online"] == 3)
        eventually(lambda: cp.get("/meshes/shop/overview").body["current"])
        yield cp


OpenTab = Callable[..., support.Tab]


@pytest.fixture
def open_tab(browser: Browser, cp: RunningPlatform) -> Iterator[OpenTab]:
    """Opens a tab at a path: ``open_tab("/meshes/default", size=NARROW, theme="dark")``. Afterwards nobody may have
    asked another host, and no page may have failed; a test that wants failures empties ``errors``."""
    tabs: list[support.Tab] = []
    with ExitStack() as stack:

        def opened(path: str = "/", size: dict[str, int] = support.WIDE, theme: str = "light") -> support.Tab:
            context = stack.enter_context(support.context_of(browser, size, theme))
            tab = support.Tab(context, support.origin_of(cp))
            tabs.append(tab)
            tab.open(path)
            return tab

        yield opened
        assert [tab.foreign for tab in tabs if tab.foreign] == []
        assert [tab.errors for tab in tabs if tab.errors] == []
