"""Worked examples of the API: policies, durations, errors, a provided authority, configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
from kuma_core.config import build_config
from kuma_core.documents import load_documents
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform

from .support import document, has, needs, plugins, signing_pair


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform(plugins()) as platform:
        platform.apply(mesh("orchard"))
        yield platform


def causes(answer: Any) -> list[tuple[str, str]]:
    """Field and message of each cause of a 400."""
    assert answer.status == 400, answer
    return [(cause["field"], cause["message"]) for cause in answer.body["causes"]]


def policy(kind: str, **spec: Any) -> Mapping[str, Any]:
    return {"type": kind, "mesh": "orchard", "name": "p", **spec}


TILL = [{"match": {"service": "till"}}]


# -- a mesh that is missing


def test_missing_mesh_for_a_traffic_log(cp: RunningPlatform) -> None:
    body = {**policy("TrafficLog", sources=TILL, destinations=TILL), "mesh": "cellar", "name": "tl"}
    answer = cp.put("/meshes/cellar/traffic-logs/tl", body)
    assert (answer.status, answer.body) == (400, document("11_4_missing_mesh.json"))
    answer = cp.get("/meshes/cellar/traffic-logs/tl")
    assert (answer.status, answer.body) == (404, document("11_4_missing_resource.json"))
    assert cp.get("/meshes/cellar/traffic-logs").body == {"items": []}


# -- selectors and destinations


def test_selectors_of_a_permission(cp: RunningPlatform) -> None:
    sources = [{"match": {"service": "till", "floor": "2"}}]
    body = policy("TrafficPermission", sources=sources, destinations=[])
    assert causes(cp.put("/meshes/orchard/traffic-permissions/p", body)) == [
        ("sources[0].match", 'must consist of exactly one tag "service"'),
        ('sources[0].match["floor"]', 'tag "floor" is not allowed'),
        ("destinations", "must have at least one element"),
    ]


def test_destination_of_a_route(cp: RunningPlatform) -> None:
    conf = [{"weight": 1, "destination": {}}]
    body = policy("TrafficRoute", sources=TILL, destinations=TILL, conf=conf)
    assert causes(cp.put("/meshes/orchard/traffic-routes/p", body)) == [
        ("conf[0].destination", "must have at least one tag"),
        ("conf[0].destination", 'mandatory tag "service" is missing'),
    ]


# -- numbers and durations


def check(**active: Any) -> Mapping[str, Any]:
    return policy("HealthCheck", sources=TILL, destinations=TILL, conf={"active_checks": active})


def test_numbers_and_durations_are_normalised(cp: RunningPlatform) -> None:
    written = {"interval": "1m", "timeout": "1500ms", "unhealthyThreshold": "3", "healthyThreshold": 1}
    cp.apply(check(**written))
    assert cp.get("/meshes/orchard/health-checks/p").body["conf"] == {
        "activeChecks": {
            "interval": "60s",
            "timeout": "1.500s",
            "unhealthyThreshold": 3,
            "healthyThreshold": 1,
        }
    }


def test_a_number_is_no_duration(cp: RunningPlatform) -> None:
    """A 400 with the field, in place of the original's 500."""
    body = check(interval=60, timeout="1s", unhealthyThreshold=1, healthyThreshold=1)
    ((field, message),) = causes(cp.put("/meshes/orchard/health-checks/q", {**body, "name": "q"}))
    assert (field, "duration" in message) == ("conf.active_checks.interval", True)
    assert cp.get("/meshes/orchard/health-checks/q").status == 404


# -- every answer is JSON in the one shape


def test_a_form_is_read_as_json(cp: RunningPlatform) -> None:
    """``curl -X PUT --data '{}'`` says that it sends a form; its body is looked at all the same."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = cp.request("PUT", "/meshes/x", {}, 0, **kind)
    assert [field for field, _ in causes(answer)] == ["name", "type"]
    assert cp.request("PUT", "/meshes/x", mesh("x"), 0, **kind).status == 201
    assert cp.delete("/meshes/x").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/meshes", 405), ("GET", "/meshes/x/nothing", 404)]
)
def test_replies_of_the_router(cp: RunningPlatform, method: str, path: str, status: int) -> None:
    answer = cp.request(method, path)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
    assert answer.body["title"]
    assert answer.body["details"]


# -- a provided authority


def test_life_of_a_provided_authority(cp: RunningPlatform) -> None:
    """The first step is accepted with a warning in place of a refusal."""
    needs(has("kuma_ca_provided"), "the plugin kuma-ca-provided")
    admin = cp.platform.config.number("adminServer.local.port")
    certificates = "/meshes/cellar/ca/provided/certificates"

    def put(ca: str, enabled: bool) -> Any:
        return cp.put("/meshes/cellar", mesh("cellar", mtls={"ca": {ca: {}}, "enabled": enabled}))

    answer = put("provided", False)
    assert (answer.status, "certificate" in answer.headers["Warning"]) == (201, True)
    added = cp.request("POST", certificates, signing_pair(), admin)
    assert (added.status, set(added.body)) == (200, {"id", "cert"})
    item = f"{certificates}/{added.body['id']}"
    assert put("provided", True).status == 200
    refused = cp.request("DELETE", item, None, admin)
    assert refused.status == 400
    assert refused.body["details"].startswith(
        "Cannot delete signing certificate when the mTLS in the mesh is active"
    )
    assert [field for field, _ in causes(put("builtin", True))] == ["mtls.ca"]
    assert put("builtin", False).status == 200
    assert cp.request("DELETE", item, None, admin).status == 200
    left = cp.request("GET", certificates, None, admin)
    assert (left.status, left.body) == (200, [])


# -- configuration

FILE = """\
apiServer:
  port: 7000
general:
  advertisedHostname: cp.orchard
adminServer:
  local:
    port: 7010
"""
ENVIRON = {"KUMA_API_SERVER_PORT": "7001", "KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT": "7009"}


def test_precedence_of_the_configuration() -> None:
    (values,) = load_documents(FILE, "kuma-cp.conf")
    config = autoconfigured(build_config(make_catalog(plugins()).settings, values, "kuma-cp.conf", ENVIRON))
    shown = config.as_document()
    assert shown["apiServer"]["port"] == 7001
    assert shown["adminServer"]["local"]["port"] == 7009
    assert shown["bootstrapServer"]["params"]["xdsHost"] == "cp.orchard"
    assert shown["bootstrapServer"]["params"]["xdsPort"] == 5678


def test_what_the_catalog_makes_of_it() -> None:
    """On free ports, since this one runs: the catalog names the advertised host, and the admin server's port."""
    settings = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "cp.orchard"}
    with running_platform(plugins(), settings) as platform:
        apis = platform.get("/catalog").body["apis"]
        admin = platform.platform.config.number("adminServer.local.port")
        assert apis["bootstrap"]["url"] == f"http://cp.orchard:{platform.bootstrap}"
    assert apis["admin"]["localUrl"] == f"http://localhost:{admin}"
