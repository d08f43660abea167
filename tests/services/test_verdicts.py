"""The map's verdicts are those of the configuration that the Envoys of the same mesh get: read from it here, principal
by principal, share by share."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kuma_core.builtin.services import picture
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.policies import snapshot_of
from kuma_core.xds.contract import ENDPOINTS, LISTENER, SecretServer
from kuma_core.xds.preview import readable

from ..examples import examples
from .support import CATALOG, ENCRYPTED, mapped, online

SERVICES = ("a", "b", "c", "d e")
SECRETS = SecretServer("127.0.0.1:1", "")
names = st.sampled_from(SERVICES)
versions = st.sampled_from([{}, {"version": "1"}, {"version": "2"}])
selectors = st.lists(st.sampled_from([*SERVICES, "*"]), min_size=1, max_size=2).map(
    lambda found: [{"match": {"service": name}} for name in found]
)


@st.composite
def meshes(draw: st.DrawFn) -> tuple[list[dict], list[dict]]:
    """The dataplanes of an encrypted mesh, and its policies."""
    planes = [draw(planes_of(number)) for number in range(draw(st.integers(1, 5)))]
    permissions = [
        {"type": "TrafficPermission", "mesh": "default", "name": f"p{n}", "sources": s, "destinations": d}
        for n, (s, d) in enumerate(draw(st.lists(st.tuples(selectors, selectors), max_size=3)))
    ]
    routes = [
        {
            "type": "TrafficRoute",
            "mesh": "default",
            "name": f"r{n}",
            "sources": s,
            "destinations": d,
            "conf": conf,
        }
        for n, (s, d, conf) in enumerate(
            draw(st.lists(st.tuples(selectors, selectors, shares()), max_size=2))
        )
    ]
    return planes, [*permissions, *routes]


def shares() -> st.SearchStrategy[list[dict]]:
    one = st.builds(
        lambda weight, service, tags: {"weight": weight, "destination": {"service": service, **tags}},
        st.sampled_from([0, 1, 9]), names, versions,
    )  # fmt: skip
    return st.lists(one, min_size=1, max_size=3)


@st.composite
def planes_of(draw: st.DrawFn, number: int) -> dict:
    offered = draw(st.lists(st.tuples(names, versions), max_size=2))
    called = draw(st.lists(names, max_size=3, unique=True))
    return dataplane(
        f"dp-{number}",
        *(inbound(f"127.0.{number}.{n + 1}:8000:1", name, **tags) for n, (name, tags) in enumerate(offered)),
        outbounds=[outbound(f"127.1.{number}.{n + 1}:9000", name) for n, name in enumerate(called)],
        gateway=None if offered else {"service": draw(names)},
    )


@settings(max_examples=examples(60, 2000), deadline=None)
@given(meshes())
def test_the_map_says_what_the_envoys_of_the_mesh_do(world):
    planes, policies = world
    found = mapped(ENCRYPTED, *planes, *policies)
    edges = {(item.source, item.destination): picture.edge(item, online(found)) for item in found.edges}
    expected = defaultdict(set)
    configured = {item["name"]: Configured(item, planes, policies) for item in planes}
    for client in configured.values():
        for service, endpoints in client.calls():
            for source in client.services:
                expected[source, service] |= {
                    configured_at(configured, place).lets_in(place, client.services) for place in endpoints
                }
    assert {ends: edge["verdict"] for ends, edge in edges.items()} == {
        ends: verdict(seen) for ends, seen in expected.items()
    }


def verdict(seen: set[bool]) -> str:
    if not seen:
        return "noEndpoint"
    return "partly" if len(seen) == 2 else "allowed" if seen == {True} else "denied"


class Configured:
    """A proxy by the configuration that its Envoy gets."""

    def __init__(self, plane: dict, planes: list[dict], policies: list[dict]) -> None:
        others = [item for item in planes if item is not plane]
        snapshot = snapshot_of(CATALOG, [plane, *others], [ENCRYPTED, *policies], secrets=SECRETS)
        self._plane = plane
        self.listeners = {name: readable(item) for name, item in snapshot.resources(LISTENER).items()}
        self.assignments = {name: readable(item) for name, item in snapshot.resources(ENDPOINTS).items()}

    @property
    def services(self) -> set[str]:
        networking = self._plane["networking"]
        tags = [item["tags"] for item in networking.get("inbound", [])]
        return {item["service"] for item in [*tags, *([networking["gateway"]["tags"]] if not tags else [])]}

    def calls(self):
        """Each service called, with the places that the outbound's clusters lead to."""
        for item in self._plane["networking"].get("outbound", []):
            listener = self.listeners[f"outbound:{item['interface']}"]
            proxy = filters(listener)["envoy.filters.network.tcp_proxy"]
            weighted = proxy.get("weightedClusters", {}).get("clusters", [])
            clusters = [one["name"] for one in weighted] or [proxy["cluster"]]
            yield item["service"], {place for name in clusters for place in self._places(name)}

    def _places(self, cluster: str) -> set[str]:
        assignment = self.assignments.get(cluster, {})
        return {
            "{address}:{portValue}".format(**one["endpoint"]["address"]["socketAddress"])
            for locality in assignment.get("endpoints", [])
            for one in locality.get("lbEndpoints", [])
        }

    def has(self, place: str) -> bool:
        return f"inbound:{place}" in self.listeners

    def lets_in(self, place: str, services: set[str]) -> bool:
        """Whether the inbound's RBAC lets a client with the identities of these services in."""
        rules = filters(self.listeners[f"inbound:{place}"])["envoy.filters.network.rbac"]["rules"]
        ids = {f"spiffe://default/{name.replace(' ', '%20')}" for name in services}
        return any(
            principal.get("any") or principal["authenticated"]["principalName"]["exact"] in ids
            for policy in rules.get("policies", {}).values()
            for principal in policy["principals"]
        )


def configured_at(configured: dict[str, Configured], place: str) -> Configured:
    return next(item for item in configured.values() if item.has(place))


def filters(listener: dict[str, Any]) -> dict[str, Any]:
    """The typed configurations of a listener's filters, by name."""
    (chain,) = listener["filterChains"]
    return {item["name"]: item["typedConfig"] for item in chain["filters"]}
