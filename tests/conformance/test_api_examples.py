"""Worked examples of the API: defaults, violations, what is missing, overviews."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.testing.platform import RunningPlatform, running_platform

DATA = Path(__file__).parent / "data"


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as platform:
        yield platform


def data(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def text(cp: RunningPlatform, path: str) -> str:
    with urllib.request.urlopen(cp.api_url + path, timeout=10) as response:
        return str(response.read().decode())


def test_mesh_defaulting(cp: RunningPlatform) -> None:
    body = {"type": "Mesh", "name": "orchard", "colour": "red"}
    created = cp.put("/meshes/orchard", body)
    assert (created.status, created.body, created.headers["Kuma-Result"]) == (201, "", "created")
    assert created.headers["Warning"] == r'299 - "unknown field \"colour\" is ignored"'

    assert text(cp, "/meshes/orchard") == (DATA / "11_1_mesh.json").read_text().rstrip("\n")

    again = cp.put("/meshes/orchard", body)
    assert (again.status, again.headers["Kuma-Result"]) == (200, "unchanged")


def test_collected_violations(cp: RunningPlatform) -> None:
    cp.apply({"type": "Mesh", "name": "orchard"})
    answer = cp.put("/meshes/orchard/dataplanes/till-7", data("11_2_dataplane.json"))
    assert (answer.status, answer.body) == (400, data("11_2_answer.json"))

    good = {"interface": "10.0.0.1:8080:80", "tags": {"service": "till"}}
    cp.apply({"type": "Dataplane", "mesh": "orchard", "name": "till-7", "networking": {"inbound": [good]}})
    answer = cp.put("/meshes/orchard/dataplanes/till-7", data("11_2_dataplane.json"))
    assert answer.body == {**data("11_2_answer.json"), "title": "Could not update a resource"}
    assert cp.get("/meshes/orchard/dataplanes/till-7").body["networking"] == {"inbound": [good]}


def test_request_checks_come_first(cp: RunningPlatform) -> None:
    body = {"type": "mesh", "name": "Orchard!", "logging": {"defaultBackend": "nowhere"}}
    answer = cp.put("/meshes/Orchard!", body)
    assert answer.status == 400
    assert answer.body["title"] == "Could not process a resource"
    wrong = "invalid characters. Valid characters are numbers, lowercase latin letters and '-', '_' symbols."
    assert [(cause["field"], cause["message"]) for cause in answer.body["causes"]] == [
        ("type", "type from the URL has to be the same as in body"),
        ("name", wrong),
        ("mesh", wrong),
    ]


def test_missing_mesh_versus_missing_resource(cp: RunningPlatform) -> None:
    """With a Dataplane in place of the example's TrafficLog, which is a plugin's kind."""
    inbound = {"interface": "10.0.0.1:8080:80", "tags": {"service": "till"}}
    body = {"type": "Dataplane", "mesh": "cellar", "name": "tl", "networking": {"inbound": [inbound]}}
    answer = cp.put("/meshes/cellar/dataplanes/tl", body)
    assert (answer.status, answer.body) == (400, data("11_4_missing_mesh.json"))
    answer = cp.get("/meshes/cellar/dataplanes/tl")
    assert (answer.status, answer.body) == (404, data("11_4_missing_resource.json"))
    answer = cp.get("/meshes/cellar/dataplanes")
    assert (answer.status, answer.body) == (200, {"items": []})


@pytest.mark.parametrize("collection", ["dataplanes+insights", "dataplane+insights", "dataplanes%2Binsights"])
def test_overview_with_and_without_insight(cp: RunningPlatform, collection: str) -> None:
    """The tag filter is split at its first colon, so that it finds the value which the original ignores."""
    till = {"interface": "10.0.0.1:8080:80", "tags": {"service": "till:80", "floor": "2"}}
    barn = {"interface": "10.0.0.2:8080:80", "tags": {"service": "barn"}}
    cp.apply({"type": "Mesh", "name": "orchard"})
    for name, inbound in (("till-7", till), ("barn-1", barn)):
        networking = {"inbound": [inbound]}
        cp.apply({"type": "Dataplane", "mesh": "orchard", "name": name, "networking": networking})

    path = f"/meshes/orchard/{collection}"
    overview = {
        "dataplane": {"networking": {"inbound": [till]}},
        "mesh": "orchard",
        "name": "till-7",
        "type": "DataplaneOverview",
        "status": {  # beside what the original tells
            "state": "Never connected",
            "reason": "no Envoy of it has opened a stream to a control plane yet; is kuma-dp running?",
        },
    }
    assert cp.get(f"{path}/till-7").body == {**overview, "dataplaneInsight": {}}
    assert overview in cp.get(path).body["items"]

    def names(query: str) -> list[str]:
        return [item["name"] for item in cp.get(f"{path}?{query}").body["items"]]

    assert names("tag=service:till:80&tag=floor:*") == ["till-7"]
    assert names("tag=service:*") == ["barn-1", "till-7"]
    assert names("tag=service:till:80") == ["till-7"]
    assert names("tag=service:till") == []
    assert names("tag=floor:*") == ["till-7"]
    assert names("tag=nonsense") == ["barn-1", "till-7"]
    assert names("tag=service:barn&tag=service:till:80") == ["till-7"]
