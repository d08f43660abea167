"""Pages of lists, and how the whole of a long list scales."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from kuma_core.model import Resource, ResourceKey
from kuma_core.resources.codec import encode, spec_part
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import BreakableStorePlugin, assert_error, send

IN = inbound("10.0.0.1:8080:80", "web", zone="a&b=c")


@pytest.fixture
def five(cp: RunningPlatform, shop: str) -> str:
    """A mesh with the dataplanes d-0 to d-4."""
    for number in range(5):
        cp.apply(dataplane(f"d-{number}", IN, mesh=shop))
    return f"/meshes/{shop}"


@pytest.mark.parametrize("collection", ["dataplanes", "dataplanes+insights", "dataplane+insights"])
def test_next_leads_through_all_pages(cp: RunningPlatform, five: str, collection: str) -> None:
    whole = cp.get(f"{five}/{collection}").body
    assert set(whole) == {"items"}
    url, items, pages = f"{cp.api_url}{five}/{collection}?size=2&tag=zone:a%26b%3Dc", [], 0
    while url:
        assert url.startswith(cp.api_url)
        parts = urlsplit(url)
        body = cp.get(f"{parts.path}?{parts.query}").body
        assert list(body) == ["items", "total", "next"]
        assert body["total"] == 5
        items += body["items"]
        url, pages = body["next"], pages + 1
    assert (pages, items) == (3, whole["items"])


@pytest.mark.parametrize(
    ("query", "names", "more"),
    [
        ("size=5", [0, 1, 2, 3, 4], False),
        ("size=4", [0, 1, 2, 3], True),
        ("offset=4", [4], False),
        ("offset=5", [], False),
        ("offset=999999999999999999&size=1000", [], False),
        ("size=1&offset=3", [3], True),
        ("size=9&size=1", [0], True),
    ],
)
def test_pages(cp: RunningPlatform, five: str, query: str, names: list[int], more: bool) -> None:
    body = cp.get(f"{five}/dataplanes?{query}").body
    assert [item["name"] for item in body["items"]] == [f"d-{number}" for number in names]
    assert (body["total"], body["next"] is not None) == (5, more)


def test_a_page_of_what_a_filter_leaves(cp: RunningPlatform, five: str) -> None:
    assert cp.get(f"{five}/dataplanes+insights?size=1&tag=zone:other").body == {
        "items": [],
        "total": 0,
        "next": None,
    }


def test_meshes_have_pages_too(cp: RunningPlatform, shop: str) -> None:
    assert cp.get("/meshes?size=1").body["total"] >= 2


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("size=0", ["size"]),
        ("size=1001", ["size"]),
        ("size=-1", ["size"]),
        ("size=", ["size"]),
        ("size=ten", ["size"]),
        ("size=%D9%A1", ["size"]),
        ("size=1e2", ["size"]),
        ("offset=-1", ["offset"]),
        ("offset=" + "9" * 5000, ["offset"]),
        ("size=x&offset=y", ["size", "offset"]),
    ],
)
@pytest.mark.parametrize("collection", ["dataplanes", "dataplanes+insights"])
def test_pages_that_are_none(
    cp: RunningPlatform, five: str, collection: str, query: str, fields: list[str]
) -> None:
    answer = cp.get(f"{five}/{collection}?{query}")
    assert answer.status == 400
    assert_error(answer.body)
    assert [cause["field"] for cause in answer.body["causes"]] == fields


def fill(plugin: BreakableStorePlugin, count: int) -> None:
    """Store dataplanes of the mesh ``many`` before the control plane starts, so that it is idle by then."""
    plugin.store.create(ResourceKey("Mesh", "many", "many"), "{}")
    for number in range(count):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        document = dataplane(
            f"web-{number}",
            inbound(f"{address}:8080:80", "web", version="1", zone="east"),
            inbound(f"{address}:8081:81", "web-admin"),
            outbounds=[outbound(":9001", "db"), outbound(":9002", "cache")],
            mesh="many",
        )
        spec, _ = parse_spec(DataplaneSpec, spec_part(document))
        key = ResourceKey("Dataplane", "many", f"web-{number}")
        plugin.store.create(key, encode(Resource(key, spec)))


def seconds(cp: RunningPlatform, path: str) -> float:
    """The best time of three in which a list arrives."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        assert send(cp.api, "GET", path).status == 200
        times.append(time.perf_counter() - begun)
    return min(times)


def test_the_time_of_a_list_grows_with_its_length_alone() -> None:
    """Four times as many take four times as long; ten is far below the sixteen of a square."""
    took = {}
    for count in (500, 2000):
        plugin = BreakableStorePlugin()
        fill(plugin, count)
        with running_platform([plugin]) as cp:
            took[count] = seconds(cp, "/meshes/many/dataplanes")
    assert took[2000] < 10 * took[500], took
