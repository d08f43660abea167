"""The service map in a browser: what it draws, what its lists say, and how soon both follow what happens."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from tests.end_to_end.support import Machine

from . import support
from .conftest import OpenTab
from .meshes import LEDGER, SLACK, WEB, encrypted, in_mesh, large, policy


def line(page: Page, source: str, destination: str) -> Any:
    """The line of a call in the picture, by its tool tip."""
    return page.locator("svg.map-drawing g.map-line").filter(has_text=f"{source} → {destination}:")


def test_two_services_and_the_call_between_them(cp: RunningPlatform, open_tab: OpenTab) -> None:
    cp.apply({"type": "Mesh", "name": "two"}, *in_mesh("two", WEB, *LEDGER))
    page = open_tab("/meshes/two/map").page
    expect(line(page, "web", "ledger")).to_have_class("map-line verdict-noEndpoint")
    expect(page.get_by_role("table", name="Calls")).to_match_aria_snapshot(
        """
        - table "Calls":
          - rowgroup:
            - row "Call Verdict Why Split"
          - rowgroup:
            - row "web → ledger no endpoint every proxy of \\"ledger\\" is away"
        """
    )


def test_mtls_without_a_permission_denies_and_a_permission_allows_within_three_seconds(
    cp: RunningPlatform, open_tab: OpenTab
) -> None:
    cp.apply(encrypted("closed"), *in_mesh("closed", WEB, *LEDGER))
    with fleet(cp) as envoys:
        for name in ("web-1", "ledger-1", "ledger-2"):
            envoys.connect(DeltaClient(f"closed.{name}"))
        page = open_tab("/meshes/closed/map?from=web&to=ledger").page
        expect(line(page, "web", "ledger")).to_have_class("map-line verdict-denied chosen")
        panel = page.get_by_role("complementary", name="web → ledger")
        expect(panel).to_contain_text('the mesh has mTLS on, and no policy lets "web" in at "ledger"')
        expect(panel).to_contain_text("TrafficPermission none applies")
        began = time.monotonic()
        cp.apply(*in_mesh("closed", policy("TrafficPermission", "web-to-ledger", "web", "ledger")))
        expect(line(page, "web", "ledger")).to_have_class("map-line verdict-allowed chosen")
        assert time.monotonic() - began < 3 * SLACK
        expect(panel).to_contain_text("TrafficPermission web-to-ledger: applies, with all others that match")
        assert cp.delete("/meshes/closed/traffic-permissions/web-to-ledger").status == 200
        # Maps are made once a second: the page asks again where an answer says that it is a moment old.
        expect(line(page, "web", "ledger")).to_have_class("map-line verdict-denied chosen")


def test_a_map_of_200_services_starts_around_one_and_is_laid_out_quickly(
    cp: RunningPlatform, open_tab: OpenTab
) -> None:
    cp.apply({"type": "Mesh", "name": "large"}, *in_mesh("large", *large(200, 600)))
    eventually(lambda: len(cp.get("/meshes/large/service-map").body["nodes"]) == 200)
    tab = open_tab("/meshes/large/map")
    page = tab.page
    expect(page.get_by_role("status").filter(has_text="of 200 services: those around")).to_be_visible()
    # It stands in the address now: what is selected later does not move the map.
    expect(page).to_have_url(re.compile("focus=service-"))
    assert page.locator("g.map-node").count() < 50
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("g.map-node")).to_have_count(200)
    assert page.locator("svg.map-drawing g.map-line").count() == len(
        cp.get("/meshes/large/service-map").body["edges"]
    )
    for group in ("zone", "", "zone", ""):
        page.get_by_role("combobox", name="Group by").select_option(group)
        expect(page.locator("g.map-lane")).to_have_count(2 if group else 0)
    script = "() => performance.getEntriesByName('service map').filter((m) => m.detail === 200).map((m) => m.duration)"
    assert min(page.evaluate(script)) < 50 * SLACK
    # An answer that says that it is a moment old is asked for again: that is no further page view.
    assert len(set(tab.api_requests())) <= 5, tab.api_requests()


def test_a_panel_says_what_applies_to_a_call_and_why(shop: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/map").page
    page.get_by_role("button", name="web → ledger").click()
    panel = page.get_by_role("complementary", name="web → ledger")
    expect(panel.get_by_role("list").first).to_match_aria_snapshot(
        """
        - list:
          - listitem: 90 % version=1 1 of 1 healthy
          - listitem: 10 % version=2 1 of 1 healthy
        """
    )
    expect(panel).to_contain_text("TrafficPermission to-ledger: applies, with all others that match")
    expect(panel).to_contain_text("TrafficRoute canary: applies: no other ranks higher")
    expect(panel).to_contain_text("TrafficLog everything: applies: no other ranks higher")
    expect(panel).to_contain_text("HealthCheck none applies")
    panel.get_by_role("link", name="canary").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Traffic Route canary")


def test_what_is_selected_dims_the_rest_and_moves_nothing(shop: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/map").page
    ledger = page.locator("g.map-node").filter(has_text="ledger").first
    place, frame = ledger.get_attribute("transform"), page.locator(".map-frame")
    frame.evaluate("frame => frame.scrollTo(40, 0)")
    scrolled = frame.evaluate("frame => frame.scrollLeft")
    ledger.click()
    expect(line(page, "web", "mailer")).to_have_class("map-line verdict-noEndpoint dim")
    expect(page.locator("g.map-node").filter(has_text="mailer")).to_have_class("map-node state-ghost dim")
    expect(page).to_have_url(re.compile("service=ledger"))
    assert (ledger.get_attribute("transform"), frame.evaluate("frame => frame.scrollLeft")) == (
        place,
        scrolled,
    )
    page.keyboard.press("Escape")
    expect(page.locator(".map-drawing .dim")).to_have_count(0)


def test_the_picture_is_the_same_after_a_reload(shop: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/map?group=zone").page
    page.locator("g.map-node").first.wait_for()
    before = page.locator("svg.map-drawing").inner_html()
    page.reload()
    expect(page.locator("g.map-lane text")).to_have_text(["east", "without"])
    assert page.locator("svg.map-drawing").inner_html() == before


def test_idle_calls_can_be_hidden_and_nothing_else_moves(cp: RunningPlatform, open_tab: OpenTab) -> None:
    cp.apply({"type": "Mesh", "name": "idle"}, *in_mesh("idle", WEB, *LEDGER))
    page = open_tab("/meshes/idle/map").page
    node = page.locator("g.map-node").first
    place = node.get_attribute("transform")
    page.get_by_role("checkbox", name="Hide idle calls").check()
    expect(line(page, "web", "ledger")).to_have_count(0)
    assert node.get_attribute("transform") == place
    expect(page).to_have_url(re.compile("idle=hidden"))


def test_the_keyboard_reaches_calls_and_services(shop: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/map").page
    page.get_by_role("button", name="web → mailer").focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="web → mailer")
    expect(panel).to_contain_text('no dataplane offers "mailer"')
    expect(page.get_by_role("button", name="web → mailer")).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_the_picture_can_be_saved_as_svg(shop: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/map").page
    page.locator("g.map-node").first.wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export SVG").click()
    assert saved.value.suggested_filename == "service-map-shop.svg"
    root = ElementTree.parse(saved.value.path()).getroot()
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"web", "ledger", "mailer"} <= texts
    dashed = [
        item
        for item in root.iter("{http://www.w3.org/2000/svg}path")
        if item.get("stroke-dasharray") != "none"
    ]
    assert dashed, "the styles of the page go along"


@pytest.mark.parametrize(("size", "theme"), support.LOOKS)
def test_lanes_and_the_panel_of_a_call_are_accessible(
    shop: RunningPlatform, open_tab: OpenTab, size: dict[str, int], theme: str
) -> None:
    page = open_tab("/meshes/shop/map?from=web&to=ledger&group=zone", size=size, theme=theme).page
    expect(page.get_by_role("complementary")).to_contain_text("TrafficRoute canary: applies")
    assert support.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is beside the page"


def test_texts_of_resources_are_text(cp: RunningPlatform, open_tab: OpenTab) -> None:
    name = "<img src=x onerror=alert(1)>&amp;\u202e\u001b[31m"
    odd = dataplane("odd-1", inbound("127.0.0.1:8000:1", name, zone="</svg><script>1</script>"))
    caller = dataplane("web-1", inbound("127.0.0.2:8000:1", "web"), outbounds=[outbound(":7100", name)])
    cp.apply({"type": "Mesh", "name": "odd"}, *in_mesh("odd", odd, caller))
    tab = open_tab("/meshes/odd/map?group=zone")
    expect(tab.page.get_by_role("button", name="<img src=x onerror=alert(1)>&amp;").first).to_be_visible()
    assert tab.page.locator("main img, main script").count() == 0
    tab.page.get_by_role("button", name="web → <img").click()
    expect(tab.page.get_by_role("complementary")).to_contain_text("<img src=x onerror=alert(1)>&amp;")


def test_a_killed_kuma_dp_is_offline_on_map_and_overview_alike(
    cp: RunningPlatform, open_tab: OpenTab, tmp_path: Path
) -> None:
    ports = free_port(), free_port()
    own = dataplane("lone-1", inbound(f"127.0.0.1:{ports[0]}:{ports[1]}", "lone"))
    cp.apply({"type": "Mesh", "name": "killed"}, *in_mesh("killed", own))
    with ExitStack() as stack:
        sidecar = Machine(cp, tmp_path, stack).sidecar("lone-1", mesh="killed")
        chart, overview = open_tab("/meshes/killed/map").page, open_tab("/meshes/killed").page
        expect(chart.locator("g.map-node")).to_contain_text("1 of 1 online")
        expect(overview.get_by_text("its proxy is online")).to_be_visible()
        sidecar.process.kill()
        began = time.monotonic()
        expect(chart.locator("g.map-node")).to_contain_text("0 of 1 online")
        expect(overview.get_by_text("its proxy is offline")).to_be_visible()
        expect(overview.get_by_role("list").filter(has_text="lone-1 is Offline")).to_be_visible()
        assert time.monotonic() - began < 3 * SLACK
