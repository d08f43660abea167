"""``?dry-run=validate``: whether a write would be taken and what it would do, without its mesh and without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform

WEB = dataplane("web-1", inbound("10.0.0.1:80:80", "web"))
PATH = "/meshes/default/dataplanes/web-1"


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as platform:
        yield platform


def tried(cp: RunningPlatform, path: str, document: Any) -> tuple[int, Any]:
    before = [
        cp.platform.core.store.list(kind.name) for kind in cp.platform.catalog.kinds if kind.name != "Lease"
    ]
    answer = cp.put(f"{path}?dry-run=validate", document)
    after = [
        cp.platform.core.store.list(kind.name) for kind in cp.platform.catalog.kinds if kind.name != "Lease"
    ]
    assert [len(records) for records in after] == [len(records) for records in before]
    return answer.status, answer.body


def test_it_says_what_a_write_would_do(cp: RunningPlatform) -> None:
    assert tried(cp, PATH, WEB) == (200, {"result": "created", "warnings": []})
    cp.apply(WEB)
    assert tried(cp, PATH, WEB) == (200, {"result": "unchanged", "warnings": []})
    changed = dataplane("web-1", inbound("10.0.0.2:80:80", "web"))
    assert tried(cp, PATH, changed) == (200, {"result": "updated", "warnings": []})
    assert cp.get(PATH).body["networking"]["inbound"][0]["interface"] == "10.0.0.1:80:80"


def test_the_mesh_may_still_be_to_come(cp: RunningPlatform) -> None:
    document = dataplane("web-1", inbound("10.0.0.1:80:80", "web"), mesh="later")
    assert tried(cp, "/meshes/later/dataplanes/web-1", document)[1]["result"] == "created"
    assert cp.put("/meshes/later/dataplanes/web-1?dry-run=xds", document).status == 400


def test_it_refuses_and_warns_as_a_write_does(cp: RunningPlatform) -> None:
    status, body = tried(cp, PATH, {**WEB, "networking": {}})
    assert (status, [cause["field"] for cause in body["causes"]]) == (400, ["networking"])
    assert tried(cp, PATH, {**WEB, "colour": "red"})[1]["warnings"] == ['unknown field "colour" is ignored']
    vault = {"type": "Mesh", "name": "safe", "mtls": {"ca": {"vault": {}}}}
    status, body = tried(cp, "/meshes/safe", vault)
    assert (status, body["causes"][0]["field"]) == (400, "mtls.ca.vault")


def test_a_deletion(cp: RunningPlatform) -> None:
    cp.apply(WEB)
    answer = cp.delete(f"{PATH}?dry-run=validate")
    assert (answer.status, answer.body) == (200, {"result": "deleted", "warnings": []})
    assert cp.get(PATH).status == 200
    assert cp.delete("/meshes/default/dataplanes/nobody?dry-run=validate").status == 404


def test_another_way_of_trying_is_refused(cp: RunningPlatform) -> None:
    answer = cp.put(f"{PATH}?dry-run=maybe", WEB)
    assert answer.body["causes"] == [
        {"field": "dry-run", "message": 'expected "xds" or "validate", got "maybe"'}
    ]


def test_kinds_that_control_planes_write_are_marked(cp: RunningPlatform) -> None:
    kinds = cp.get("/kinds").body["kinds"]
    assert {kind["name"] for kind in kinds if kind["status"]} == {"DataplaneInsight", "DataplaneOverview"}
