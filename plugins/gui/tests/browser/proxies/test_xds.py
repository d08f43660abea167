"""What a proxy gets, took and refuses, and whose doing that is."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from kuma_core.auth.contract import ADMINS, READERS

from .. import support
from ..conftest import OpenTab
from . import shop

LIST = "/meshes/default/dataplanes"
ODD, WEB = f"{LIST}/odd-1/xds", f"{LIST}/web-1/xds"


pytestmark = pytest.mark.usefixtures("opened")


def test_envoys_words_stand_at_the_resource_that_they_are_about(open_tab: OpenTab) -> None:
    page = open_tab(ODD).page
    refused = page.get_by_role("region", name="Refused clusters")
    refused.get_by_role("link", name=shop.BAD_CLUSTER, exact=True).click()
    item = page.get_by_role("list", name="Clusters").get_by_role("listitem").filter(has_text="refused")
    expect(item.get_by_label("Envoy’s words")).to_have_text(shop.WORDS)
    expect(item).to_contain_text("name: broken")
    expect(item.get_by_role("link", name="ProxyTemplate bad")).to_be_visible()
    expect(page.locator("dl")).to_contain_text("refused")


def test_each_type_has_its_resources_and_an_empty_one_says_why(open_tab: OpenTab) -> None:
    page = open_tab(WEB).page
    expect(page.get_by_role("tablist")).to_match_aria_snapshot("""
      - tablist "Types of resources":
        - tab "Clusters 3" [selected]
        - tab "Endpoints 2"
        - tab "Listeners 3"
        - tab "Routes 0"
    """)
    page.get_by_role("tab", name="Routes").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("The proxy gets no routes")
    page.get_by_role("tab", name="Listeners").click()
    page.get_by_role("searchbox", name="Search Listeners").fill("7101")
    expect(page.get_by_text("1 of 3 listeners")).to_be_visible()
    page.get_by_role("button", name="outbound:127.0.0.1:7101").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("edited by")
    expect(page.get_by_role("link", name="TrafficLog all-calls")).to_be_visible()
    assert "resource=outbound" in page.url


def test_without_a_proxy_it_tells_what_one_would_get(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/default/dataplanes/ledger-2/xds").page
    expect(page.get_by_text("No proxy is connected to this control plane")).to_be_visible()
    expect(page.get_by_role("tab", name="Listeners")).to_contain_text("1")


def test_a_proxy_of_a_dataplane_that_is_gone_is_told_in_the_words_of_the_api(open_tab: OpenTab) -> None:
    tab = open_tab("/meshes/default/dataplanes/nobody/xds")
    expect(tab.page.get_by_role("alert")).to_contain_text("Could not inspect a dataplane")
    tab.leave()


def test_who_may_only_read_is_told_what_is_missing_and_sees_what_it_is_about(browser: Browser) -> None:
    """The dump of a configuration is for admins; what an Envoy refuses, and why, everybody may know who may read."""
    settings = {"KUMA_API_SERVER_AUTH_MODE": "token"}
    with support.gui_platform(**settings) as cp, support.context_of(browser) as context:
        admin = cp.user_token("root", ADMINS)
        headers = {"Authorization": f"Bearer {admin}"}
        assert cp.request("PUT", "/meshes/default/dataplanes/web-1", shop.PLANES[0], **headers).status == 201
        token = cp.user_token("ann", READERS)
        context.add_init_script(
            f"try {{ sessionStorage.setItem('kuma.authorization', '{token}') }} catch {{}}"
        )
        page = support.Tab(context, support.origin_of(cp)).open(f"{LIST}/web-1")
        expect(page.get_by_role("region", name="Inbounds")).to_contain_text("127.0.0.1:8000")
        page.get_by_role("link", name="Envoy’s configuration").click()
        problem = page.get_by_role("alert")
        expect(problem).to_contain_text("the right of an admin is missing")
        problem.get_by_label("Token").fill(admin)
        problem.get_by_role("button", name="Use it in this tab").click()
        expect(page.get_by_role("tab", name="Listeners 3")).to_be_visible()


@pytest.mark.parametrize(("size", "theme"), shop.LOOKS)
def test_everybody_can_use_the_page(open_tab: OpenTab, size: dict[str, int], theme: str) -> None:
    page = open_tab(f"{ODD}?resource={shop.BAD_CLUSTER}", size=size, theme=theme).page
    expect(page.get_by_role("region", name="Refused clusters")).to_be_visible()
    assert support.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
