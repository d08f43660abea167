"""Lists that are searched and sorted on the server."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import pytest

from kuma_core.model import Resource, ResourceKey
from kuma_core.specs.insight import INSIGHT, InsightSpec, Subscription, SubscriptionStatus
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import BreakableStorePlugin, assert_error
from .test_paging import fill

COLLECTIONS = ["dataplanes", "dataplanes+insights"]


@pytest.fixture
def four(cp: RunningPlatform, shop: str) -> str:
    """A mesh with two dataplanes of web, in two zones, one of orders beside web, and a gateway."""
    cp.apply(
        dataplane("a-web", inbound("10.0.0.1:80:8080", "web", zone="east", version="2"), mesh=shop),
        dataplane("b-web", inbound("10.0.0.2:80:8080", "web", zone="west", version="1"), mesh=shop),
        dataplane(
            "c-both",
            inbound("10.0.0.3:80:8080", "web", zone="east", version="1"),
            inbound("10.0.0.3:81:8081", "orders", zone="west", version="3"),
            mesh=shop,
        ),
        {
            "type": "Dataplane",
            "mesh": shop,
            "name": "d-edge",
            "networking": {"gateway": {"tags": {"service": "edge"}}},
        },
    )
    return f"/meshes/{shop}"


def found(cp: RunningPlatform, path: str) -> list[str]:
    answer = cp.get(path)
    assert answer.status == 200, answer
    assert list(answer.body) == ["items", "total", "next"]
    return [item["name"][0] for item in answer.body["items"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "abcd"),
        ("web", "ab"),
        ("WEB", "ab"),
        ("name:-", "abcd"),
        ("b- web", "b"),
        ("service:web", "abc"),
        ("service:orders", "c"),
        ("service:edge", "d"),
        ("service:we*", "abc"),
        ("service:*", "abcd"),
        ("service:we", ""),
        ("version:1", "bc"),
        ("tag:zone=east", "ac"),
        ("tag:zone=*", "abc"),
        ("service:orders tag:zone=east", ""),
        ("service:web tag:zone=east version:1", "c"),
        ("name:web service:web tag:zone=west", "b"),
        ("service:web service:orders", ""),
        ("nobody", ""),
    ],
)
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_fits(cp: RunningPlatform, four: str, collection: str, query: str, names: str) -> None:
    assert found(cp, f"{four}/{collection}?q={quote(query)}") == list(names)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", "abcd"),
        ("-name", "dcba"),
        ("service", "dcab"),
        ("-service", "abcd"),
        ("-service,-name", "bacd"),
        ("version", "dbca"),
        ("-version,name", "abcd"),
    ],
)
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_orders(cp: RunningPlatform, four: str, collection: str, sort: str, names: str) -> None:
    assert found(cp, f"{four}/{collection}?sort={sort}") == list(names)


@pytest.fixture
def states(cp: RunningPlatform, four: str) -> str:
    """The four dataplanes are online, offline, degraded, and never came."""
    mesh, began = four.rpartition("/")[2], datetime(2026, 1, 1, tzinfo=UTC)
    streams = {
        "a-web": Subscription(id="1", connect_time=began),
        "b-web": Subscription(id="2", connect_time=began, disconnect_time=began),
        "c-both": Subscription(
            id="3", connect_time=began, status=SubscriptionStatus(last_rejection="no such cluster")
        ),
    }
    for name, stream in streams.items():
        key = ResourceKey(INSIGHT, mesh, name)
        cp.platform.core.resources.put(Resource(key, InsightSpec(subscriptions=(stream,))))
    return four


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=status:online", "a"),
        ("q=status:Offline", "b"),
        ("q=status:degraded", "c"),
        ("q=status:never-connected", "d"),
        ("q=status:offline,degraded", "bc"),
        ("q=status:offline+service:web", "b"),
        ("q=status:offline+status:online", ""),
        ("sort=status", "cbda"),
        ("sort=-status", "adbc"),
    ],
)
def test_overviews_know_their_status(cp: RunningPlatform, states: str, query: str, names: str) -> None:
    assert found(cp, f"{states}/dataplanes+insights?{query}") == list(names)


def test_a_status_that_nobody_has(cp: RunningPlatform, four: str) -> None:
    (cause,) = cp.get(f"{four}/dataplanes+insights?q=status:ill").body["causes"]
    said = 'expected "status:" with online, degraded, offline, never-connected, got "ill"'
    assert cause == {"field": "q", "message": said}


def test_every_kind_is_searched_and_sorted_by_its_name(cp: RunningPlatform, four: str) -> None:
    mesh = four.rpartition("/")[2]
    body = cp.get(f"/meshes?q={mesh}&sort=-name&size=1").body
    assert [item["name"] for item in body["items"]] == [mesh]
    assert (body["total"], body["next"]) == (1, None)


def test_pages_of_what_was_found_keep_the_search(cp: RunningPlatform, four: str) -> None:
    url, names = f"{cp.api_url}{four}/dataplanes?q=service%3Aweb&sort=-name&size=1", []
    while url:
        parts = urlsplit(url)
        body = cp.get(f"{parts.path}?{parts.query}").body
        assert body["total"] == 3
        names += [item["name"][0] for item in body["items"]]
        url = body["next"]
    assert names == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("q=colour:red", "q", 'does not know "colour:"; it knows name:, service:, '),
        ("q=name:", "q", 'expected a value behind "name:"'),
        ("q=service:", "q", 'expected a value behind "service:"'),
        ("q=tag:zone", "q", 'expected "tag:key=value", got "tag:zone"'),
        ("q=tag:zone%3D", "q", 'expected "tag:key=value"'),
        ("q=" + "x" * 1001, "q", "expected at most 1000 characters and 20 words"),
        ("q=" + "x+" * 21, "q", "expected at most 1000 characters and 20 words"),
        ("sort=colour", "sort", "expected up to 3 of "),
        ("sort=", "sort", "expected up to 3 of "),
        ("sort=--name", "sort", "expected up to 3 of "),
        ("sort=name,name,name,name", "sort", "expected up to 3 of "),
        ("sort=" + "name," * 5000, "sort", "expected up to 3 of "),
    ],
)
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_nobody_can_search_for(
    cp: RunningPlatform, four: str, collection: str, query: str, field: str, said: str
) -> None:
    answer = cp.get(f"{four}/{collection}?{query}")
    assert answer.status == 400
    assert_error(answer.body)
    assert [cause["field"] for cause in answer.body["causes"]] == [field]
    assert said in answer.body["causes"][0]["message"]


def test_other_kinds_have_names_alone(cp: RunningPlatform) -> None:
    answer = cp.get("/meshes?q=service:web&sort=service")
    assert [cause["field"] for cause in answer.body["causes"]] == ["q", "sort"]
    assert "it knows name:" in answer.body["causes"][0]["message"]


def test_a_megabyte_is_refused(cp: RunningPlatform, four: str) -> None:
    assert 400 <= cp.get(f"{four}/dataplanes?q={'x' * 2**20}").status < 500


def test_a_page_of_5_000_comes_quickly() -> None:
    """50 ms on a quiet machine; whatever else runs here, it is far less than the whole list takes."""
    plugin = BreakableStorePlugin()
    fill(plugin, 5000)
    with running_platform([plugin]) as cp:
        whole = seconds(cp, "/meshes/many/dataplanes")
        for query, share in (
            ("", 4),
            ("&sort=-name", 4),
            ("&q=web-49", 4),
            (f"&sort=-version,service&{WEB}", 1),
        ):
            for collection in COLLECTIONS:
                took = seconds(cp, f"/meshes/many/{collection}?size=50{query}")
                assert took < max(0.05, whole / share), (collection, query, took, whole)


WEB = "q=service:web"


def seconds(cp: RunningPlatform, path: str) -> float:
    """The best time of five in which a list arrives."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        assert cp.get(path).status == 200
        times.append(time.perf_counter() - begun)
    return min(times)
