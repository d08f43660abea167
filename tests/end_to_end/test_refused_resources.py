"""Raw resources that are refused at the write: a real Envoy refuses each of them, too, and takes its sound twin."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kuma_core.errors import Severity
from kuma_core.specs.base import parse_spec
from kuma_core.testing.ports import free_port
from kuma_core.xds.seal import seal
from kuma_core.xds.snapshot import Snapshot
from kuma_policy_traffic.proxy_template.convert import read_resource
from kuma_policy_traffic.proxy_template.spec import ProxyTemplateSpec

from .one_envoy import OneEnvoy, one_envoy
from .raw_resources import EXTENSIONS, HTTP, SOURCE, V3

Document = dict[str, Any]
NETWORK = f"{EXTENSIONS}.filters.network"


def cluster(**fields: Any) -> Document:
    return {"@type": f"{V3}.cluster.v3.Cluster", "name": "c", "connect_timeout": "1s", **fields}


def static(address: str, kind: str = "STATIC", hosts: int = 1) -> Document:
    endpoint = {"endpoint": {"address": {"socket_address": {"address": address, "port_value": 80}}}}
    return cluster(
        type=kind, load_assignment={"cluster_name": "c", "endpoints": [{"lb_endpoints": [endpoint] * hosts}]}
    )


def health_check(**checker: Any) -> Document:
    times = {"timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1}
    return cluster(type="STATIC", health_checks=[{**times, **checker}])


def statuses(start: int, end: int) -> Document:
    return health_check(http_health_check={"path": "/", "expected_statuses": [{"start": start, "end": end}]})


def rings(most: int) -> Document:
    return cluster(type="STATIC", lb_policy="RING_HASH", ring_hash_lb_config={"maximum_ring_size": most})


TCP = {
    "name": "tcp",
    "typed_config": {"@type": f"{NETWORK}.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "c"},
}
RBAC = {"name": "rbac", "typed_config": {"@type": f"{NETWORK}.rbac.v3.RBAC", "stat_prefix": "r"}}
ECHO = {"name": "echo", "typed_config": {"@type": f"{NETWORK}.echo.v3.Echo"}}


def http(*filters: str, **routes: Any) -> Document:
    kind = "http_connection_manager.v3.HttpConnectionManager"
    table = {"route_config": {"name": "t", "validate_clusters": False, **routes}}
    if table["route_config"]["validate_clusters"] is None:
        del table["route_config"]["validate_clusters"]
    found = {
        "@type": f"{NETWORK}.{kind}",
        "stat_prefix": "h",
        "http_filters": [HTTP[name] for name in filters],
    }
    return listener(chain({"name": "http", "typed_config": {**found, **table}}))


def host(name: str, *domains: str, **route: Any) -> Document:
    return {
        "name": name,
        "domains": list(domains),
        "routes": [{"match": {"prefix": "/"}, **route}] if route else [],
    }


def shares(*weights: int | None) -> Document:
    found = [{"name": "c", **({} if weight is None else {"weight": weight})} for weight in weights]
    return http("router", virtual_hosts=[host("a", "a", route={"weighted_clusters": {"clusters": found}})])


def matching(pattern: str) -> Document:
    """A listener whose only route is for paths that a regular expression matches."""
    route = {"match": {"safe_regex": {"regex": pattern}}, "route": {"cluster": "c"}}
    return http("router", virtual_hosts=[{"name": "a", "domains": ["a"], "routes": [route]}])


def hosts(*found: Document) -> Document:
    return http("router", virtual_hosts=list(found))


def chain(*filters: Document, **match: Any) -> Document:
    return {"filters": list(filters), **({"filter_chain_match": match} if match else {})}


def listener(*chains: Document, address: str = "127.0.0.1", **more: Any) -> Document:
    place = {"socket_address": {"address": address, "port_value": free_port()}}
    return {
        "@type": f"{V3}.listener.v3.Listener",
        "name": "l",
        "address": place,
        "filter_chains": list(chains),
        **more,
    }


def without(field: str, document: Document) -> Document:
    return {key: value for key, value in document.items() if key != field}


class Pair(NamedTuple):
    """A resource that is wrong, what is said of it, and the same put right."""

    wrong: Document
    said: str
    right: Document


PAIRS = [
    Pair(
        listener(chain(TCP, RBAC)),
        '"filter_chains[0].filters[0]": a terminal filter must be the last',
        listener(chain(RBAC, TCP)),
    ),
    Pair(
        listener(chain(RBAC)),
        '"filter_chains[0].filters[0]": a non-terminal filter is the last',
        listener(chain(ECHO)),
    ),
    Pair(
        http("router", "cors"), 'http_filters[0]": a terminal filter must be the last', http("cors", "router")
    ),
    Pair(http("cors"), 'http_filters[0]": a non-terminal filter is the last', http("router")),
    Pair(
        without("address", listener(chain(TCP))), '"address": an address is necessary', listener(chain(TCP))
    ),
    Pair(
        listener(),
        '"filter_chains": no filter chains are specified',
        listener(default_filter_chain=chain(TCP)),
    ),
    Pair(
        listener(chain(TCP), address="localhost"),
        "malformed IP address: localhost",
        listener(chain(TCP), address="127.0.0.2"),
    ),
    Pair(
        listener(chain(TCP), address="fe80::1"),
        "a link-local address needs a zone",
        listener(chain(TCP), address="::1"),
    ),
    Pair(
        listener(chain(TCP), chain(ECHO)),
        '"filter_chains[1].filter_chain_match": matches what filter_chains[0]',
        listener(chain(TCP), chain(ECHO, destination_port=80)),
    ),
    Pair(
        listener(chain(TCP, server_names=["a", "b"]), chain(ECHO, server_names=["B"])),
        '"filter_chains[1].filter_chain_match": matches what filter_chains[0]',
        listener(chain(TCP, server_names=["a", "b"]), chain(ECHO, server_names=["*.b"])),
    ),
    Pair(
        listener(
            chain(TCP, prefix_ranges=[{"address_prefix": "10.1.2.3", "prefix_len": 8}]),
            chain(ECHO, prefix_ranges=[{"address_prefix": "10.9.9.9", "prefix_len": 8}]),
        ),
        '"filter_chains[1].filter_chain_match": matches what filter_chains[0]',
        listener(
            chain(TCP, prefix_ranges=[{"address_prefix": "10.1.2.3", "prefix_len": 8}]),
            chain(ECHO, prefix_ranges=[{"address_prefix": "10.9.9.9", "prefix_len": 9}]),
        ),
    ),
    Pair(
        listener(chain(TCP, source_ports=[1, 1])),
        "says the same thing twice",
        listener(chain(TCP, source_ports=[1, 2])),
    ),
    Pair(
        listener(chain(TCP, server_names=["a*"])),
        "partial wildcards are not supported",
        listener(chain(TCP, server_names=["*.a"])),
    ),
    Pair(
        hosts(host("a", "a"), host("b", "A")),
        'virtual_hosts[1].domains[0]": is a domain of virtual_hosts[0].domains[0], too',
        hosts(host("a", "a"), host("a", "b")),
    ),
    Pair(
        hosts(host("a", "x", "X")),
        'domains[1]": is a domain of virtual_hosts[0].domains[0], too',
        hosts(host("a", "x", "y")),
    ),
    Pair(shares(None), 'clusters[0].weight": is missing', shares(1)),
    Pair(
        shares(2**32 - 1, 1),
        "the sum of weights has to be greater than 0 and of 32 bits",
        shares(2**32 - 2, 1),
    ),
    Pair(static("localhost"), "malformed IP address: localhost", static("localhost", "STRICT_DNS")),
    Pair(
        static("localhost", "LOGICAL_DNS", 2),
        "has one locality with one endpoint",
        static("localhost", "LOGICAL_DNS"),
    ),
    *(
        Pair(matching(wrong), said, matching(right))
        for wrong, said, right in [
            (r"/(a)\1", 'regex": is no expression of RE2: invalid escape sequence', r"/(a)\d"),
            ("/a(?=b)", 'regex": is no expression of RE2: invalid perl operator', "/a(?:b)"),
            ("/a{1001}", 'regex": is no expression of RE2: invalid repetition size', "/a{10}"),
            ("/a{96}", 'regex": is too large: 101 in the measure of RE2, of which Envoy takes 100', "/a{95}"),
            (
                r"/\w{90}",
                'regex": is too large: 275 in the measure of RE2',
                "/\\pL.{20}\u65e5{10}(abc|def){3}",
            ),
            ("/(", 'regex": is no expression of RE2: missing )', "/()"),
            ("/a**", 'regex": is no expression of RE2: bad repetition operator', "/a*"),
            (
                "/[[:foo:]]",
                'regex": is no expression of RE2: invalid character class',
                r"/[[:alpha:]]\pL(?P<n>x)",
            ),
        ]
    ),
    Pair(
        cluster(type="EDS"),
        "needs an EDS config",
        cluster(type="EDS", eds_cluster_config={"eds_config": SOURCE}),
    ),
    Pair(
        cluster(type="STATIC", eds_cluster_config={"eds_config": SOURCE}),
        "is for clusters of the type EDS only",
        cluster(type="STATIC"),
    ),
    Pair(
        cluster(type="ORIGINAL_DST"),
        "only CLUSTER_PROVIDED is allowed",
        cluster(type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED"),
    ),
    Pair(
        cluster(type="STATIC", lb_policy="CLUSTER_PROVIDED"),
        "CLUSTER_PROVIDED needs",
        cluster(type="STATIC", lb_policy="RANDOM"),
    ),
    Pair(rings(2), "1024 is greater than maximum_ring_size (2)", rings(1024)),
    Pair(statuses(200, 601), "a range of statuses", statuses(200, 600)),
    Pair(
        health_check(tcp_health_check={"send": {"text": "0"}}),
        "expected bytes in hexadecimal",
        health_check(tcp_health_check={"send": {"text": "00"}}),
    ),
    Pair(
        cluster(type="STATIC", outlier_detection={"max_ejection_time": "1s"}),
        "cannot be smaller than base_ejection_time",
        cluster(type="STATIC", outlier_detection={"max_ejection_time": "30s"}),
    ),
]
UNREADABLE = [
    Pair(
        listener(chain(TCP, source_ports=[65536])),
        "SourcePorts: value must be less than or equal to 65535",
        listener(chain(TCP, source_ports=[65535])),
    ),
    Pair(
        health_check(http_health_check={"path": "/\n"}),
        "value must be that of a header",
        health_check(http_health_check={"path": "/\u00e9"}),
    ),
    Pair(
        cluster(type="STATIC", connect_timeout="9223372036s"),
        "a duration below 9223372036s",
        cluster(type="STATIC", connect_timeout="9223372035s"),
    ),
]
"""What is not read at all, whoever wrote it and when, and so never sent."""


def problems(*documents: Document) -> list[str]:
    resources = [{"name": "r", "version": "1", "resource": json.dumps(document)} for document in documents]
    spec, _ = parse_spec(ProxyTemplateSpec, {"conf": {"resources": resources}})
    return [violation.message for violation in spec.violations()]


def snapshot(*documents: Document) -> Snapshot:
    """As an earlier version would have sent them, which did not look at the whole."""
    found = [read_resource(json.dumps(document)) for document in documents]
    return Snapshot([seal(item.type_url, item.name, item.message) for item in found])


@pytest.mark.parametrize("pair", [*PAIRS, *UNREADABLE], ids=lambda pair: pair.said[-40:])
def test_the_write_tells_the_wrong_from_the_right(pair: Pair) -> None:
    (message,) = problems(pair.wrong)
    assert message.startswith("native Envoy resource is not valid: ")
    assert pair.said in message
    assert problems(pair.right) == []


def test_so_does_a_real_envoy(tmp_path: Path) -> None:
    """The right ones one after the other; each wrong one is the last that an Envoy gets."""
    numbers = count()
    with ExitStack() as stack:
        envoy = fresh(tmp_path, stack, next(numbers))
        assert [envoy.offer(snapshot(pair.right)) for pair in UNREADABLE] == [[]] * len(UNREADABLE)
        for pair in PAIRS:
            assert envoy.offer(snapshot(pair.right)) == [], pair.said
            assert envoy.offer(snapshot(pair.wrong)) != [], pair.said
            stack.close()
            envoy = fresh(tmp_path, stack, next(numbers))


def fresh(tmp_path: Path, stack: ExitStack, number: int) -> OneEnvoy:
    folder = tmp_path / str(number)
    folder.mkdir()
    return stack.enter_context(one_envoy(folder, "delta"))


def test_two_listeners_of_a_template_at_one_place() -> None:
    first = listener(chain(TCP))
    second = {**first, "name": "m"}
    assert problems(first, second) == [
        'native Envoy resource is not valid: field "address": is also that of the listener "l"'
    ]
    assert problems(first, first) == []
    assert problems(first, {**listener(chain(TCP)), "name": "m"}) == []


def led(to: str, **table: Any) -> Document:
    """A listener whose only route leads to a cluster."""
    found = host("a", "a", route={"cluster": to})
    return http("router", virtual_hosts=[found], **table)


def tables(to: str, **table: Any) -> Document:
    """A table of routes by itself."""
    kind = f"{V3}.route.v3.RouteConfiguration"
    return {"@type": kind, "name": "t", "virtual_hosts": [host("a", "a", route={"cluster": to})], **table}


WEIGHTED = {"weighted_clusters": {"clusters": [{"name": "c", "weight": 1}, {"name": "gone", "weight": 1}]}}


@pytest.mark.parametrize(
    ("documents", "warned"),
    [
        ([led("gone", validate_clusters=None)], ['"gone"']),
        ([led("gone", validate_clusters=True)], ['"gone"']),
        ([led("gone", validate_clusters=False)], []),
        ([led("c", validate_clusters=True), cluster(type="STATIC")], []),
        ([tables("gone")], []),
        ([tables("gone", validate_clusters=True)], ['"gone"']),
        ([tables("c", validate_clusters=True), cluster(type="STATIC")], []),
        ([hosts(host("a", "a", route=WEIGHTED)), cluster(type="STATIC")], []),
        (
            [
                http("router", virtual_hosts=[host("a", "a", route=WEIGHTED)], validate_clusters=None),
                cluster(type="STATIC"),
            ],
            ['"gone"'],
        ),
    ],
)
def test_a_cluster_that_routes_lead_to_and_a_template_does_not_bring_is_told(
    documents: list[Document], warned: list[str]
) -> None:
    resources = [{"name": "r", "version": "1", "resource": json.dumps(document)} for document in documents]
    spec, _ = parse_spec(ProxyTemplateSpec, {"conf": {"resources": resources}})
    found = list(spec.violations())
    assert [item.severity for item in found] == [Severity.WARNING] * len(warned)
    for item, name in zip(found, warned, strict=True):
        assert item.message.startswith(f"routes lead to {name}, which this template does not bring")


def test_a_real_envoy_refuses_a_table_whose_clusters_it_lacks(tmp_path: Path) -> None:
    with ExitStack() as stack:
        envoy = fresh(tmp_path, stack, 1)
        assert envoy.offer(snapshot(led("gone", validate_clusters=False))) == []
        assert envoy.offer(snapshot(led("c", validate_clusters=None), cluster(type="STATIC"))) == []
        (said,) = envoy.offer(snapshot(led("gone", validate_clusters=None)))
        assert "unknown cluster 'gone'" in said
