"""Policies of every kind, also of those that a third party brings, and explanations."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from . import meshes, support
from .conftest import OpenTab
from .meshes import in_mesh, policy

HELLO = Path(__file__).parents[4] / "examples" / "plugin_hello"


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """A control plane with a plugin that the GUI has never heard of, and the mesh ``shop``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(HELLO), *sys.path])
        hello = importlib.import_module("kuma_hello")
    with support.gui_platform(hello) as found, fleet(found) as envoys:
        loser = policy("TrafficLog", "loser")
        greeting = {"type": "Greeting", "name": "morning", "mesh": "shop", "text": "<b>hello</b>"}
        found.apply(*meshes.shop("shop"), *in_mesh("shop", loser), greeting)
        for name in meshes.SHOP_PROXIES:
            envoys.connect(DeltaClient(f"shop.{name}"))
        eventually(lambda: found.get("/meshes/shop/overview").body["dataplanes"]["online"] == 3)
        eventually(lambda: found.get("/meshes/shop/overview").body["current"])
        yield found


def test_a_list_says_what_each_one_does(open_tab: OpenTab) -> None:
    tab = open_tab("/meshes/shop/policies/traffic-logs")
    table = tab.page.get_by_role("table", name="Traffic Logs")
    expect(table).to_match_aria_snapshot(
        """
        - table "Traffic Logs":
          - rowgroup:
            - row "Name State From To Calls Loses at Proxies"
          - rowgroup:
            - row "everything applies service=* service=* 2 0 1"
            - row "loser never wins service=* service=* 0 2 0"
        """
    )
    assert len(set(tab.api_requests())) <= 5
    tab.page.get_by_role("searchbox", name="Search Traffic Logs").fill("lose")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(tab.page).to_have_url(re.compile("q=lose"))


def test_a_detail_says_against_whom_it_loses_and_why(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/policies/traffic-logs/loser").page
    losses = page.get_by_role("table", name="Where another one wins")
    expect(losses).to_match_aria_snapshot(
        """
        - table "Where another one wins":
          - rowgroup:
            - row "Where Against Why"
          - rowgroup:
            - row /web → ledger everything "everything" has the same rank, and its name comes first/
            - row /web → mailer everything "everything" has the same rank, and its name comes first/
        """
    )
    losses.get_by_role("link", name="everything").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Traffic Log everything")


def test_a_detail_names_the_calls_and_who_has_taken_it(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/policies/traffic-permissions/to-ledger").page
    expect(page.get_by_role("heading", name="Proxies that have taken it: 2 of 2")).to_be_visible()
    page.get_by_role("table", name="Calls on which it acts").get_by_role("link", name="web → ledger").click()
    expect(page.get_by_role("complementary", name="web → ledger")).to_be_visible()


def test_the_yaml_and_the_meaning_of_the_fields(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/policies/traffic-routes/canary").page
    page.get_by_role("tab", name="YAML").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("weight: 90")
    page.get_by_role("tab", name="Fields").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("conf list of { weight, destination }")


def test_a_kind_of_a_third_party_has_list_and_detail(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop").page
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Greeting").click()
    expect(page.get_by_role("table", name="Greetings")).to_match_aria_snapshot(
        """
        - table "Greetings":
          - rowgroup:
            - row "Name Text"
          - rowgroup:
            - row "morning <b>hello</b>"
        """
    )
    page.get_by_role("link", name="morning").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Greeting morning")
    expect(page.get_by_role("tab", name="YAML")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel")).to_contain_text('text: "<b>hello</b>"')
    page.get_by_role("tab", name="Fields").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("repeatCount")


def test_a_kind_that_nobody_brings_says_so(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/policies/nonsense").page
    expect(page.get_by_text("No kind has the path “nonsense”")).to_be_visible()


def test_an_empty_kind_says_how_to_make_one(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/policies/health-checks").page
    expect(page.get_by_text("This mesh has no Health Check")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("conf { activeChecks, passiveChecks }")


def test_explain_says_whether_who_and_why(cp: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop/explain").page
    page.get_by_label("From", exact=True).fill("service:web")
    page.get_by_label("From", exact=True).press("Enter")
    page.get_by_label("To", exact=True).fill("service:ledger")
    page.get_by_label("To", exact=True).press("Enter")
    answer = page.get_by_role("status").filter(has_text="lets them in")
    expect(answer).to_have_text('✓ allowed TrafficPermission "to-ledger" lets them in')
    expect(page.get_by_role("main")).to_contain_text("service=ledger version=1 (90 %)")
    expect(page.get_by_role("table", name="TrafficLog for ledger")).to_match_aria_snapshot(
        """
        - table "TrafficLog for ledger":
          - rowgroup:
            - row "Name Applies Rank Why"
          - rowgroup:
            - row /everything ✓ yes 2 tags, 0 exact applies. no other ranks higher/
            - row /loser no 2 tags, 0 exact "everything" has the same rank/
        """
    )
    expect(page).to_have_url(re.compile("source=service%3Aweb"))
    assert cp.delete("/meshes/shop/traffic-permissions/to-ledger").status == 200
    try:
        expect(page.get_by_role("status").filter(has_text="no policy lets")).to_contain_text("✕ denied")
    finally:
        cp.apply(*in_mesh("shop", policy("TrafficPermission", "to-ledger", "*", "ledger")))
