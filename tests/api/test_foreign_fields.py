"""Kinds of third parties with fields of every type: what is PUT is what is listed, and no write spoils a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from kuma_core.model import ResourceType
from kuma_core.sdk import Duration, Spec, UInt32
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import BreakableStorePlugin


class LampSpec(Spec):
    """Fields with defaults other than empty, and types within types."""

    enabled: bool = True
    repeat_count: UInt32 = 1
    label: str = "lamp"
    pause: Duration | None = None
    pauses: dict[str, Duration] = {}
    rooms: tuple[str, ...] = ()
    shifts: tuple[tuple[Duration, ...], ...] = ()


class LeakySpec(Spec):
    """Keeps nothing of what it was given."""

    text: str = ""

    def to_stored(self) -> Any:
        return {}


KINDS = (
    ResourceType("Lamp", "lamps", LampSpec, "lamp"),
    ResourceType("Leaky", "leaks", LeakySpec, "leaky"),
)


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([BreakableStorePlugin(*KINDS)]) as platform:
        yield platform


@pytest.mark.parametrize(
    "spec",
    [
        {"enabled": False, "repeatCount": 0, "label": ""},
        {"pause": "1.500s"},
        {"pause": "0s"},
        {"pauses": {"long": "3600s", "none": "0s"}},
        {"rooms": ["attic", "cellar"]},
        {"rooms": []},
        {"shifts": [["1s", "2s"], []]},
    ],
    ids=str,
)
def test_what_is_put_is_what_is_listed(cp: RunningPlatform, spec: dict[str, Any]) -> None:
    lamp = {"type": "Lamp", "mesh": "default", "name": "a", **spec}
    url = "/meshes/default/lamps/a"
    assert cp.put(url, lamp).status in (200, 201)
    assert cp.get(url).body == lamp
    assert cp.get("/meshes/default/lamps").body["items"] == [lamp]
    assert cp.put(url, lamp).headers["Kuma-Result"] == "unchanged"


def test_a_default_that_is_given_is_the_same_as_none(cp: RunningPlatform) -> None:
    lamp = {"type": "Lamp", "mesh": "default", "name": "b"}
    assert cp.put("/meshes/default/lamps/b", {**lamp, "enabled": True, "repeatCount": 1}).status == 201
    assert cp.get("/meshes/default/lamps/b").body == lamp
    assert cp.put("/meshes/default/lamps/b", lamp).headers["Kuma-Result"] == "unchanged"
    assert cp.delete("/meshes/default/lamps/b").status == 200


@pytest.mark.parametrize("query", ["", "?dry-run=validate"])
def test_what_could_not_be_read_again_is_refused_and_the_list_goes_on(
    cp: RunningPlatform, query: str
) -> None:
    leaky = {"type": "Leaky", "mesh": "default", "name": "a"}
    assert cp.put("/meshes/default/leaks/a", leaky).status in (200, 201)
    answer = cp.put(f"/meshes/default/leaks/b{query}", {**leaky, "name": "b", "text": "lost"})
    assert answer.status == 500
    assert "was not stored" in answer.body["details"]
    assert "text would come back with another value" in answer.body["details"]
    assert cp.get("/meshes/default/leaks").body["items"] == [leaky]


def test_openapi_describes_them(cp: RunningPlatform) -> None:
    document = cp.get("/openapi.json").body
    validate(document)
    lamp = document["components"]["schemas"]["Lamp"]["properties"]
    assert lamp["rooms"] == {"type": "array", "items": {"type": "string"}, "title": "Rooms"}
    assert lamp["pauses"]["additionalProperties"] == {"type": "string"}
