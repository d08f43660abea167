"""The service map in a browser: what it draws, what its lists say, and how soon both follow what happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, expect

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from .conftest import OpenTab

SLACK = 10
"""A machine that others use, too, may be so many times slower than the one that the promises are for."""

Document = dict[str, Any]


def in_mesh(mesh: str, *documents: Document) -> Iterator[Document]:
    """Documents as they are in another mesh than the builders write."""
    for document in documents:
        yield {**document, "mesh": mesh}


def policy(kind: str, name: str, source: str = "*", destination: str = "*", **more: object) -> Document:
    """A policy with one selector at each end."""
    ends = {
        "sources": [{"match": {"service": source}}],
        "destinations": [{"match": {"service": destination}}],
    }
    return {"type": kind, "name": name, "mesh": "default", **ends, **more}


def encrypted(name: str) -> Document:
    """A mesh with mTLS."""
    return {"type": "Mesh", "name": name, "mtls": {"enabled": True, "ca": {"builtin": {}}}}


WEB = dataplane("web-1", inbound("127.0.0.1:8000:1", "web"), outbounds=[outbound(":7100", "ledger")])
LEDGER = [
    dataplane(f"ledger-{n}", inbound(f"127.0.0.{n + 1}:9000:1", "ledger", version=str(n))) for n in (1, 2)
]


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


def large(services: int, calls: int) -> list[Document]:
    """A mesh with so many services, one dataplane each, that call each other without any order."""
    pairs = {(n % services, (n * 37 + n // services * 11 + 1) % services) for n in range(calls * 2)}
    chosen = sorted(pair for pair in pairs if pair[0] != pair[1])[: calls * 2 : 2]
    called: dict[int, list[Document]] = {n: [] for n in range(services)}
    for source, target in chosen:
        port = 10000 + len(called[source])
        called[source].append(outbound(f":{port}", f"service-{target:03}"))
    return [
        dataplane(
            f"proxy-{n:03}",
            inbound(f"127.0.1.{n % 250 + 1}:9000:1", f"service-{n:03}", zone="east" if n % 2 else "west"),
            outbounds=called[n],
        )
        for n in range(services)
    ]


def test_a_map_of_200_services_starts_around_one_and_is_laid_out_quickly(
    cp: RunningPlatform, open_tab: OpenTab
) -> None:
    cp.apply({"type": "Mesh", "name": "large"}, *in_mesh("large", *large(200, 600)))
    eventually(lambda: len(cp.get("/meshes/large/service-map").body["nodes"]) == 200)
    tab = open_tab("/meshes/large/map")
    page = tab.page
    expect(page.get_by_role("status").filter(has_text="This mesh has 200 services.")).to_be_visible()
    assert page.locator("g.map-node").count() < 50
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("g.map-node")).to_have_count(200)
    assert page.locator("svg.map-drawing g.map-line").count() == len(
        cp.get("/meshes/large/service-map").body["edges"]
    )
    script = (
        "() => performance.getEntriesByName('service map').filter(m => m.detail === 200).map(m => m.duration)"
    )
    page.get_by_role("combobox", name="Group by").select_option("zone")
    page.get_by_role("combobox", name="Group by").select_option("")
    assert min(page.evaluate(script)) < 50 * SLACK
    assert len(tab.api_requests()) <= 5 + 1  # the stream of events is none of the five reads
