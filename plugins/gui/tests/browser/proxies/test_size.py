"""A mesh of 5 000 proxies and 200 services: the list is there as soon as one of four is, and asks for as little."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

import kuma_gui
import kuma_policy_traffic
from kuma_core.model import Resource, ResourceKey
from kuma_core.resources.codec import encode, spec_part
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.insight import INSIGHT, InsightSpec, Subscription
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from tests.api.support import BreakableStorePlugin

from ..conftest import OpenTab

MANY, SERVICES, FEW = 5_000, 200, 4
AT = datetime(2020, 1, 1, tzinfo=UTC)
ENDED = InsightSpec(subscriptions=(Subscription(id="1", connect_time=AT, disconnect_time=AT),))


def fill(plugin: BreakableStorePlugin, mesh: str, count: int) -> None:
    """Store dataplanes before the control plane starts; every second one was there once, and is offline."""
    plugin.store.create(ResourceKey("Mesh", mesh, mesh), "{}")
    specs = [_spec(number) for number in range(min(count, SERVICES))]
    for number in range(count):
        name = f"dp-{number:04}"
        key = ResourceKey("Dataplane", mesh, name)
        plugin.store.create(key, encode(Resource(key, specs[number % len(specs)])))
        if number % 2:
            insight = ResourceKey(INSIGHT, mesh, name)
            plugin.store.create(insight, encode(Resource(insight, ENDED)))


def _spec(number: int) -> DataplaneSpec:
    service = inbound(f"10.0.{number}.1:80:8080", f"service-{number:03}", version="1")
    called = outbound(":9001", f"service-{(number + 1) % SERVICES:03}")
    spec, _ = parse_spec(DataplaneSpec, spec_part(dataplane("x", service, outbounds=[called])))
    return spec


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    plugin = BreakableStorePlugin()
    fill(plugin, "many", MANY)
    fill(plugin, "few", FEW)
    settings = {"KUMA_GUI_SERVER_INTERFACE": "127.0.0.1"}
    with running_platform([plugin, kuma_policy_traffic, kuma_gui], settings) as running:
        eventually(lambda: running.get("/meshes/many/services?size=1").body.get("total") == SERVICES)
        yield running


def test_the_list_is_there_at_once_and_asks_for_little(open_tab: OpenTab) -> None:
    tab = open_tab("/meshes/few/dataplanes")

    def seconds(mesh: str, total: str) -> float:
        begun = time.perf_counter()
        tab.open(f"/meshes/{mesh}/dataplanes?sort=status")
        expect(tab.page.get_by_text(total)).to_be_visible()
        return time.perf_counter() - begun

    small = min(seconds("few", "1–4 of 4") for _ in range(3))
    tab.requests.clear()
    times = [seconds("many", "1–50 of 5,000") for _ in range(3)]
    assert len(set(tab.api_requests())) <= 5, "what a slow page reads again counts once"
    assert min(times) < max(1.0, 3 * small), (times, small)


def test_everything_is_found_and_reached_by_pages(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/many/dataplanes").page
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("51–100 of 5,000")).to_be_visible()
    page.get_by_role("searchbox").fill("service:service-199 status:offline")
    expect(page.get_by_text("1–25 of 25")).to_be_visible()
    expect(page.get_by_role("row", name="dp-4999")).to_contain_text("Offline")
