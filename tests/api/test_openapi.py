"""``GET /openapi.json`` is valid, complete, and has the kinds of third parties in it."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from openapi_spec_validator import validate

from kuma_core.model import ResourceType, Scope
from kuma_core.sdk import Duration, Spec, UInt32, UInt64
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import BreakableStorePlugin


class Peer(Spec):
    """A nested model with the name of nobody else's."""

    some_name: str = ""
    weight: UInt64 = 0


class GardenSpec(Spec):
    """A kind of a third party."""

    peers: tuple[Peer, ...] = ()
    is_open: bool = True
    repeat_count: UInt32 = 1
    seeds: UInt64 = 2**40
    pause: Duration = 1_500_000_000
    is_closed: bool = False
    nothing: Duration = 0
    mode: Literal["dry", "wet"] = "wet"
    tools: tuple[str, ...] = ("spade",)
    first: Peer = Peer(weight=3)
    second: Peer = Peer()
    maybe: Duration | None = None


GARDEN = ResourceType(name="Garden", path="gardens", singular="garden", spec=GardenSpec)
PLANET = ResourceType(
    name="Planet", path="planets", singular="planet", spec=GardenSpec, scope=Scope.GLOBAL, read_only=True
)
HIDDEN = ResourceType(name="Hidden", path="hiddens", singular="hidden", spec=GardenSpec, served=False)


@pytest.fixture(scope="module")
def document() -> Any:
    with running_platform([BreakableStorePlugin(GARDEN, PLANET, HIDDEN)]) as cp:
        first = cp.get("/openapi.json")
        assert first.status == 200
        assert cp.get("/openapi.json").body == first.body
        return first.body


def test_it_is_valid(document: Any) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_it_has_every_route_of_the_kernel(cp: RunningPlatform) -> None:
    described = set(cp.get("/openapi.json").body["paths"])
    pages = {"/", "/config", "/catalog", "/kinds", "/openapi.json"}
    meshes = {"/meshes", "/meshes/{name}"}
    collections = {
        f"/meshes/{{mesh}}/{path}" for path in ("dataplanes", "dataplane-insights", "dataplanes+insights")
    }
    assert described == pages | meshes | collections | {f"{path}/{{name}}" for path in collections}


def test_kinds_of_third_parties(document: Any) -> None:
    paths = document["paths"]
    assert set(paths["/meshes/{mesh}/gardens/{name}"]) == {"parameters", "get", "put", "delete"}
    assert set(paths["/planets/{name}"]) == {"parameters", "get"}
    assert [item["name"] for item in paths["/planets/{name}"]["parameters"]] == ["name"]
    assert not [path for path in paths if "hidden" in path]
    garden = document["components"]["schemas"]["Garden"]
    assert garden["required"] == ["type", "name", "mesh"]
    assert garden["properties"]["type"] == {"const": "Garden"}
    peer = document["components"]["schemas"]["spec.Peer"]
    assert list(peer["properties"]) == ["someName", "weight"]
    assert peer["properties"]["weight"]["type"] == "string"


def test_defaults_are_told_where_they_are_no_empty_values(document: Any) -> None:
    properties = document["components"]["schemas"]["Garden"]["properties"]
    defaults = {name: item["default"] for name, item in properties.items() if "default" in item}
    assert defaults == {
        "isOpen": True,
        "repeatCount": 1,
        "seeds": str(2**40),
        "pause": "1.500s",
        "mode": "wet",
        "tools": ["spade"],
        "first": {"weight": "3"},
    }


def test_what_an_operation_says(document: Any) -> None:
    item = document["paths"]["/meshes/{mesh}/dataplanes/{name}"]
    assert {"200", "201", "400", "409", "413", "415"} <= set(item["put"]["responses"])
    assert set(item["put"]["responses"]["201"]["headers"]) == {"Kuma-Result", "Warning"}
    collection = document["paths"]["/meshes/{mesh}/dataplanes+insights"]["get"]
    names = [parameter["name"] for parameter in collection["parameters"]]
    assert names == ["tag", "size", "offset", "q", "sort"]
    error = document["components"]["schemas"]["Error"]
    assert error["required"] == ["title", "details"]


def test_schemas_agree_with_what_is_served(document: Any) -> None:
    dataplane = document["components"]["schemas"]["Dataplane"]["properties"]
    networking = document["components"]["schemas"][dataplane["networking"]["$ref"].split("/")[-1]]
    assert set(networking["properties"]) >= {"inbound", "outbound", "transparentProxying", "gateway"}
    references = set(re.findall(r"'\$ref': '#/components/(\w+)/([^']+)'", str(document)))
    assert references
    assert all(name in document["components"][group] for group, name in references)
