"""What nobody knows in a document: told in any case, refused where it decides what the rest means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform

from .support import send

IN = inbound("10.0.0.1:8080:80", "web")
ENDS = {"sources": [{"match": {"service": "web"}}], "destinations": [{"match": {"service": "db"}}]}
ENCRYPTED = mesh("shop", mtls={"enabled": True, "ca": {"builtin": {}}})


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin]) as platform:
        yield platform


@pytest.fixture(autouse=True)
def _an_encrypted_mesh(cp: RunningPlatform) -> None:
    cp.apply(ENCRYPTED)


def told(cp: RunningPlatform, path: str, document: Any) -> tuple[int, list[str]]:
    """The status of a PUT, and the texts of its warnings."""
    reply = send(cp.api, "PUT", path, json.dumps(document).encode())
    quoted = (reply.headers["Warning"] or "").replace("299 - ", "")
    return reply.status, json.loads(f"[{quoted}]")


def unknown(*paths: str) -> list[str]:
    return [f'unknown field "{path}" is ignored' for path in paths]


DATAPLANES, CHECKS = "/meshes/shop/dataplanes/web-1", "/meshes/shop/health-checks/check"
META = {"type": "Dataplane", "mesh": "shop", "name": "web-1"}
CHECK = {"type": "HealthCheck", "mesh": "shop", "name": "check"}
LATER_CHECK = {"interval": "10s", "timeout": "2s", "unhealthyThreshold": 3, "healthyThreshold": 1}
LATER_INBOUND = {"port": 8080, "servicePort": 80, "tags": {"service": "web"}}


@pytest.mark.parametrize(
    ("path", "document", "paths"),
    [
        (DATAPLANES, {**META, "networking": {"inbounds": [IN]}}, ["networking.inbounds"]),
        (
            DATAPLANES,
            {**META, "networking": {"address": "10.0.0.1", "inbound": [LATER_INBOUND]}},
            ["networking.address", "networking.inbound[0].port", "networking.inbound[0].servicePort"],
        ),
        (DATAPLANES, {**META, "spec": {"networking": {"inbound": [IN]}}}, ["spec"]),
        (DATAPLANES, {**META, "networking": {"inbound": "x"}, "colour": 1}, ["colour"]),
        (DATAPLANES, {"kind": "Dataplane", "metadata": {"name": "web-1"}}, ["kind", "metadata"]),
        (CHECKS, {**CHECK, **ENDS, "conf": LATER_CHECK}, [f"conf.{field}" for field in LATER_CHECK]),
        ("/meshes/shop", {"type": "Mesh", "name": "shop", "mtls": {"ca": "builtin"}, "a": 1}, ["a"]),
        ("/meshes/shop", {"type": "Mesh", "name": "shop", "mtls": {"ca": {"builtin": 7}}, "a": 1}, ["a"]),
    ],
)
def test_they_are_told_when_the_document_is_refused(
    cp: RunningPlatform, path: str, document: Any, paths: list[str]
) -> None:
    assert told(cp, path, document) == (400, unknown(*paths))


def test_they_are_told_when_it_is_the_mesh_that_is_missing(cp: RunningPlatform) -> None:
    document = {**dataplane("web-1", IN, mesh="nowhere"), "colour": "red"}
    assert told(cp, "/meshes/nowhere/dataplanes/web-1", document) == (400, unknown("colour"))


def test_at_most_twenty_warnings_also_of_a_refused_document(cp: RunningPlatform) -> None:
    status, texts = told(cp, DATAPLANES, {**META, **{f"x{number}": 1 for number in range(150)}})
    assert (status, len(texts), texts[-1]) == (400, 20, "and 131 more warnings")


def put_mtls(cp: RunningPlatform, mtls: Any, query: str = "", name: str = "shop") -> JsonAnswer:
    return cp.put(f"/meshes/{name}{query}", mesh(name, mtls=mtls))


def is_encrypted(cp: RunningPlatform) -> bool:
    return bool(cp.get("/meshes/shop").body["mtls"].get("enabled"))


LATER = {"enabledBackend": "ca-1", "backends": [{"name": "ca-1", "type": "builtin"}]}


@pytest.mark.parametrize(
    ("mtls", "field"),
    [
        (LATER, "mtls.enabledBackend"),
        ({"enabledBackend": "ca-1", "enabled": None}, "mtls.enabledBackend"),
        ({"enabeld": True, "ca": {"builtin": {}}}, "mtls.enabeld"),
        ({"Enabled": True}, "mtls.Enabled"),
        ({"mode": "PERMISSIVE"}, "mtls.mode"),
    ],
)
@pytest.mark.parametrize("query", ["", "?dry-run=validate", "?dry-run=xds"])
@pytest.mark.parametrize("name", ["shop", "a-new-one"])
def test_inside_mtls_they_are_refused_on_create_and_update(
    cp: RunningPlatform, mtls: Any, field: str, query: str, name: str
) -> None:
    answer = put_mtls(cp, mtls, query, name)
    assert answer.status == 400
    cause = answer.body["causes"][0]
    assert cause["field"] == field
    assert 'write "enabled: true" or "enabled: false", too' in cause["message"]
    assert field not in answer.headers.get("Warning", "")
    assert is_encrypted(cp)
    assert cp.get("/meshes/a-new-one").status == 404


def test_a_slip_of_the_pen_is_recognised(cp: RunningPlatform) -> None:
    (cause,) = put_mtls(cp, {"enabeld": True}).body["causes"]
    assert 'did you mean "enabled"?' in cause["message"]
    (cause,) = put_mtls(cp, {"mode": "STRICT"}).body["causes"]
    assert "did you mean" not in cause["message"]


@pytest.mark.parametrize(
    "mtls", [{**LATER, "enabled": True}, {"colour": None, "enabled": True}, {"enabled": True, "ca": {}}]
)
def test_who_says_enabled_has_the_rest_ignored(cp: RunningPlatform, mtls: Any) -> None:
    assert put_mtls(cp, mtls).status == 200
    assert is_encrypted(cp)


@pytest.mark.parametrize("document", [{"mtls": {"ca": {}, "enabled": False}}, {"mtls": {"ca": {}}}, {}])
def test_a_write_that_turns_encryption_off_says_so(cp: RunningPlatform, document: Any) -> None:
    for query, where in (("?dry-run=validate", "body"), ("", "headers")):
        answer = cp.put(f"/meshes/shop{query}", {**mesh("shop"), "tracing": {}, **document})
        assert answer.status == 200
        said = str(answer.body["warnings"] if where == "body" else answer.headers["Warning"])
        assert "mtls.enabled: this write turns mutual TLS off" in said
    assert not is_encrypted(cp)
    again = cp.put("/meshes/shop", {**mesh("shop"), **document})
    assert "turns mutual TLS off" not in again.headers.get("Warning", "")
