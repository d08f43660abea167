"""What stands around every page: where the reader is, and what keys do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform

from .conftest import OpenTab
from .support import LOOKS, NARROW, violations

LIST = "/meshes/default/dataplanes"
MARKUP = "</option></title></script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", autouse=True)
def two_meshes(cp: RunningPlatform) -> None:
    """What addresses lead to is there: a browser complains of each 404."""
    alone = dataplane("of-one-mesh-alone", inbound("127.0.0.1:8081:80", "web"), mesh="shop")
    template = {
        "type": "ProxyTemplate",
        "mesh": "default",
        "name": "p-1",
        "conf": {"imports": ["default-proxy"]},
    }
    cp.apply(mesh("shop"), alone, template)
    cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web", zone=MARKUP)))
    cp.catch_up()


@pytest.fixture
def page(open_tab: OpenTab) -> Iterator[Page]:
    return open_tab(LIST).page


def address(page: Page) -> str:
    return page.evaluate("location.pathname + location.search + location.hash")


def meshes(page: Page) -> Locator:
    """The choice of a mesh; other parts of pages are called after meshes, too."""
    return page.get_by_role("navigation", name="Pages", exact=True).get_by_role("combobox")


def test_the_header_tells_which_control_plane_this_is(page: Page) -> None:
    header = page.get_by_role("banner")
    expect(header.locator(".told")).to_contain_text("universal · store memory")
    expect(header.get_by_role("button", name="Live")).to_be_visible()
    assert page.title() == "Dataplanes · Kuma"


def test_another_mesh_shows_the_same_kind_of_page(page: Page) -> None:
    meshes(page).select_option("shop")
    expect(
        page.get_by_role("navigation", name="Pages", exact=True).get_by_role("heading", name="shop")
    ).to_be_visible()
    assert address(page) == "/meshes/shop/dataplanes"
    page.goto(page.url + "/of-one-mesh-alone")
    meshes(page).select_option("default")
    expect(page.get_by_role("heading", name="Dataplanes")).to_be_visible()
    assert address(page) == LIST
    meshes(page).select_option("All meshes")
    assert address(page) == "/"
    page.go_back()
    expect(meshes(page)).to_have_value("default")


def test_a_mesh_that_comes_is_there_to_be_chosen(cp: RunningPlatform, page: Page) -> None:
    cp.apply(mesh("new"))
    expect(meshes(page).locator("option", has_text="new")).to_be_attached()
    cp.delete("/meshes/new")
    expect(meshes(page).locator("option", has_text="new")).not_to_be_attached()


@pytest.mark.parametrize(
    ("keys", "leads_to"),
    [
        ("gm", "/meshes/default/map"),
        ("go", "/"),
        ("gs", "/meshes/default/services"),
        ("ge", "/meshes/default/explain"),
        ("gh", "/meshes/default"),
    ],
)
def test_two_keys_lead_to_a_page(page: Page, keys: str, leads_to: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function("path => location.pathname === path", arg=leads_to)
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_function("path => location.pathname === path", arg=LIST)


def test_a_letter_in_a_field_is_a_letter(page: Page) -> None:
    search = page.get_by_role("searchbox")
    search.wait_for()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("gd?/")
    expect(search).to_have_value("gd?/")
    page.wait_for_function("() => location.search === '?q=gd%3F%2F'")
    page.keyboard.press("Escape")
    expect(search).not_to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_attached()


def test_the_palette_leads_to_anything_by_its_name(page: Page) -> None:
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Go to")
    expect(field).to_be_focused()
    expect(page.get_by_role("option", name="shop mesh")).to_be_visible()
    page.keyboard.type("web")
    expect(page.get_by_role("option", name="web-1 dataplane")).to_be_visible()
    expect(page.get_by_role("option", name="web service", exact=True)).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.get_by_role("option", name="web-1 dataplane").click()
    expect(page.get_by_role("dialog")).not_to_be_attached()
    assert address(page) == f"{LIST}/web-1"
    page.keyboard.press("Control+k")
    expect(field).to_be_focused()
    page.keyboard.type("traffic route")
    expect(page.get_by_role("option", name="Traffic Route policies of default")).to_have_attribute(
        "aria-selected", "true"
    )
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.pathname === '/meshes/default/policies/traffic-routes'")


def test_a_narrow_screen_has_the_sidebar_behind_a_button(open_tab: OpenTab) -> None:
    page = open_tab(LIST, size=NARROW).page
    sidebar = page.get_by_role("navigation", name="Pages", exact=True)
    expect(sidebar).not_to_be_visible()
    page.get_by_role("button", name="Menu").click()
    expect(sidebar).to_be_visible()
    assert violations(page) == []
    sidebar.get_by_role("link", name="Services").click()
    expect(sidebar).not_to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_anybody_can_read_the_frame(open_tab: OpenTab, size: dict[str, int], theme: str) -> None:
    page = open_tab(LIST, size=size, theme=theme).page
    expect(page.get_by_text("web-1").first).to_be_visible()
    assert violations(page) == []
    page.evaluate("document.querySelector('main').focus()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_the_reader_may_choose_the_colours(open_tab: OpenTab) -> None:
    page = open_tab(LIST).page
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    colours = page.get_by_role("button", name="Colours")
    colours.click()
    colours.click()
    assert page.evaluate(background) != light
    page.reload()
    page.locator("h1").wait_for()
    assert page.evaluate(background) != light


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/#/", "/"),
        ("/#/overview", "/"),
        ("/#/get-started/welcome", "/first-run"),
        ("/#/default/overview", "/meshes/default"),
        ("/#/default", "/meshes/default"),
        ("/#/default/dataplanes", LIST),
        ("/#/default/dataplanes/web-1", f"{LIST}/web-1"),
        ("/#/default/traffic-log", "/meshes/default/policies/traffic-logs"),
        ("/#/default/proxy-templates/p-1", "/meshes/default/policies/proxytemplates/p-1"),
        ("/#/default/health-checks", "/meshes/default/policies/health-checks"),
    ],
)
def test_addresses_of_0_3_2_lead_to_the_pages_of_today(page: Page, old: str, new: str) -> None:
    page.goto(page.evaluate("location.origin") + old)
    page.wait_for_function("address => location.pathname + location.hash === address", arg=new)
    page.goto("about:blank")


def test_a_page_that_is_none_says_so(open_tab: OpenTab) -> None:
    tab = open_tab(LIST)
    page = tab.open("/nowhere/at/all")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    assert tab.errors == ["Failed to load resource: the server responded with a status of 404 (Not Found)"]
    tab.errors.clear()


def test_an_error_has_the_words_of_the_api(open_tab: OpenTab) -> None:
    tab = open_tab(f"{LIST}?q=colour:red")
    problem = tab.page.get_by_role("alert")
    expect(problem).to_contain_text("colour")
    assert violations(tab.page) == []
    tab.page.get_by_role("button", name="Try again").click()
    expect(problem).to_contain_text("colour")
    tab.errors.clear()


def test_a_page_of_a_few_requests(open_tab: OpenTab) -> None:
    """Each is read once; the stream of events is one more."""
    tab = open_tab(LIST)
    expect(tab.page.get_by_text("web-1").first).to_be_visible()
    expect(tab.page.locator(".told")).to_be_visible()
    read = [path for path in tab.requests if path.startswith(("/api/", "/config"))]
    assert len(read) == len(set(read)) <= 4
