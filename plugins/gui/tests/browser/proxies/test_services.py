"""Services as the control plane derives them: who is there, who calls whom, and whether they may."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform

from .. import support
from ..conftest import OpenTab
from . import shop

LIST = "/meshes/default/services"


pytestmark = pytest.mark.usefixtures("opened")


def test_the_list_counts_instances_by_state_and_names_ghosts(open_tab: OpenTab) -> None:
    page = open_tab(LIST).page
    expect(page.get_by_role("table", name="Services")).to_match_aria_snapshot("""
      - table "Services":
        - rowgroup
        - rowgroup:
          - row /ledger .*1 offline .*1 never connected zone=east zone=west/
          - row /mail nobody offers it/
          - row /odd .*1 degraded/
          - row /web .*1 online version=2/
    """)
    page.get_by_role("button", name="Instances").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("mail")
    assert "sort=instances" in page.url


def test_a_service_tells_who_calls_it_and_why_they_reach_it_or_not(open_tab: OpenTab) -> None:
    page = open_tab(f"{LIST}/ledger").page
    expect(page.get_by_role("table", name="Instances").get_by_role("row")).to_have_count(3)
    page.get_by_role("tab", name="Called by 1").click()
    call = page.get_by_role("row", name="web")
    expect(call).to_contain_text("no endpoint")
    expect(call.get_by_role("link", name="TrafficLog all-calls")).to_be_visible()
    explain = call.get_by_role("link", name="Explain web to ledger").get_attribute("href")
    assert explain == "/meshes/default/explain?source=service%3Aweb&destination=service%3Aledger"
    page.get_by_role("tab", name="Calls 0").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("No instance of it has an outbound.")


def test_a_service_that_nobody_offers_opens_with_those_who_call_it(open_tab: OpenTab) -> None:
    page = open_tab(f"{LIST}/mail").page
    expect(page.get_by_role("tab", selected=True)).to_have_text("Called by 1")
    page.get_by_role("tab", name="Instances 0").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("No dataplane offers it")


def test_a_mesh_without_services_says_what_makes_one(cp: RunningPlatform, open_tab: OpenTab) -> None:
    cp.apply(mesh("bare"))
    cp.catch_up()
    page = open_tab("/meshes/bare/services").page
    expect(page.get_by_text("This mesh has no services yet")).to_be_visible()


@pytest.mark.parametrize(("size", "theme"), shop.LOOKS)
def test_everybody_can_use_the_pages(open_tab: OpenTab, size: dict[str, int], theme: str) -> None:
    tab = open_tab(LIST, size=size, theme=theme)
    for path in (LIST, f"{LIST}/ledger", f"{LIST}/ledger?tab=called-by"):
        page = tab.open(path)
        expect(page.get_by_role("table")).to_be_visible()
        assert support.violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
