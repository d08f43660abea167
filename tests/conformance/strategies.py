"""Hypothesis strategies: for each kind the documents that are valid, other spellings of them, and broken ones.

A valid document is drawn as the API shows it (no zero values, seconds for durations, 64-bit numbers as texts),
so that what comes back can be compared with what was drawn.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from .support import has

Document = dict[str, Any]

MESH = "garden"
TRICKY = [
    "yes",
    "null",
    "~",
    "1.0",
    "0755",
    "1e3",
    "2020-01-01",
    "- a",
    "a: b",
    "#",
    " x ",
    "*",
    "{{ a }}",
    "{{{",
    "\u2028",
    "\x85",
    "Ä\n b\n",
]
MAPS = ("tags", "match", "destination", "ca")
"""Fields whose keys are the operator's own."""
DURATIONS = ("interval", "timeout", "penaltyInterval")

texts = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12),
)
services_named = texts.filter(lambda text: text != "*")
"""What can be the name of a service: the value that stands for any is for selectors."""
names = st.from_regex(r"[0-9a-z_-]{1,20}", fullmatch=True)
ports = st.integers(1, 65535)
addresses = st.ip_addresses(v=4).filter(lambda ip: not ip.is_multicast and int(ip) != 2**32 - 1).map(str)
positive = st.integers(1, 2**32 - 1)
counters = st.integers(1, 2**64 - 1).map(str)
moments = st.datetimes().map(
    lambda moment: _timestamp(moment.replace(microsecond=0).isoformat(), moment.microsecond)
)
durations = st.integers(1, 10**7).map(
    lambda ms: f"{ms // 1000}.{ms % 1000:03}s" if ms % 1000 else f"{ms // 1000}s"
)


def _timestamp(whole: str, micros: int) -> str:
    digits = f".{micros:06}" if micros % 1000 else f".{micros // 1000:03}" if micros else ""
    return f"{whole}{digits}Z"


def record(required: Mapping[str, Any] | None = None, **optional: Any) -> st.SearchStrategy[Document]:
    """An object with these fields, the optional ones there or not."""
    return st.fixed_dictionaries(dict(required or {}), optional=optional)


def tags(service: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Document]:
    """A map of tags, ``service`` in it."""
    others = st.dictionaries(texts, texts, max_size=3)
    return st.builds(lambda more, name: {**more, "service": name}, others, service)


def lists(items: st.SearchStrategy[Any], minimum: int = 0) -> st.SearchStrategy[list[Any]]:
    """A short list."""
    return st.lists(items, min_size=minimum, max_size=3)


selectors = lists(tags().map(lambda found: {"match": found}), 1)
services = lists(texts.map(lambda service: {"match": {"service": service}}), 1)
ends = {"sources": selectors, "destinations": services}
checks = {
    "interval": durations,
    "timeout": durations,
    "unhealthyThreshold": positive,
    "healthyThreshold": positive,
}
active = record(checks)
passive = record({"unhealthyThreshold": positive, "penaltyInterval": durations})
stats = record(responsesSent=counters, responsesAcknowledged=counters, responsesRejected=counters)

named_tags = tags(services_named)
outbounds = record(
    {"interface": st.one_of(st.just(""), addresses), "service": services_named}, servicePort=positive
)
"""Without their ports."""


@st.composite
def networking(draw: st.DrawFn) -> Document:
    """Inbounds or a gateway, outbounds, and a port for redirected connections; each port is used once."""
    free = iter(draw(st.lists(ports, min_size=10, max_size=10, unique=True)))
    if draw(st.booleans()):
        found: Document = {"gateway": {"tags": draw(named_tags)}}
    else:
        served = draw(lists(st.tuples(addresses, named_tags), 1))
        found = {
            "inbound": [
                {"interface": f"{ip}:{next(free)}:{next(free)}", "tags": described}
                for ip, described in served
            ]
        }
    if draw(st.booleans()):
        called = draw(lists(outbounds))
        found["outbound"] = [{**item, "interface": f"{item['interface']}:{next(free)}"} for item in called]
    if draw(st.booleans()):
        found["transparentProxying"] = draw(record(redirectPort=st.just(next(free))))
    return found


places = st.one_of(
    record(format=texts),
    record({"file": record({"path": texts})}, format=texts),
    record({"tcp": record({"address": st.builds("{}.internal:{}".format, names, ports)})}, format=texts),
)


@st.composite
def logging(draw: st.DrawFn) -> Document:
    """Backends with names of their own, and perhaps one of them as the default."""
    found = [{**draw(places), "name": name} for name in draw(st.lists(texts, max_size=3, unique=True))]
    chosen = draw(st.sampled_from([None, *found]))
    return {"backends": found, **({"defaultBackend": chosen["name"]} if chosen else {})}


def envoy_resource(port: int) -> Document:
    """A raw Envoy cluster, as JSON text."""
    cluster = {
        "@type": "type.googleapis.com/envoy.api.v2.Cluster",
        "name": f"local:{port}",
        "connectTimeout": "5s",
    }
    return {"name": "raw", "version": "1", "resource": json.dumps({**cluster, "type": "STATIC"})}


