"""What of a Dataplane cannot be at one address and port, and what is doubtful there."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_core.errors import Severity, Violation
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec

IN, OUT = "networking.inbound[{}].interface", "networking.outbound[{}].interface"


def violations(
    inbounds: list[str], outbounds: list[str] = (), redirect: int = 0, **more: Any
) -> list[Violation]:
    """What speaks against a Dataplane; each inbound and each outbound is of a service of its own."""
    networking: dict[str, Any] = {
        "inbound": [{"interface": text, "tags": {"service": f"in-{n}"}} for n, text in enumerate(inbounds)],
        "outbound": [{"interface": text, "service": f"out-{n}"} for n, text in enumerate(outbounds)],
    }
    if redirect:
        networking["transparentProxying"] = {"redirectPort": redirect}
    spec, unknown = parse_spec(DataplaneSpec, {"networking": networking, **more})
    assert unknown == []
    return list(spec.violations())


def errors(*args: Any, **kwargs: Any) -> list[tuple[str, str]]:
    return [
        (item.field, item.message) for item in violations(*args, **kwargs) if item.severity is Severity.ERROR
    ]


def warnings(*args: Any, **kwargs: Any) -> list[tuple[str, str]]:
    found = violations(*args, **kwargs)
    assert all(item.severity is Severity.WARNING for item in found), found
    return [(item.field, item.message) for item in found]


@pytest.mark.parametrize(
    ("inbounds", "outbounds"),
    [
        (["10.0.0.1:80:8080"], [":80", "10.0.0.1:81"]),
        (["10.0.0.1:80:80"], []),
        (["10.0.0.1:80:8080", "10.0.0.2:80:8080"], ["10.0.0.3:80"]),
        (["127.0.0.1:80:8080"], ["127.0.0.2:80", "127.0.0.2:8080"]),
        (["240.0.0.1:80:8080", "10.0.0.255:80:81"], []),
    ],
)
def test_different_places_are_good(inbounds: list[str], outbounds: list[str]) -> None:
    assert violations(inbounds, outbounds) == []


@pytest.mark.parametrize(
    ("inbounds", "outbounds", "field", "place", "other"),
    [
        (["10.0.0.1:80:1", "10.0.0.1:80:2"], [], IN.format(1), "10.0.0.1:80", IN.format(0)),
        (["10.0.0.1:80:1", "10.0.0.1:80:1"], [], IN.format(1), "10.0.0.1:80", IN.format(0)),
        (["10.0.0.1:80:1", "010.0.0.001:0080:2"], [], IN.format(1), "10.0.0.1:80", IN.format(0)),
        (["10.0.0.1:1:1"], [":80", ":81", "127.0.0.1:80"], OUT.format(2), "127.0.0.1:80", OUT.format(0)),
        (["127.0.0.1:80:1"], [":80"], OUT.format(0), "127.0.0.1:80", IN.format(0)),
    ],
)
def test_two_listeners_at_one_place_are_refused(
    inbounds: list[str], outbounds: list[str], field: str, place: str, other: str
) -> None:
    message = f"{place} is also the place of {other}; give each of them a port of its own"
    assert errors(inbounds, outbounds) == [(field, message)]
    leads_to_one_port = len({item.rpartition(":")[2] for item in inbounds}) < len(inbounds)
    assert errors(inbounds, outbounds, redirect=15001) == ([] if leads_to_one_port else [(field, message)])


def test_redirected_inbounds_of_two_services_may_share_a_listener() -> None:
    """Two Services of Kubernetes over one port make them."""
    (found,) = violations(["10.0.0.1:80:1", "10.0.0.1:80:1"], [], redirect=15001)
    assert (found.severity, found.field) == (Severity.WARNING, IN.format(1))
    assert found.message.endswith(": one listener serves both, with the policies of that")


@pytest.mark.parametrize(
    ("inbounds", "outbounds", "field", "place", "earlier", "other"),
    [
        (["0.0.0.0:80:1", "10.0.0.1:80:2"], [], IN.format(1), "10.0.0.1:80", "0.0.0.0:80", IN.format(0)),
        (["10.0.0.1:80:1"], ["0.0.0.0:80"], OUT.format(0), "0.0.0.0:80", "10.0.0.1:80", IN.format(0)),
        (["10.0.0.1:1:2"], [":9", "0.0.0.0:9"], OUT.format(1), "0.0.0.0:9", "127.0.0.1:9", OUT.format(0)),
    ],
)
def test_all_addresses_take_in_each_unless_nothing_is_bound(
    inbounds: list[str], outbounds: list[str], field: str, place: str, earlier: str, other: str
) -> None:
    wide = f" ({earlier}), for 0.0.0.0 takes in every address; give each of them a port of its own"
    assert errors(inbounds, outbounds) == [(field, f"{place} is also the place of {other}{wide}")]
    assert errors(inbounds, outbounds, redirect=15001) == []


@pytest.mark.parametrize(
    ("inbounds", "outbounds", "field", "place", "whose"),
    [
        (["127.0.0.1:80:80"], [], IN.format(0), "127.0.0.1:80", "its own service"),
        (["0.0.0.0:80:80"], [], IN.format(0), "0.0.0.0:80", "its own service"),
        (
            ["127.0.0.1:80:81", "10.0.0.1:1:80"],
            [],
            IN.format(0),
            "127.0.0.1:80",
            f"the service of {IN.format(1)}",
        ),
        (["10.0.0.1:80:81"], [":81"], OUT.format(0), "127.0.0.1:81", f"the service of {IN.format(0)}"),
    ],
)
def test_a_listener_where_a_service_listens_is_refused_unless_nothing_is_bound(
    inbounds: list[str], outbounds: list[str], field: str, place: str, whose: str
) -> None:
    [(found, message)] = errors(inbounds, outbounds)
    assert found == field
    assert message.startswith(f"{place} is where {whose} listens (127.0.0.1:")
    assert message.endswith("give the proxy another port, or another address of the machine")
    assert errors(inbounds, outbounds, redirect=15001) == []


def test_the_port_for_redirected_connections_is_bound_on_every_address() -> None:
    field = "networking.transparentProxying.redirectPort"
    assert errors(["10.0.0.1:80:15001"], redirect=15001) == [
        (
            field,
            f"0.0.0.0:15001 is where the service of {IN.format(0)} listens (127.0.0.1:15001); give the proxy "
            "another port, or another address of the machine",
        )
    ]
    assert errors(["10.0.0.1:15001:80"], redirect=15001) == []


@pytest.mark.parametrize(
    ("ip", "kind"),
    [("224.0.0.1", "a multicast"), ("239.255.255.255", "a multicast"), ("255.255.255.255", "the broadcast")],
)
def test_an_address_to_which_nobody_can_connect_is_refused(ip: str, kind: str) -> None:
    message = f"{ip} is {kind} address, to which nobody can connect; name an address of the machine"
    assert errors([f"{ip}:80:81"], [f"{ip}:82"]) == [(IN.format(0), message), (OUT.format(0), message)]


def test_all_addresses_and_leading_zeros_are_warned_of() -> None:
    found = warnings(["0.0.0.0:80:81", "010.0.0.1:82:83"], ["0.0.0.0:84"])
    assert [field for field, _ in found] == [IN.format(0), IN.format(1), OUT.format(0)]
    texts = [message for _, message in found]
    assert texts[0].startswith("0.0.0.0 is no address that others can connect to")
    assert texts[1].startswith("010.0.0.1 is read as 10.0.0.1; write it without leading zeros")
    assert texts[2].startswith("0.0.0.0 lets everybody who reaches this machine call as its service")


def test_what_is_listed_twice_is_warned_of() -> None:
    inbound = {"interface": "10.0.0.1:80:81", "tags": {"service": "web"}}
    tagged = {**inbound, "tags": {"service": "web", "version": "2"}}
    outbound = {"interface": ":82", "service": "db"}
    spec, _ = parse_spec(
        DataplaneSpec, {"networking": {"inbound": [inbound, tagged], "outbound": [outbound, outbound]}}
    )
    assert [(item.field, item.message, item.severity) for item in spec.violations()] == [
        (
            IN.format(1),
            f"10.0.0.1:80 does what {IN.format(0)} does already; leave one of them out",
            Severity.WARNING,
        ),
        (
            OUT.format(1),
            f"127.0.0.1:82 does what {OUT.format(0)} does already; leave one of them out",
            Severity.WARNING,
        ),
    ]


@pytest.mark.parametrize(("port", "user"), [(80, IN.format(0)), (81, IN.format(0)), (82, OUT.format(0))])
def test_a_metrics_port_of_ones_own_that_is_in_use_is_warned_of(port: int, user: str) -> None:
    found = warnings(["10.0.0.1:80:81"], [":82"], metrics={"prometheus": {"port": port}})
    message = f"{port} is also a port of {user}, so there are no metrics; name one that is free"
    assert found == [("metrics.prometheus.port", message)]
    assert warnings(["10.0.0.1:80:81"], [":82"], metrics={"prometheus": {"port": 83}}) == []


def test_what_cannot_be_read_is_told_alone() -> None:
    found = errors(["10.0.0.1:80", "10.0.0.1:80:1"], ["nowhere", ":81"])
    assert [field for field, _ in found] == [IN.format(0), OUT.format(0)]


def test_thousands_of_listeners_are_compared_at_once() -> None:
    """Each is looked up by its port; comparing all pairs would take minutes, and hold a worker of the API."""
    many = [f"127.0.{n >> 8}.{n & 255}:{10000 + n}" for n in range(20_000)]
    assert errors(["10.0.0.1:1:2"], [*many, many[-1]])[0][0] == OUT.format(20_000)


@pytest.mark.parametrize(
    ("inbounds", "outbounds", "field", "place", "why"),
    [
        (["[::1]:80:1", "[0:0::1]:80:2"], [], IN.format(1), "[::1]:80", IN.format(0)),
        (
            ["[::]:80:1", "[::1]:80:2"],
            [],
            IN.format(1),
            "[::1]:80",
            f"{IN.format(0)} ([::]:80), for :: takes in every",
        ),
        (
            ["[2001:db8::1]:80:1"],
            ["[::]:80"],
            OUT.format(0),
            "[::]:80",
            "([2001:db8::1]:80), for :: takes in every",
        ),
    ],
)
def test_ipv6_addresses_exclude_each_other_alike(
    inbounds: list[str], outbounds: list[str], field: str, place: str, why: str
) -> None:
    ((found, message),) = errors(inbounds, outbounds)
    assert (found, message.startswith(f"{place} is also the place of "), why in message) == (
        field,
        True,
        True,
    )


def test_ipv6_and_ipv4_share_a_port() -> None:
    assert violations(["[::1]:80:8080", "127.0.0.1:80:8080"], ["[::1]:8080"]) == []
    assert errors(["[::]:80:8080", "0.0.0.0:80:8080"]) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("[ff02::1]", "ff02::1 is a multicast address, to which nobody can connect"),
        ("[fe80::1]", "fe80::1 is of one network of the machine, which cannot be named here"),
        ("[::ffff:10.0.0.1]", "stands for 10.0.0.1; write it so"),
    ],
)
def test_ipv6_addresses_that_nobody_can_listen_on(address: str, message: str) -> None:
    ((_, said),) = errors([f"{address}:80:8080"])
    assert message in said


def test_every_ipv6_address_is_none_that_others_connect_to() -> None:
    ((_, inbound),) = warnings(["[::]:80:8080"])
    ((_, outbound),) = warnings(["[::1]:80:8080"], ["[::]:81"])
    assert inbound.startswith(":: is no address that others can connect to")
    assert outbound.startswith(":: lets everybody who reaches this machine call")
