"""The overview of all meshes and that of one: numbers, a sentence, findings, what happened, and the control plane."""

from __future__ import annotations

from playwright.sync_api import expect

from kuma_core.testing.platform import RunningPlatform

from . import meshes
from .conftest import OpenTab


def test_who_opens_the_demo_sees_both_services_and_the_call(cp: RunningPlatform, open_tab: OpenTab) -> None:
    """One mesh, as after ``make run``, and not one click. It comes first: others add meshes."""
    documents = [meshes.WEB, *meshes.LEDGER]
    cp.apply(*documents)
    page = open_tab("/").page
    expect(page.get_by_role("img", name="2 services and 1 call")).to_be_visible()
    for name in (item["name"] for item in documents):
        assert cp.delete(f"/meshes/default/dataplanes/{name}").status == 200
    expect(page.get_by_text("There is no service yet.")).to_be_visible()


def test_all_meshes_with_the_counts_of_each(shop: RunningPlatform, open_tab: OpenTab) -> None:
    tab = open_tab("/")
    table = tab.page.get_by_role("table", name="Meshes")
    expect(table).to_match_aria_snapshot(
        """
        - table "Meshes":
          - rowgroup:
            - row /Mesh Health Services Dataplanes Health Checks .* Traffic Permissions Traffic Routes/
          - rowgroup:
            - row /default empty no dataplane yet, mTLS is off 0 0 0 0 0 0 0/
            - row /shop look at it all 3 proxies are online, mTLS is on \\(builtin\\), .* 3 3 0 0 1 1 1/
        """
    )
    assert len(set(tab.api_requests())) <= 5
    table.get_by_role("link", name="shop").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Mesh shop")


def test_what_the_control_plane_is_and_how_it_is_configured(cp: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/").page
    panel = page.get_by_role("region", name="Control plane")
    expect(panel).to_contain_text("memory: all is gone when it ends")
    expect(panel).to_contain_text(f"api {cp.api}")
    panel.get_by_text("Configuration in effect").click()
    expect(panel.get_by_label("configuration", exact=True)).to_contain_text("store:")
    expect(panel.get_by_label("configuration", exact=True)).to_contain_text("*****")


def test_a_mesh_in_numbers_that_lead_to_what_they_count(shop: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop").page
    expect(page.get_by_text("all 3 proxies are online")).to_be_visible()
    expect(page.get_by_role("img", name="3 services and 2 calls")).to_be_visible()
    page.get_by_role("link", name="1 Traffic Permission").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Traffic Permissions")


def test_what_to_look_at_says_what_to_do(shop: RunningPlatform, open_tab: OpenTab) -> None:
    page = open_tab("/meshes/shop").page
    findings = page.get_by_role("region", name="To look at")
    expect(findings).to_contain_text('Dataplane web-1: 1 of "web" call "mailer", which no dataplane offers')
    expect(findings).to_contain_text("What to do: correct the name of the outbound's service")


def test_what_happens_is_there_at_once(cp: RunningPlatform, open_tab: OpenTab) -> None:
    cp.apply({"type": "Mesh", "name": "lively"})
    page = open_tab("/meshes/lively").page
    changes = page.get_by_role("region", name="Recent changes")
    expect(changes).to_contain_text("Mesh lively was written")
    cp.apply(*meshes.in_mesh("lively", meshes.WEB))
    expect(changes).to_contain_text("Dataplane web-1 was written")
    expect(page.get_by_text("its proxy never connected, mTLS is off")).to_be_visible()
    assert cp.delete("/meshes/lively/dataplanes/web-1").status == 200
    expect(changes).to_contain_text("Dataplane web-1 was deleted")


def test_a_mesh_that_is_not_there_says_so_and_can_be_tried_again(
    cp: RunningPlatform, open_tab: OpenTab
) -> None:
    tab = open_tab("/meshes/nowhere")
    problem = tab.page.get_by_role("alert").first
    expect(problem).to_contain_text('There is no Mesh "nowhere"')
    cp.apply({"type": "Mesh", "name": "nowhere"})
    problem.get_by_role("button", name="Try again").click()
    expect(tab.page.get_by_text("no dataplane yet, mTLS is off")).to_be_visible()
    tab.errors.clear()  # the browser itself complains of each 404
