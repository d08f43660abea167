"""The steps of the newcomer's walkthrough that look at the GUI, on its well-known port, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

pytest.importorskip("playwright", reason="the pages need a browser: make install")

from playwright.sync_api import Page, expect

from plugins.gui import build_web
from plugins.gui.tests.browser.support import tab_inside

from ..namespaces import network_namespace
from .support import Shell
from .test_walkthrough import ECHO

GUI = "http://localhost:5683"


@pytest.fixture(scope="module")
def near() -> Iterator[list[str]]:
    with network_namespace() as words:
        yield words


@pytest.fixture(scope="module")
def machine(near: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A control plane that nobody has used yet."""
    build_web.ensure_pages()
    with ExitStack() as stack:
        shell = Shell(tmp_path_factory.mktemp("home"), stack, near)
        shell.control_plane()
        yield shell


@pytest.fixture(scope="module")
def page(near: list[str], machine: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser on that machine, which it sees for the first time."""
    with tab_inside(near, tmp_path_factory.mktemp("browser"), GUI) as tab:
        yield tab.page


def test_the_gui_opens_its_first_run_page(page: Page) -> None:
    page.goto(GUI)
    expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("universal", ignore_case=True)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("main")).to_contain_text("kuma-dp run")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("The mesh has no dataplanes.")).to_be_visible()


def test_the_wizard_shows_a_dataplane_that_comes(page: Page, machine: Shell) -> None:
    """Nothing is pressed in the browser."""
    machine.good("kumactl apply -f -", yaml.safe_dump(ECHO))
    expect(page.get_by_text("The mesh has one dataplane.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="dp-echo-1")
    expect(row).to_contain_text("Never connected")
    machine.good("kumactl generate dataplane-token --dataplane=dp-echo-1 > token")
    machine.start("kuma-dp run --name=dp-echo-1 --dataplane-token-file=token")
    expect(row).to_contain_text("Online", timeout=60_000)
    page.get_by_role("button", name="See the mesh").click()
    expect(page.locator("#sidebar select")).to_have_value("default")


def test_the_gui_says_what_0_3_2_says_of_itself(machine: Shell, tmp_path: Path) -> None:
    told = yaml.safe_load(machine.good(f"curl -s {GUI}/config"))
    assert (told["apiUrl"], told["environment"]) == ("/api", "universal")
    assert yaml.safe_load(machine.good(f"curl -s {GUI}/api/"))["tagline"] == "Kuma"
