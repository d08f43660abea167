"""The HTTP API chapter of the user's document: for each kind create, read, list, update and delete.

For a kind the document shows one and the same resource as the body of its PUT, as the answer to its GET and
as the only item of its list; it is the file of that kind in ``data/seed``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform

from ..support import document, has, needs

FILES = {
    "health-checks": "health_check",
    "proxytemplates": "proxy_template",
    "traffic-permissions": "traffic_permission",
    "trafficpermissions": "traffic_permission",  # the path in the heading of its PUT
    "traffic-logs": "traffic_log",
    "traffic-routes": "traffic_route",
    "dataplanes": "dataplane",
}


@dataclass(frozen=True)
class Example:
    """A collection, an item in it, and the resource that the document shows for it."""

    collection: str
    name: str
    body: Any

    @property
    def item(self) -> str:
        return f"{self.collection}/{self.name}"


@pytest.fixture(params=list(FILES))
def example(request: pytest.FixtureRequest, cp: RunningPlatform) -> Iterator[Example]:
    """One of the kinds that live in a mesh; the mesh is there and empty."""
    path = str(request.param)
    cp.apply(mesh("mesh-1"))
    body = document(f"seed/{FILES[path]}.json")
    yield Example(f"/meshes/mesh-1/{path}", body["name"], body)
    cp.delete("/meshes/mesh-1")


@pytest.fixture
def mesh_example(cp: RunningPlatform) -> Iterator[Example]:
    """The mesh, which has mTLS on: it needs the authority that it selects."""
    needs(has("kuma_ca_builtin"), "the plugin kuma-ca-builtin")
    yield Example("/meshes", "mesh-1", document("seed/mesh.json"))
    cp.delete("/meshes/mesh-1")


def test_put_creates_and_then_updates(cp: RunningPlatform, example: Example) -> None:
    created = cp.put(example.item, example.body)
    assert (created.status, created.body) == (201, "")
    assert "Warning" not in created.headers
    again = cp.put(example.item, example.body)
    assert (again.status, again.body, again.headers["Kuma-Result"]) == (200, "", "unchanged")


def test_get_answers_what_was_put(cp: RunningPlatform, example: Example) -> None:
    cp.put(example.item, example.body)
    answer = cp.get(example.item)
    assert (answer.status, answer.body) == (200, example.body)
    assert answer.headers["Content-Type"] == "application/json"


def test_list_has_it_as_its_only_item(cp: RunningPlatform, example: Example) -> None:
    assert cp.get(example.collection).body == {"items": []}
    cp.put(example.item, example.body)
    answer = cp.get(example.collection)
    assert (answer.status, answer.body) == (200, {"items": [example.body]})


def test_delete_takes_it_away(cp: RunningPlatform, example: Example) -> None:
    cp.put(example.item, example.body)
    answer = cp.delete(example.item)
    assert (answer.status, answer.body) == (200, "")
    assert cp.get(example.item).status == 404
    assert cp.get(example.collection).body == {"items": []}


def test_the_permission_that_the_document_deletes_is_another_one(cp: RunningPlatform) -> None:
    """It creates ``tp-1`` and deletes ``pt-1``, which is not there."""
    cp.apply(mesh("mesh-1"))
    cp.apply(document("seed/traffic_permission.json"))
    answer = cp.delete("/meshes/mesh-1/traffic-permissions/pt-1")
    assert (answer.status, answer.body["title"]) == (404, "Could not delete a resource")
    assert cp.get("/meshes/mesh-1/traffic-permissions/tp-1").status == 200
    assert cp.delete("/meshes/mesh-1").status == 200


# -- Mesh


def test_mesh_put_creates_and_then_updates(cp: RunningPlatform, mesh_example: Example) -> None:
    """Accepted with mTLS on and the builtin authority; a warning, if any, says what that means for traffic."""
    created = cp.put(mesh_example.item, mesh_example.body)
    assert (created.status, created.body) == (201, "")
    assert created.headers.get("Warning", '299 - "mtls.enabled: ').startswith('299 - "mtls.enabled: ')
    again = cp.put(mesh_example.item, mesh_example.body)
    assert (again.status, again.headers["Kuma-Result"]) == (200, "unchanged")


def test_mesh_get_and_list_answer_what_was_put(cp: RunningPlatform, mesh_example: Example) -> None:
    """``tracing: {}`` comes back as it was written."""
    cp.put(mesh_example.item, mesh_example.body)
    assert mesh_example.body["tracing"] == {}
    assert cp.get(mesh_example.item).body == mesh_example.body
    found = {item["name"]: item for item in cp.get("/meshes").body["items"]}
    assert found["mesh-1"] == mesh_example.body
    assert set(found) == {"default", "mesh-1"}  # the document's list leaves out the mesh that is always there


def test_mesh_delete(cp: RunningPlatform, mesh_example: Example) -> None:
    cp.put(mesh_example.item, mesh_example.body)
    answer = cp.delete(mesh_example.item)
    assert (answer.status, answer.body) == (200, "")
    assert cp.get(mesh_example.item).status == 404


def test_the_mesh_without_mtls_needs_no_plugin(cp: RunningPlatform) -> None:
    """Everything else of the example holds whether or not an authority is installed."""
    body = document("seed/mesh.json")
    del body["mtls"]["enabled"]
    assert cp.put("/meshes/mesh-1", body).status == 201
    assert cp.get("/meshes/mesh-1").body == body
    assert cp.delete("/meshes/mesh-1").status == 200


# -- overviews


@pytest.fixture
def overview(cp: RunningPlatform) -> Iterator[Any]:
    """The overview, made from a dataplane and an insight that a control plane of that time would have written."""
    body = document("seed/dataplane_overview.json")
    meta = {"mesh": body["mesh"], "name": body["name"]}
    cp.apply(
        {"type": "Dataplane", **meta, **body["dataplane"]},
        {"type": "DataplaneInsight", **meta, **body["dataplaneInsight"]},
    )
    since = body["dataplaneInsight"]["subscriptions"][0]["connectTime"]
    yield {**body, "status": {"state": "Online", "since": since}}  # what we add; the rest is as it was
    cp.delete("/meshes/default/dataplanes/example")


@pytest.mark.parametrize("spelling", ["dataplanes+insights", "dataplane+insights"])
def test_overviews(cp: RunningPlatform, overview: Any, spelling: str) -> None:
    """Both spellings work: the path of the request line and the one of the command; with a slash at its end, too."""
    collection = f"/meshes/default/{spelling}"
    assert cp.get(f"{collection}/example").body == overview
    for path in (collection, f"{collection}/"):
        assert cp.get(path).body == {"items": [overview]}


def test_the_insight_goes_with_its_dataplane(cp: RunningPlatform, overview: Any) -> None:
    assert cp.delete("/meshes/default/dataplanes/example").status == 200
    assert cp.get("/meshes/default/dataplane-insights/example").status == 404


# -- what the chapter says around its examples


def test_every_endpoint_of_the_list_answers(cp: RunningPlatform) -> None:
    for path in ("/config", "/meshes", "/meshes/default"):
        assert cp.get(path).status == 200
    for path in (*FILES, "dataplanes+insights"):
        assert cp.get(f"/meshes/default/{path}").body == {"items": []}, path
        missing = cp.get(f"/meshes/default/{path}/nothing")
        assert (missing.status, missing.body["details"]) == (404, "Not found"), path


def test_a_dataplane_needs_its_mesh(cp: RunningPlatform) -> None:
    """At least one mesh must exist, and ``default`` is there from the first start."""
    web = inbound("127.0.0.1:11011:11012", "web")
    refused = cp.put("/meshes/nowhere/dataplanes/web-1", dataplane("web-1", web, mesh="nowhere"))
    assert (refused.status, refused.body["details"]) == (400, "Mesh is not found")
    assert cp.put("/meshes/default/dataplanes/web-1", dataplane("web-1", web)).status == 201
    assert cp.delete("/meshes/default/dataplanes/web-1").status == 200
