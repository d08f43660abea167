"""The Mesh's Prometheus listener as it is generated (scenario 22)."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_core.specs.base import parse_spec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.policies import snapshot_of, view_of
from kuma_core.xds.contract import CLUSTER, LISTENER
from kuma_core.xds.preview import readable

CATALOG = make_catalog([])
NAME = "kuma:metrics:prometheus"
WEB = dataplane("web", inbound("10.0.0.1:80:8080", "web"), outbounds=[outbound(":7000", "db")])
ON = mesh("default", metrics={"prometheus": {}})


def metrics(
    document: dict[str, Any] = WEB, wanted: dict[str, Any] = ON, admin: str = "9901"
) -> dict[str, Any] | None:
    """The metrics listener, if there is one; the cluster behind it is there if and only if it is."""
    metadata = {"dataplane.admin.port": admin} if admin else {}
    snapshot = snapshot_of(CATALOG, [document], [wanted], metadata)
    found = snapshot.resources(LISTENER).get(NAME)
    assert ("kuma:envoy:admin" in snapshot.resources(CLUSTER)) == (found is not None)
    return readable(found) if found else None


def place(listener: dict[str, Any] | None) -> tuple[int, str] | None:
    """The port, and the path that is answered."""
    if listener is None:
        return None
    manager = listener["filterChains"][0]["filters"][0]["typedConfig"]
    [route] = manager["routeConfig"]["virtualHosts"][0]["routes"]
    return listener["address"]["socketAddress"]["portValue"], route["match"]["path"]


def own(document: dict[str, Any], **prometheus: Any) -> dict[str, Any]:
    return {**document, "metrics": {"prometheus": prometheus}}


def test_scenario_22_the_listener_leads_to_the_statistics_of_the_admin_api() -> None:
    listener = metrics()
    assert listener is not None
    assert listener["address"] == {"socketAddress": {"address": "0.0.0.0", "portValue": 5670}}
    manager = listener["filterChains"][0]["filters"][0]["typedConfig"]
    assert manager["statPrefix"] == NAME
    assert (manager["normalizePath"], manager["mergeSlashes"]) == (True, True)
    assert manager["pathWithEscapedSlashesAction"] == "REJECT_REQUEST"
    [host] = manager["routeConfig"]["virtualHosts"]
    assert (host["name"], host["domains"]) == ("envoy_admin", ["*"])
    assert host["routes"] == [
        {
            "match": {
                "path": "/metrics",
                "headers": [{"name": ":method", "stringMatch": {"safeRegex": {"regex": "GET|HEAD"}}}],
            },
            "route": {"cluster": "kuma:envoy:admin", "prefixRewrite": "/stats/prometheus"},
        }
    ]


@pytest.mark.parametrize(
    ("document", "wanted", "admin"),
    [
        (WEB, mesh("default"), "9901"),
        (WEB, mesh("default", metrics={}), "9901"),
        (own(WEB, port=5999), mesh("default"), "9901"),
        (WEB, ON, ""),
        (WEB, ON, "0"),
        (WEB, ON, "70000"),
        (WEB, ON, "no port"),
        (dataplane("web", inbound("10.0.0.1:5670:8080", "web")), ON, "9901"),
        (dataplane("web", inbound("10.0.0.1:80:5670", "web")), ON, "9901"),
        (dataplane("web", inbound("10.0.0.1:80:80", "web"), outbounds=[outbound(":5670", "db")]), ON, "9901"),
        (own(WEB, port=7000), ON, "9901"),
        (WEB, ON, "5670"),
    ],
)
def test_scenario_22_there_is_none_without_a_mesh_that_wants_it_an_admin_port_and_a_free_port(
    document: dict[str, Any], wanted: dict[str, Any], admin: str
) -> None:
    assert metrics(document, wanted, admin) is None


@pytest.mark.parametrize(
    ("document", "admin", "reason"),
    [
        (WEB, "", "Envoy has no admin API to take them from; start kuma-dp with --admin-port"),
        (WEB, "5670", "5670 is the port of Envoy's admin API; name another one with --admin-port"),
        (
            own(WEB, port=7000),
            "9901",
            "7000 is also a port of networking.outbound[0].interface; "
            "give the Dataplane its own metrics.prometheus.port",
        ),
    ],
)
def test_why_there_are_none_is_told(document: dict[str, Any], admin: str, reason: str) -> None:
    metadata = {"dataplane.admin.port": admin} if admin else {}
    assert view_of(CATALOG, [document], [ON], metadata)[1].warnings.keys() == {
        f"no metrics are offered: {reason}"
    }
    assert view_of(CATALOG, [document], [mesh("default")], metadata)[1].warnings == {}


def test_scenario_22_a_dataplane_overrides_field_by_field() -> None:
    wanted = mesh("default", metrics={"prometheus": {"port": 1234, "path": "/of/mesh"}})
    assert place(metrics(WEB, wanted)) == (1234, "/of/mesh")
    assert place(metrics(own(WEB, port=5999), wanted)) == (5999, "/of/mesh")
    assert place(metrics(own(WEB, path="/m"), wanted)) == (1234, "/m")
    assert place(metrics(own(WEB, port=5999, path="/m"), wanted)) == (5999, "/m")


def test_scenario_22_a_gateway_has_one_too() -> None:
    assert place(metrics(dataplane("edge", gateway={"service": "edge"}))) == (5670, "/metrics")


def test_a_mesh_is_stored_with_port_and_path() -> None:
    def stored(raw: Any) -> Any:
        return parse_spec(MeshSpec, {"metrics": raw})[0].with_defaults().to_stored().get("metrics")

    assert stored({"prometheus": {}}) == {"prometheus": {"port": 5670, "path": "/metrics"}}
    assert stored({"prometheus": {"port": 1}}) == {"prometheus": {"port": 1, "path": "/metrics"}}
    assert stored({"prometheus": {"path": "/p"}}) == {"prometheus": {"port": 5670, "path": "/p"}}
    assert stored({}) == {}
    assert stored(None) is None


@pytest.mark.parametrize(
    ("prometheus", "field"),
    [({"port": 65536}, "metrics.prometheus.port"), ({"path": "metrics"}, "metrics.prometheus.path")],
)
def test_what_envoy_refuses_or_never_answers_is_refused_at_write_time(
    prometheus: dict[str, Any], field: str
) -> None:
    spec, _ = parse_spec(MeshSpec, {"metrics": {"prometheus": prometheus}})
    assert [problem.field for problem in spec.violations()] == [field]


def test_nobody_gets_to_an_admin_api_as_if_it_were_a_service() -> None:
    """The Dataplane may have changed since its Envoy was started."""
    inbounds = inbound("10.0.0.1:80:9901", "web"), inbound("10.0.0.1:81:9902", "web")
    snapshot, view = view_of(CATALOG, [dataplane("web", *inbounds)], [], {"dataplane.admin.port": "9901"})
    assert snapshot.resources(LISTENER).keys() == {"inbound:10.0.0.1:81"}
    assert snapshot.resources(CLUSTER).keys() == {"localhost:9902"}
    [warning] = view.warnings
    assert warning.startswith("inbound 10.0.0.1:80:9901 is left out: 9901 is the port of Envoy's admin API")
