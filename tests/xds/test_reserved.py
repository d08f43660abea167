"""No resource is ever called ``*``, whoever says so, and nothing asks Envoy to ask for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterEdsClusterConfig
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    Rds,
)

from kuma_core.mesh.context import build_context
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import make_catalog
from kuma_core.xds.assembly import assemble
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Draft, Generator
from kuma_core.xds.drafts import FilterDraft, ListenerDraft
from kuma_core.xds.memo import Memo
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.proxy_view import TrackedView
from kuma_core.xds.reserved import ReservedName, check_names
from kuma_core.xds.seal import pack
from kuma_core.xds.snapshot import TYPES, Snapshot

CATALOG = make_catalog([])
ROUTED = HttpConnectionManager(stat_prefix="x", rds=Rds(route_config_name="*"))


def assembled(spec: DataplaneSpec, *more: Generator) -> tuple[Snapshot, list[str]]:
    context = build_context("default", MeshSpec(), [("web", spec)])
    view = TrackedView(Proxy("default", "web"), spec, MeshSpec(), context)
    return assemble(view, [*CATALOG.generators, *more], Memo()), list(view.warnings)


def parsed(*outbounds: dict[str, str]) -> DataplaneSpec:
    document = dataplane("web", inbound("10.0.0.1:80:8080", "web"), outbounds=outbounds)
    spec, _ = parse_spec(DataplaneSpec, {"networking": document["networking"]})
    return spec


def names(snapshot: Snapshot) -> set[str]:
    return {name for url in TYPES for name in snapshot.resources(url)}


def cluster(name: str) -> Cluster:
    return Cluster(name="fine", eds_cluster_config=ClusterEdsClusterConfig(service_name=name))


def packed_listener(chain: str) -> Listener:
    filters = [Filter(name="http", typed_config=pack(ROUTED))]
    found = FilterChain(filters=filters)
    return Listener(name="fine", **{chain: [found] if chain == "filter_chains" else found})


BAD: dict[str, Callable[[], Any]] = {
    "name": lambda: Cluster(name="*"),
    "cluster_name": lambda: ClusterLoadAssignment(cluster_name="*"),
    "eds_cluster_config.service_name": lambda: cluster("*"),
    "rds.route_config_name": lambda: packed_listener("filter_chains"),
}
ALSO_BAD = [
    lambda: Listener(name="*"),
    lambda: RouteConfiguration(name="*"),
    lambda: ListenerDraft(Listener(name="*")),
    lambda: ListenerDraft(Listener(name="fine"), [FilterDraft("http", ROUTED)]),
    lambda: packed_listener("default_filter_chain"),
]


@pytest.mark.parametrize("field", BAD)
def test_the_field_is_named(field: str) -> None:
    with pytest.raises(ReservedName, match=field):
        check_names("fine", BAD[field]())


@pytest.mark.parametrize("made", ALSO_BAD)
def test_wherever_the_name_stands(made: Callable[[], Any]) -> None:
    with pytest.raises(ReservedName):
        check_names("fine", made())


def test_the_name_under_which_it_is_handed_out_counts_too() -> None:
    with pytest.raises(ReservedName):
        check_names("*", Cluster(name="fine"))


@pytest.mark.parametrize("name", ["", "**", "*{version=1}", "a*", "fine"])
def test_other_names_are_names(name: str) -> None:
    check_names("fine", cluster(name))
    check_names(name, Cluster(name=name))


def test_an_outbound_that_was_stored_before_leaves_the_others_alone() -> None:
    snapshot, warnings = assembled(parsed(outbound(":1", "*"), outbound(":2", "ledger")))
    assert snapshot.resources(CLUSTER).keys() == {"localhost:8080", "ledger"}
    assert snapshot.resources(ENDPOINTS).keys() == {"ledger"}
    listeners = {"inbound:10.0.0.1:80", "outbound:127.0.0.1:1", "outbound:127.0.0.1:2"}
    assert snapshot.resources(LISTENER).keys() == listeners
    assert warnings == [
        f'generator "outbound": {kind} "*" is left out: {field}: "*" is no name, for to Envoy it means all resources'
        for kind, field in (("Cluster", "name"), ("ClusterLoadAssignment", "cluster_name"))
    ]


@pytest.mark.parametrize(
    ("url", "build"),
    [
        (CLUSTER, lambda _: Cluster(name="*")),
        (ENDPOINTS, lambda _: ClusterLoadAssignment(cluster_name="*")),
        (LISTENER, lambda _: Listener(name="*")),
        (ROUTES, lambda _: RouteConfiguration(name="*")),
        (CLUSTER, lambda _: cluster("*")),
    ],
)
@pytest.mark.parametrize("name", ["*", "fine"])
def test_a_plugin_cannot_bring_one(url: str, build: Callable[[Any], Any], name: str) -> None:
    clumsy = Generator("clumsy", 900, lambda view: [Draft(url, name, "", build)])
    snapshot, warnings = assembled(parsed(outbound(":2", "ledger")), clumsy)
    assert names(snapshot) == names(assembled(parsed(outbound(":2", "ledger")))[0])
    assert len(warnings) == 1
    assert warnings[0].startswith('generator "clumsy": ')