imports = st.lists(st.just("default-proxy"), max_size=1)
template = record(imports=imports, resources=lists(ports.map(envoy_resource)))
status = record(
    dict.fromkeys(("total", "cds", "eds", "lds", "rds"), stats),
    lastUpdateTime=moments,
    lastRejection=texts,
)
streams = record(
    {"id": texts, "controlPlaneInstanceId": texts, "status": status},
    connectTime=moments,
    disconnectTime=moments,
)
encryption = {"enabled": st.just(True)} if has("kuma_ca_builtin") else {}
mtls = record({"ca": st.just({"builtin": {}})}, **encryption)

SPECS: dict[str, st.SearchStrategy[Document]] = {
    "Mesh": record({"mtls": mtls}, tracing=record(zipkin=record({"address": texts})), logging=logging()),
    "Dataplane": record({"networking": networking()}),
    "DataplaneInsight": record({"subscriptions": lists(streams)}),
    "TrafficPermission": record({"sources": services, "destinations": services}),
    "TrafficRoute": record({**ends, "conf": lists(record({"destination": named_tags}, weight=positive), 1)}),
    "TrafficLog": record(ends, conf=record(backend=texts)),
    "HealthCheck": record(
        {
            **ends,
            "conf": st.one_of(
                record({"activeChecks": active}, passiveChecks=passive), record({"passiveChecks": passive})
            ),
        }
    ),
    "ProxyTemplate": record(selectors=lists(tags().map(lambda found: {"match": found})), conf=template),
}
"""What an operator may write, by kind."""


def valid(kind: str) -> st.SearchStrategy[Document]:
    """Whole documents of a kind. Meshes share a few names: each new one costs an authority of its own."""
    if kind == "Mesh":
        meta = record({"type": st.just(kind), "name": st.sampled_from(["0x1f", "null", "-_"])})
    else:
        meta = record({"type": st.just(kind), "mesh": st.just(MESH), "name": names})
    return st.builds(lambda first, spec: {**first, **spec}, meta, SPECS[kind])


# -- the same, written in another way


@st.composite
def spelled(draw: st.DrawFn, document: Document) -> Document:
    """The document as somebody else would write it: snake_case, quoted numbers, other units, nulls."""
    written: Document = _spell(draw, document, "")
    return written


def _spell(draw: st.DrawFn, value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_spell(draw, item, "") for item in value]
    if isinstance(value, dict) and key not in MAPS:
        more = {"nothing": None} if draw(st.booleans()) else {}
        return {_key(draw, name): _spell(draw, item, name) for name, item in value.items()} | more
    if not draw(st.booleans()):
        return value
    if key in DURATIONS:
        return f"{round(float(value[:-1]) * 1000)}ms"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return int(value) if key.startswith("responses") else value


def _key(draw: st.DrawFn, name: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name) if draw(st.booleans()) else name


# -- and broken


class Broken(NamedTuple):
    """A document that must be refused, and the path of the field that is to be named."""

    document: Document
    path: str


def of_a_wrong_type(value: Any, in_list: bool) -> list[Any]:
    """Values that cannot stand where this one stands."""
    wrong: list[Any] = [[["x"]], {"a": 1}]
    if isinstance(value, bool):
        wrong += ["yes", 7]
    elif isinstance(value, int):
        wrong += ["x", -1, 1.5, 2**32]
    elif isinstance(value, list):
        wrong = [17, "x", {"a": 1}]
    elif isinstance(value, dict):
        wrong = [17, "x", [1]]
    return [*wrong, None] if in_list else wrong


@st.composite
def mistyped(draw: st.DrawFn, kind: str) -> Broken:
    """A valid document in which one value, wherever it stands, is of a wrong type."""
    document = copy.deepcopy(draw(valid(kind).filter(_spec_places)))
    holder, key, path = draw(st.sampled_from(_spec_places(document)))
    holder[key] = draw(st.sampled_from(of_a_wrong_type(holder[key], isinstance(holder, list))))
    return Broken(document, path)


Place = tuple[Any, Any, str]
"""The object or list that holds a value, its key there, and its path."""


def _spec_places(document: Document) -> list[Place]:
    """Where the values of the spec stand."""
    return [place for place in _places(document, "") if place[2] not in ("type", "mesh", "name")]


