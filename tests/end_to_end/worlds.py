"""Hypothesis strategies for a proxy and everything around it: documents as an operator might write them, the edges of
each type among them. Whether one is accepted is for the control plane to say.

Of the machine they ask for nothing that may be missing: ports are free ones of 127/8 and ``[::1]``, logs go to places
that can be written to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from ..conformance.strategies import lists, record, texts
from .raw_resources import fresh_ports, mostly, raw_resources

Document = dict[str, Any]

EDGES = [
    "x",
    "caf\u00e9",
    "a\u200bb",
    " ",
    "\n\r\t\x01\x7f",
    "100%/a?b#c",
    "{}=,",
    "x" * 1700,
    "%START_TIME%",
]
names = st.one_of(st.sampled_from(EDGES), texts)
loopback = st.one_of(
    st.integers(2, 2**24 - 2).map(lambda n: f"127.{n >> 16}.{n >> 8 & 255}.{n & 255}"), st.just("[::1]")
)
addresses = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map("[{}]".format), loopback)
ports = st.one_of(st.sampled_from([1, 65535]), st.integers(1, 65535))
weights = st.one_of(st.sampled_from([0, 1, 2**31, 2**32 - 1]), st.integers(0, 1000))
counts = st.one_of(st.sampled_from([1, 2**31, 2**32 - 1]), st.integers(1, 100))
periods = mostly(
    ["1ms", "0.0015s", "1s", "1m0.000000001s", "8760h"],
    ["1ns", "999999ns", "8760h1s", "9223372036s"],
)

FORMAT_PIECES = [
    "%START_TIME%",
    "%START_TIME(%Y/%m/%dT%H:%M:%S.%f %s %3f %E4Y %n)%",
    "%START_TIME(%)%",
    "%EMIT_TIME_LOCAL(%Y%)%",
    "%KUMA_SOURCE_SERVICE%",
    "%KUMA_DESTINATION_SERVICE%",
    "%KUMA_SOURCE_ADDRESS%",
    "%UPSTREAM_HOST%",
    "%BYTES_SENT%:3",
    "%NOT_KNOWN%",
    "%REQ(X?Y):10%",
    "%DOWNSTREAM_PEER_URI_SAN%",
    "%FILTER_STATE(a:PLAIN)%",
    "%",
    "%%",
    "\x1e\x1f",
]
formats = st.one_of(
    st.just(""), st.lists(st.one_of(st.sampled_from(FORMAT_PIECES), texts), max_size=4).map("".join)
)


class World(NamedTuple):
    """The proxy in question, the others of its mesh, and the rest: the Mesh and policies."""

    proxy: Document
    others: list[Document]
    rest: list[Document]

    @property
    def documents(self) -> list[Document]:
        """All of them."""
        return [self.proxy, *self.others, *self.rest]


def tagged(services: st.SearchStrategy[str]) -> st.SearchStrategy[Document]:
    """A map of tags, ``service`` in it."""
    others = st.dictionaries(names, names, max_size=2)
    return st.builds(lambda more, service: {**more, "service": service}, others, services)


def dataplane(name: str, networking: Document, **more: Any) -> Document:
    return {"type": "Dataplane", "mesh": "default", "name": name, "networking": networking, **more}


@st.composite
def proxies(draw: st.DrawFn, services: st.SearchStrategy[str]) -> Document:
    """The proxy in question, which listens on ports of this machine."""
    free = fresh_ports
    served = draw(lists(st.tuples(loopback, ports, tagged(services))))
    networking: Document = {
        "inbound": [
            {"interface": f"{ip}:{next(free)}:{workload}", "tags": tags} for ip, workload, tags in served
        ],
        "outbound": [
            {"interface": f"{ip}:{next(free)}", "service": service}
            for ip, service in draw(lists(st.tuples(st.one_of(st.just(""), loopback), services)))
        ],
    }
    if not served:
        networking["gateway"] = {"tags": draw(tagged(services))}
    if draw(st.integers(0, 5)) == 0:
        networking["transparentProxying"] = {"redirectPort": next(free)}
    metrics = record(port=st.just(next(free)), path=paths)
    more = draw(record(metrics=record(prometheus=metrics)))
    return dataplane("proxy", networking, **more)


paths = st.one_of(
    st.sampled_from(["/", "/metrics", "/a?b#c", "/\u00e9 \n", "/" + "x" * 5000]), texts.map("/{}".format)
)


@st.composite
def neighbours(draw: st.DrawFn, services: st.SearchStrategy[str]) -> list[Document]:
    """Who offers services to it, anywhere in the world."""
    inbounds = st.builds("{}:{}:{}".format, addresses, ports, ports)
    found = draw(lists(st.tuples(inbounds, tagged(services))))
    return [
        dataplane(f"other-{number}", {"inbound": [{"interface": text, "tags": tags}]})
        for number, (text, tags) in enumerate(found)
    ]


backends = st.one_of(
    record({"name": names, "file": st.just({"path": "/dev/null"})}, format=formats),
    record({"name": names, "tcp": record({"address": st.just("localhost:1")})}, format=formats),
    record({"name": names}, format=formats),
)
meshes = record(
    {"type": st.just("Mesh"), "name": st.just("default")},
    mtls=st.sampled_from([{"enabled": True, "ca": {"builtin": {}}}, {"enabled": False}, {}]),
    tracing=record(zipkin=record({"address": texts})),
    metrics=record(prometheus=record({"port": st.builds(lambda: next(fresh_ports))}, path=paths)),
    logging=st.lists(backends, max_size=2, unique_by=lambda backend: backend["name"]).map(
        lambda found: {"backends": found, **({"defaultBackend": found[0]["name"]} if found else {})}
    ),
)


POLICIES = ["TrafficPermission", "TrafficRoute", "TrafficLog", "HealthCheck", *["ProxyTemplate"] * 3]
"""Most templates are refused, so there are more of them."""


@st.composite
def policies(draw: st.DrawFn, services: st.SearchStrategy[str], backend: str) -> Document:
    """A policy of any kind for any of these services, or for all."""
    kind = draw(st.sampled_from(POLICIES))
    meta = {"type": kind, "mesh": "default", "name": draw(st.from_regex(r"[0-9a-z_-]{1,8}", fullmatch=True))}
    matched = st.one_of(st.just("*"), services)
    ends = {
        end: draw(lists(matched.map(lambda service: {"match": {"service": service}}), 1))
        for end in ("sources", "destinations")
    }
    if kind == "TrafficRoute":
        shares = record({"destination": tagged(services)}, weight=weights)
        return {**meta, **ends, "conf": draw(lists(shares, 1))}
    if kind == "TrafficLog":
        return {**meta, **ends, "conf": {"backend": backend}}
    if kind == "HealthCheck":
        return {**meta, **ends, "conf": draw(checks)}
    if kind == "ProxyTemplate":
        conf = {"imports": draw(st.sampled_from([["default-proxy"], []])), "resources": draw(raw_resources)}
        return {**meta, "selectors": [], "conf": conf}
    return {**meta, **ends}


checks = record(
    {
        "passiveChecks": record({"unhealthyThreshold": counts, "penaltyInterval": periods}),
        "activeChecks": record(
            {
                "interval": periods,
                "timeout": periods,
                "unhealthyThreshold": counts,
                "healthyThreshold": counts,
            }
        ),
    }
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A proxy and what is around it."""
    services = st.sampled_from(draw(st.lists(names, min_size=1, max_size=4, unique=True)))
    mesh = draw(meshes)
    backend = draw(
        st.sampled_from([*[item["name"] for item in mesh.get("logging", {}).get("backends", [])], ""])
    )
    found = draw(
        st.lists(policies(services, backend), min_size=1, max_size=4, unique_by=lambda doc: doc["name"])
    )
    return World(draw(proxies(services)), draw(neighbours(services)), [mesh, *found])
