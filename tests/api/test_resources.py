"""Resources over REST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kuma_core.errors import AlreadyExists, Conflict, StoreUnavailable
from kuma_core.model import ResourceKey
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import BreakableStorePlugin, assert_error, send

IN = inbound("10.0.0.1:8080:80", "web")


def test_an_item_is_flat_sorted_and_indented_by_one_space(cp: RunningPlatform, shop: str) -> None:
    cp.apply(dataplane("web-1", IN, outbounds=[outbound(":9000", "db")], mesh=shop))
    reply = send(cp.api, "GET", f"/meshes/{shop}/dataplanes/web-1")
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.body.decode() == json.dumps(
        {
            "mesh": shop,
            "name": "web-1",
            "networking": {"inbound": [IN], "outbound": [outbound(":9000", "db")]},
            "type": "Dataplane",
        },
        indent=1,
    )


def test_lists_are_sorted_and_contain_what_items_are(cp: RunningPlatform, shop: str) -> None:
    assert cp.get(f"/meshes/{shop}/dataplanes").body == {"items": []}
    for name in ("web-2", "web-10", "a"):
        cp.apply(dataplane(name, IN, mesh=shop))
    items = cp.get(f"/meshes/{shop}/dataplanes").body["items"]
    assert [item["name"] for item in items] == ["a", "web-10", "web-2"]
    assert items[0] == cp.get(f"/meshes/{shop}/dataplanes/a").body
    assert shop in [item["name"] for item in cp.get("/meshes").body["items"]]


def test_what_is_not_there(cp: RunningPlatform, shop: str) -> None:
    assert cp.get("/meshes/nowhere/dataplanes").body == {"items": []}
    for method in ("GET", "DELETE"):
        answer = cp.request(method, f"/meshes/{shop}/dataplanes/nobody")
        assert (answer.status, answer.body["details"]) == (404, "Not found")
    assert cp.delete("/meshes/nowhere").body["title"] == "Could not delete a resource"


@pytest.mark.parametrize("path", ["meshes", "meshes/{}/dataplanes", "meshes/{}/dataplane-insights"])
def test_answers_to_writes_are_empty_and_have_no_type(cp: RunningPlatform, shop: str, path: str) -> None:
    kind = {"meshes": "Mesh", "dataplanes": "Dataplane", "dataplane-insights": "DataplaneInsight"}
    body: dict[str, Any] = {"type": kind[path.split("/")[-1]], "name": "x", "mesh": shop}
    if body["type"] == "Dataplane":
        body["networking"] = {"inbound": [IN]}
    data, target = json.dumps(body).encode(), f"/{path.format(shop)}/x"
    results = []
    for method, sent in (("PUT", data), ("PUT", data), ("DELETE", b"")):
        reply = send(cp.api, method, target, sent)
        assert (reply.body, reply.headers["Content-Type"]) == (b"", None)
        results.append((reply.status, reply.headers["Kuma-Result"]))
    assert results == [(201, "created"), (200, "unchanged"), (200, None)]
    assert cp.get(target).status == 404


def test_a_put_replaces_the_whole_spec(cp: RunningPlatform, shop: str) -> None:
    cp.apply(dataplane("web-1", IN, outbounds=[outbound(":9000", "db")], mesh=shop))
    answer = cp.put(f"/meshes/{shop}/dataplanes/web-1", dataplane("web-1", IN, mesh=shop))
    assert (answer.status, answer.headers["Kuma-Result"]) == (200, "updated")
    assert cp.get(f"/meshes/{shop}/dataplanes/web-1").body["networking"] == {"inbound": [IN]}


def test_bytes_behind_the_first_value_count_for_nothing(cp: RunningPlatform, shop: str) -> None:
    body = json.dumps(mesh(shop)).encode() + b"} and so on \xff"
    assert cp.put(f"/meshes/{shop}", body).status == 400, "they must be UTF-8, though"
    assert cp.put(f"/meshes/{shop}", body[:-1]).status == 200


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"name": "other"}, ["name"]),
        ({"type": "dataplane"}, ["type"]),
        ({"mesh": "other"}, ["mesh"]),
        ({"mesh": None, "name": 5}, ["name", "mesh"]),
        ({"name": "x", "type": "Mesh", "mesh": ["y"]}, ["name", "type", "mesh"]),
    ],
)
def test_url_and_body_must_agree(
    cp: RunningPlatform, shop: str, change: dict[str, Any], fields: list[str]
) -> None:
    answer = cp.put(f"/meshes/{shop}/dataplanes/web-1", {**dataplane("web-1", IN, mesh=shop), **change})
    assert (answer.status, answer.body["title"]) == (400, "Could not process a resource")
    assert answer.body["details"] == "Resource is not valid"
    messages = [(cause["field"], cause["message"]) for cause in answer.body["causes"]]
    assert messages == [(field, f"{field} from the URL has to be the same as in body") for field in fields]
    assert cp.get(f"/meshes/{shop}/dataplanes").body == {"items": []}


def test_meta_keys_in_any_case_and_both_spellings_of_fields(cp: RunningPlatform, shop: str) -> None:
    networking = {"inbound": [IN], "outbound": [{**outbound(":9000", "db"), "service_port": "7"}]}
    body = {"Type": "Dataplane", "NAME": "web-1", "Mesh": shop, "networking": networking}
    answer = cp.put(f"/meshes/{shop}/dataplanes/web-1", body)
    assert (answer.status, "Warning" in answer.headers) == (201, False)
    networking["outbound"][0]["servicePort"] = 8
    cp.put(f"/meshes/{shop}/dataplanes/web-1", body)
    stored = cp.get(f"/meshes/{shop}/dataplanes/web-1").body["networking"]["outbound"][0]
    assert stored == {**outbound(":9000", "db"), "servicePort": 8}, "camelCase wins"


def test_zero_values_go_and_given_empty_ones_stay(cp: RunningPlatform, shop: str) -> None:
    body = {
        **mesh(shop),
        "mtls": {"enabled": False, "ca": None},
        "tracing": {},
        "logging": {"defaultBackend": "", "backends": []},
    }
    assert cp.put(f"/meshes/{shop}", body).status == 200
    assert cp.get(f"/meshes/{shop}").body == {
        **mesh(shop),
        "logging": {"backends": []},
        "mtls": {"ca": {"builtin": {}}},
        "tracing": {},
    }


def test_rules_of_a_mesh(cp: RunningPlatform, shop: str) -> None:
    backends: list[dict[str, Any]] = [
        {"file": {}},
        {"name": "a", "tcp": {}},
        {"name": "a", "tcp": {"address": "::1:9000"}},
        {"name": "b", "tcp": {"address": "[::1]:syslog"}},
    ]
    body = {**mesh(shop), "logging": {"defaultBackend": "c", "backends": backends}}
    answer = cp.put(f"/meshes/{shop}", body)
    assert (answer.status, answer.body["title"]) == (400, "Could not update a resource")
    assert [(cause["field"], cause["message"]) for cause in answer.body["causes"]] == [
        ("logging.backends[0].name", "cannot be empty"),
        ("logging.backends[0].file.path", "cannot be empty"),
        ("logging.backends[1].tcp.address", "cannot be empty"),
        ("logging.backends[2].tcp.address", "has to be in format of HOST:PORT"),
        ("logging.backends[2].name", '"a" name is already used for another backend'),
        ("logging.defaultBackend", "has to be set to one of the logging backend in mesh"),
    ]


@pytest.mark.parametrize(
    ("networking", "cause"),
    [
        ({}, ("networking", "has to contain at least one inbound interface or gateway")),
        (
            {"inbound": [IN], "gateway": {"tags": {"service": "edge"}}},
            ("networking", "inbound cannot be defined both with gateway"),
        ),
        ({"gateway": {}}, ('networking.gateway.tags["service"]', "tag has to exist")),
        (
            {"gateway": {"tags": {"service": "edge", "zone": ""}}},
            ('networking.gateway.tags["zone"]', "tag value cannot be empty"),
        ),
    ],
)
def test_rules_of_a_dataplane(
    cp: RunningPlatform, shop: str, networking: dict[str, Any], cause: tuple[str, str]
) -> None:
    body = {"type": "Dataplane", "mesh": shop, "name": "x", "networking": networking}
    answer = cp.put(f"/meshes/{shop}/dataplanes/x", body)
    assert (answer.status, answer.body["title"]) == (400, "Could not create a resource")
    assert [(item["field"], item["message"]) for item in answer.body["causes"]] == [cause]


def test_deleting_a_mesh_takes_everything_in_it_along(cp: RunningPlatform, shop: str) -> None:
    cp.apply(dataplane("web-1", IN, mesh=shop))
    cp.apply({"type": "DataplaneInsight", "mesh": shop, "name": "web-1"})
    assert cp.delete(f"/meshes/{shop}").status == 200
    for collection in ("dataplanes", "dataplane-insights", "dataplanes+insights"):
        assert cp.get(f"/meshes/{shop}/{collection}").body == {"items": []}
    assert cp.delete(f"/meshes/{shop}").status == 404


def test_an_insight_shows_its_counters_as_text(cp: RunningPlatform, shop: str) -> None:
    status = {"lastUpdateTime": "2020-01-15T09:00:00.5+01:00", "total": {"responsesSent": 3}, "rds": {}}
    subscription = {"id": "1", "connectTime": "2020-01-15T08:00:00Z", "status": status}
    insight = {"type": "DataplaneInsight", "mesh": shop, "name": "web-1", "subscriptions": [subscription]}
    cp.apply(dataplane("web-1", IN, mesh=shop), insight)
    expected = {**status, "lastUpdateTime": "2020-01-15T08:00:00.500Z", "total": {"responsesSent": "3"}}
    stored = cp.get(f"/meshes/{shop}/dataplane-insights/web-1").body["subscriptions"]
    assert stored == [{**subscription, "status": expected}]
    item = cp.get(f"/meshes/{shop}/dataplanes+insights/web-1").body
    assert list(item) == ["dataplane", "dataplaneInsight", "mesh", "name", "status", "type"]
    assert item["dataplaneInsight"] == {"subscriptions": stored}
    assert cp.get(f"/meshes/{shop}/dataplanes+insights").body["items"] == [item]


def test_an_overview_cannot_be_written(cp: RunningPlatform, shop: str) -> None:
    for method in ("PUT", "DELETE"):
        answer = cp.request(method, f"/meshes/{shop}/dataplanes+insights/x", {})
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, OPTIONS")
        assert_error(answer.body)


READ, LISTED, FOUND, DELETED = (
    ("GET", "/meshes/default", "Could not retrieve a resource"),
    ("GET", "/meshes", "Could not retrieve resources"),
    ("PUT", "/meshes/default", "Could not find a resource"),
    ("DELETE", "/meshes/default", "Could not delete a resource"),
)
OVERVIEWS = ("GET", "/meshes/default/dataplanes+insights", "Could not retrieve dataplane overviews")
OVERVIEW = ("GET", "/meshes/default/dataplanes+insights/x", "Could not retrieve a dataplane overview")


@pytest.mark.parametrize(("method", "path", "title"), [READ, LISTED, FOUND, DELETED, OVERVIEWS, OVERVIEW])
def test_a_store_that_fails(method: str, path: str, title: str) -> None:
    plugin = BreakableStorePlugin()
    details = "The store cannot be reached at the moment; try again later"
    failures: tuple[Exception, ...] = (StoreUnavailable("lost"), RuntimeError("a secret of the store"))
    with running_platform([plugin]) as cp:
        for failure in failures:
            with plugin.broken(failure):
                answer = cp.request(method, path, mesh("default") if method == "PUT" else None)
            assert (answer.status, answer.body) == (503, {"title": title, "details": details})


def test_a_record_that_cannot_be_read_is_named() -> None:
    plugin = BreakableStorePlugin()
    plugin.store.create(ResourceKey("Dataplane", "default", "odd"), '{"networking": 7}')
    with running_platform([plugin]) as cp:
        for path in ("dataplanes", "dataplanes/odd", "dataplanes+insights"):
            answer = cp.get(f"/meshes/default/{path}")
            assert answer.status == 500
            assert_error(answer.body)
            assert 'name="odd" mesh="default" cannot be read: networking:' in answer.body["details"]
        assert cp.delete("/meshes/default/dataplanes/odd").status == 200, "it can be repaired"
        assert cp.get("/meshes/default/dataplanes").body == {"items": []}


@pytest.mark.parametrize("failure", [Conflict("x"), AlreadyExists("x")])
def test_a_write_that_others_keep_winning_is_a_conflict(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = BreakableStorePlugin()

    def lose(*_: object) -> None:
        raise failure

    with running_platform([plugin]) as cp:
        monkeypatch.setattr(plugin.store, "create", lose)
        answer = cp.put("/meshes/new", mesh("new"))
        assert (answer.status, answer.body["title"]) == (409, "Could not create a resource")
        assert answer.body["details"].startswith("Conflict: ")


def test_read_only_says_what_is_read_only() -> None:
    with running_platform([BreakableStorePlugin()], {"KUMA_API_SERVER_READ_ONLY": "true"}) as cp:
        for method in ("PUT", "DELETE"):
            answer = cp.request(method, "/meshes/default", mesh("default"))
            assert (answer.status, answer.headers["Allow"]) == (405, "GET")
            assert_error(answer.body)
            assert "read-only (apiServer.readOnly)" in answer.body["details"]
            assert "kubectl" not in answer.body["details"]
        assert cp.get("/meshes/default").status == 200


def test_read_only_on_kubernetes_names_kubectl(tmp_path: Path) -> None:
    settings = {
        "KUMA_API_SERVER_READ_ONLY": "true",
        "KUMA_ENVIRONMENT": "kubernetes",
        "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": str(tmp_path),
    }
    with running_platform([BreakableStorePlugin()], settings) as cp:
        for method in ("PUT", "DELETE"):
            answer = cp.request(method, "/meshes/default", mesh("default"))
            assert answer.status == 405
            assert "on Kubernetes write with kubectl: `kumactl apply -o kubernetes`" in answer.body["details"]