def _places(value: Any, path: str) -> Iterator[Place]:
    """Every value below this one."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        where = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}".lstrip(".")
        yield value, key, where
        if isinstance(item, dict | list):
            yield from _places(item, where)


Change = Callable[[Document], object]

RULES: dict[str, list[tuple[str, Change]]] = {
    "Mesh": [
        ("mtls.ca", lambda d: d.update(mtls={"enabled": True, "ca": {"builtin": {}, "provided": {}}})),
        ("mtls.ca.vault", lambda d: d.update(mtls={"ca": {"vault": {"path": "x"}}})),
        ("logging.backends[0].name", lambda d: d.update(logging={"backends": [{"format": "x"}]})),
        (
            "logging.backends[0].file.path",
            lambda d: d.update(logging={"backends": [{"name": "a", "file": {}}]}),
        ),
        (
            "logging.backends[0].tcp.address",
            lambda d: d.update(logging={"backends": [{"name": "a", "tcp": {"address": "nowhere"}}]}),
        ),
        (
            "logging.backends[1].name",
            lambda d: d.update(logging={"backends": [{"name": "a"}, {"name": "a"}]}),
        ),
        ("logging.defaultBackend", lambda d: d.update(logging={"defaultBackend": "none"})),
    ],
    "Dataplane": [
        ("networking", lambda d: d.update(networking={})),
        (
            "networking.inbound[0].interface",
            lambda d: d.update(networking={"inbound": [{"tags": {"service": "a"}}]}),
        ),
        (
            "networking.inbound[0].tags.service",
            lambda d: d.update(networking={"inbound": [{"interface": "1.2.3.4:1:1"}]}),
        ),
        ("networking.gateway.tags.service", lambda d: d.update(networking={"gateway": {}})),
        ("networking.outbound[0].interface", lambda d: d["networking"].update(outbound=[{"service": "a"}])),
        ("networking.outbound[0].service", lambda d: d["networking"].update(outbound=[{"interface": ":1"}])),
        (
            "networking.outbound[0].service",
            lambda d: d["networking"].update(outbound=[{"interface": ":1", "service": "*"}]),
        ),
        (
            "networking.outbound[1].interface",
            lambda d: d["networking"].update(
                outbound=[{"interface": ":1", "service": "a"}, {"interface": "127.0.0.1:1", "service": "b"}]
            ),
        ),
    ],
    "DataplaneInsight": [
        (
            "subscriptions[0].connectTime",
            lambda d: d.update(subscriptions=[{"connectTime": "2020-01-01T00:00:00"}]),
        ),
        (
            "subscriptions[0].status.total.responsesSent",
            lambda d: d.update(subscriptions=[{"status": {"total": {"responsesSent": str(2**64)}}}]),
        ),
    ],
    "TrafficPermission": [
        ("sources", lambda d: d.update(sources=[])),
        ("destinations", lambda d: d.pop("destinations")),
        ("sources[0].match.version", lambda d: d["sources"][0]["match"].update(version="1")),
    ],
    "TrafficRoute": [
        ("conf", lambda d: d.pop("conf")),
        ("conf[0].destination", lambda d: d["conf"][0].pop("destination")),
        ("conf[0].destination.service", lambda d: d["conf"][0]["destination"].update(service="*")),
        ("conf[0].weight", lambda d: d["conf"][0].update(weight=2**32)),
        ("destinations[0].match.version", lambda d: d["destinations"][0]["match"].update(version="1")),
    ],
    "TrafficLog": [
        ("sources[0].match", lambda d: d["sources"][0]["match"].pop("service")),
        ("destinations[0].match", lambda d: d["destinations"][0].pop("match")),
        ("sources[0].match.version", lambda d: d["sources"][0]["match"].update(version="")),
    ],
    "HealthCheck": [
        ("conf", lambda d: d.update(conf={"activeChecks": {}, "passiveChecks": {}})),
        ("conf.activeChecks.timeout", lambda d: d.update(conf={"activeChecks": {"interval": "1s"}})),
        (
            "conf.passiveChecks.penaltyInterval",
            lambda d: d.update(conf={"passiveChecks": {"unhealthyThreshold": 1}}),
        ),
        ("conf.activeChecks.interval", lambda d: d.update(conf={"activeChecks": {"interval": "-1s"}})),
        ("conf.activeChecks.interval", lambda d: d.update(conf={"activeChecks": {"interval": "10"}})),
    ],
    "ProxyTemplate": [
        ("conf.imports[0]", lambda d: d.update(conf={"imports": ["other"]})),
        ("conf.resources[0].name", lambda d: d.update(conf={"resources": [{}]})),
        (
            "conf.resources[0].resource",
            lambda d: d.update(conf={"resources": [{"name": "a", "resource": "{}"}]}),
        ),
        ("selectors[0].match", lambda d: d.update(selectors=[{}])),
    ],
}
"""For each kind its rules: the field that is named, and how to break the rule in a valid document."""


@st.composite
def against_a_rule(draw: st.DrawFn, kind: str) -> Broken:
    """A valid document in which one rule is broken."""
    path, change = draw(st.sampled_from(RULES[kind]))
    document = copy.deepcopy(draw(valid(kind)))
    change(document)
    return Broken(document, path)


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def wild(draw: st.DrawFn, kind: str) -> Document:
    """A valid document in which anything at all stands in one place."""
    document = copy.deepcopy(draw(valid(kind).filter(_spec_places)))
    holder, key, _ = draw(st.sampled_from(_spec_places(document)))
    holder[key] = draw(json_values)
    return document
