"""The list of dataplanes and the page of one: what is true now, whether its proxy is there or not."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform

from .. import support
from ..conftest import OpenTab
from . import shop
from .shop import Shop

LIST = "/meshes/default/dataplanes"


pytestmark = pytest.mark.usefixtures("opened")


def row(page: Page, name: str) -> str:
    return page.get_by_role("row", name=name).inner_text()


def test_the_list_shows_each_state_in_its_word(open_tab: OpenTab) -> None:
    page = open_tab(f"{LIST}?sort=status").page
    expect(page.get_by_role("table", name="Dataplanes")).to_match_aria_snapshot("""
      - table "Dataplanes":
        - rowgroup:
          - row:
            - columnheader "Name"
            - columnheader /Status/
        - rowgroup:
          - row /odd-1 ▲? ?Degraded/
          - row /ledger-1 ■? ?Offline/
          - row /ledger-2 ○? ?Never connected/
          - row /web-1 ●? ?Online/
    """)
    expect(page.get_by_text("1–4 of 4")).to_be_visible()


def test_the_server_searches_and_the_address_keeps_what_was_asked(open_tab: OpenTab) -> None:
    tab = open_tab(LIST)
    tab.page.get_by_role("searchbox").fill("service:ledger status:offline")
    expect(tab.page.get_by_text("1–1 of 1")).to_be_visible()
    assert "status%3Aoffline" in tab.page.url
    tab.page.reload()
    expect(tab.page.get_by_text("1–1 of 1")).to_be_visible()
    tab.page.get_by_role("searchbox").fill("colour:red")
    problem = tab.page.get_by_role("alert")
    expect(problem).to_contain_text('does not know "colour:"')
    expect(problem.get_by_role("button", name="Try again")).to_be_visible()
    tab.leave()  # the browser's console tells of the 400, too


def test_a_row_opens_a_drawer_which_leads_to_envoys_words_with_the_second_click(open_tab: OpenTab) -> None:
    page = open_tab(LIST).page
    page.get_by_role("button", name="odd-1").click()
    drawer = page.get_by_role("complementary", name="odd-1")
    expect(drawer).to_contain_text(shop.WORDS)
    drawer.get_by_role("link", name="configuration").click()
    refused = page.get_by_role("region", name="Refused clusters")
    expect(refused).to_contain_text(shop.WORDS)
    expect(refused.get_by_role("link", name="ProxyTemplate bad")).to_have_attribute(
        "href", "/meshes/default/policies/proxytemplates/bad"
    )


def test_whoever_goes_is_offline_within_three_seconds_on_list_and_detail(
    opened: Shop, open_tab: OpenTab
) -> None:
    listed, detail = open_tab(LIST).page, open_tab(f"{LIST}/web-1").page
    expect(detail.locator("h1 + .health")).to_have_text(re.compile("Online"))
    expect(listed.get_by_role("row", name="web-1")).to_contain_text("Online")
    opened.leave("web-1")
    try:
        expect(listed.get_by_role("row", name="web-1")).to_contain_text("Offline")
        expect(detail.locator("h1 + .health")).to_have_text(re.compile("Offline"))
    finally:
        opened.connect("web-1")
    expect(listed.get_by_role("row", name="web-1")).to_contain_text("Online")


@pytest.mark.parametrize(
    ("name", "words"),
    [("ledger-1", "the last stream to a control plane ended"), ("ledger-2", "is kuma-dp running?")],
)
def test_one_that_is_not_there_shows_all_that_it_should_be(open_tab: OpenTab, name: str, words: str) -> None:
    page = open_tab(f"{LIST}/{name}").page
    expect(page.get_by_role("main")).to_contain_text(words)
    expect(page.get_by_role("tab", selected=True)).to_have_text("Overview")
    expect(page.get_by_role("region", name="Inbounds")).to_contain_text("127.0.0.1:800")
    page.get_by_role("tab", name="YAML").click()
    expect(page.get_by_role("tabpanel")).to_contain_text(f"name: {name}")


def test_a_tab_without_anything_says_why(open_tab: OpenTab) -> None:
    page = open_tab(f"{LIST}/ledger-2?tab=connections").page
    expect(page.get_by_role("tabpanel")).to_contain_text("No Envoy of it has opened a stream")
    page.get_by_role("tab", name="Certificate").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("mTLS is off in this mesh")


def test_the_picture_leads_to_services_and_to_the_explanation_of_a_call(open_tab: OpenTab) -> None:
    page = open_tab(f"{LIST}/web-1").page
    expect(page.get_by_role("region", name="Outbounds")).to_match_aria_snapshot("""
      - region "Outbounds":
        - heading "Outbounds" [level=2]
        - list:
          - listitem:
            - paragraph:
              - link "ledger"
            - paragraph:
              - text: at
              - code: ":7100"
              - link "Explain the calls to ledger"
          - listitem:
            - paragraph:
              - link "mail"
            - paragraph:
              - text: at
              - code: ":7101"
              - link "Explain the calls to mail"
    """)
    explain = page.get_by_role("link", name="Explain the calls to mail").get_attribute("href")
    assert explain == "/meshes/default/explain?source=dataplane%3Aweb-1&destination=service%3Amail"


def test_the_policies_that_apply_tell_why_and_those_of_which_none_does(open_tab: OpenTab) -> None:
    page = open_tab(f"{LIST}/web-1?tab=policies").page
    log = page.get_by_role("row", name="TrafficLog all-calls")
    expect(log).to_contain_text("calls to ledger, mail")
    expect(log).to_contain_text("no other one of its kind ranks higher")
    expect(page.get_by_text("HealthCheck: there is none in this mesh")).to_be_visible()
    expect(page.get_by_text("ProxyTemplate: the selectors of none match")).to_be_visible()


def test_connections_tell_what_was_sent_taken_and_refused_by_type(opened: Shop, open_tab: OpenTab) -> None:
    overview = opened.cp.get("/meshes/default/dataplanes+insights/odd-1").body["dataplaneInsight"]
    (stream,) = overview["subscriptions"]
    page = open_tab(f"{LIST}/odd-1?tab=connections").page
    counts = stream["status"]["cds"]
    cells = page.get_by_role("row", name="Clusters").get_by_role("cell")
    expect(cells).to_have_text(
        ["Clusters", *(counts.get(f"responses{word}", "0") for word in ("Sent", "Acknowledged", "Rejected"))]
    )
    expect(page.get_by_role("region", name=re.compile("^Stream"))).to_contain_text(shop.WORDS)


def test_a_dataplane_that_is_not_there_is_told_in_the_words_of_the_api(open_tab: OpenTab) -> None:
    tab = open_tab(f"{LIST}/nobody")
    expect(tab.page.get_by_role("alert").first).to_contain_text("Could not retrieve a dataplane overview")
    tab.leave()


def test_a_mesh_that_is_not_there_is_no_empty_one(open_tab: OpenTab) -> None:
    tab = open_tab("/meshes/nowhere/dataplanes")
    expect(tab.page.get_by_role("alert")).to_contain_text("Could not retrieve a resource")
    expect(tab.page.get_by_text("This mesh has no dataplanes yet")).to_have_count(0)
    tab.leave()


def test_what_resources_say_is_text(cp: RunningPlatform, open_tab: OpenTab) -> None:
    tag = "<img src=x onerror=alert(1)>\u202e&amp;"
    cp.apply(mesh("odd"), dataplane("x-1", inbound("127.0.0.1:1:2", "web", note=tag), mesh="odd"))
    tab = open_tab("/meshes/odd/dataplanes")
    expect(tab.page.get_by_role("row", name="x-1")).to_contain_text(f"note={tag}")
    tab.page.goto(f"{tab.origin}/meshes/odd/dataplanes/x-1")
    expect(tab.page.get_by_role("region", name="Inbounds")).to_contain_text(f"note={tag}")
    assert tab.page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize(("size", "theme"), shop.LOOKS)
def test_everybody_can_use_the_pages(open_tab: OpenTab, size: dict[str, int], theme: str) -> None:
    tab = open_tab(f"{LIST}?row=odd-1", size=size, theme=theme)
    expect(tab.page.get_by_role("complementary", name="odd-1")).to_be_visible()
    assert support.violations(tab.page) == []
    usable(tab, "odd-1", "overview")


@pytest.mark.parametrize("one", ["policies", "connections", "start", "yaml", "certificate"])
def test_everybody_can_use_each_tab(open_tab: OpenTab, one: str) -> None:
    usable(open_tab(LIST, size=support.NARROW, theme="dark"), "odd-1", one)


def usable(tab: support.Tab, name: str, one: str) -> None:
    page = tab.open(f"{LIST}/{name}?tab={one}")
    expect(page.get_by_role("tab", selected=True)).to_be_visible()
    expect(page.get_by_text("Loading …")).to_have_count(0)
    assert support.violations(page) == [], one
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{one} is too wide"


def test_a_page_view_asks_for_little(open_tab: OpenTab) -> None:
    for path in (LIST, f"{LIST}/web-1"):
        tab = open_tab(path)
        expect(tab.page.get_by_text("Loading …")).to_have_count(0)
        tab.page.wait_for_load_state("load")
        asked = set(tab.api_requests()) - {"/api/events"}
        assert len(asked) <= 5, "what a slow page reads again counts once"
