"""The interface strings of a Dataplane."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.specs.interfaces import (
    INBOUND_FORMAT,
    OUTBOUND_FORMAT,
    InboundInterface,
    OutboundInterface,
    parse_inbound,
    parse_outbound,
)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("192.168.0.1:9090:8080", InboundInterface("192.168.0.1", 9090, 8080)),
        ("0.0.0.0:1:65535", InboundInterface("0.0.0.0", 1, 65535)),
        ("010.001.000.255:00080:00001", InboundInterface("10.1.0.255", 80, 1)),
        ("[::1]:8000:8080", InboundInterface("::1", 8000, 8080)),
        ("[2001:0DB8:0:0::A]:1:2", InboundInterface("2001:db8::a", 1, 2)),
        ("[::]:80:80", InboundInterface("::", 80, 80)),
    ],
)
def test_inbounds(text: str, parsed: InboundInterface) -> None:
    assert parse_inbound(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.168.0.1:9090",
        ":9090:8080",
        "192.168.0.256:1:1",
        "192.168.0:1:1",
        "192.168.0.1:0:1",
        "192.168.0.1:1:65536",
        "192.168.0.1:000001:1",
        "192.168.0.1:-1:1",
        "till.local:8080:80",
        "[::1]:80",
        "[::1]80:80",
        "[::1:80:80",
        "[1.2.3.4]:80:80",
        "[fe80::1%eth0]:80:80",
        "[:::1]:80:80",
        "[web]:80:80",
        "[]:80:80",
        "::1:80:80",
        " 192.168.0.1:1:1",
        "192.168.0.1:1:1\n",
        "192.168.0.1:1:1:1",
        "١٩٢.168.0.1:1:1",
        "192.168.0.0001:1:1",
    ],
)
def test_what_is_no_inbound(text: str) -> None:
    with pytest.raises(ValueError, match=INBOUND_FORMAT.split(" ex.")[0]):
        parse_inbound(text)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (":9090", OutboundInterface("127.0.0.1", 9090)),
        ("10.0.0.1:9090", OutboundInterface("10.0.0.1", 9090)),
        ("0.0.0.0:65535", OutboundInterface("0.0.0.0", 65535)),
        ("[::1]:9090", OutboundInterface("::1", 9090)),
    ],
)
def test_outbounds(text: str, parsed: OutboundInterface) -> None:
    assert parse_outbound(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9090",
        ":",
        ":0",
        ":70000",
        "10.0.0.1",
        "10.0.0.1:",
        "host:80",
        "10.0.0.1:80:80",
        ":80\n",
        "::1:80",
    ],
)
def test_what_is_no_outbound(text: str) -> None:
    with pytest.raises(ValueError, match=OUTBOUND_FORMAT.split(" ex.")[0].split("IP_ADDRESS is")[0]):
        parse_outbound(text)


OCTET, PORT = st.integers(0, 255), st.integers(1, 65535)


@given(st.tuples(OCTET, OCTET, OCTET, OCTET), PORT, PORT)
def test_every_address_is_read(octets: tuple[int, ...], port: int, workload: int) -> None:
    ip = ".".join(map(str, octets))
    assert parse_inbound(f"{ip}:{port}:{workload}") == InboundInterface(ip, port, workload)
    assert parse_outbound(f"{ip}:{port}") == OutboundInterface(ip, port)


@given(st.text(alphabet="0123456789.:[]- x", max_size=25))
def test_whatever_else_is_refused_in_one_sentence(text: str) -> None:
    for parse in (parse_inbound, parse_outbound):
        try:
            parse(text)
        except ValueError as error:
            sentence = str(error)
        else:
            continue
        assert sentence.startswith("invalid format: expected format is ")


@given(st.ip_addresses(v=6), PORT, PORT)
def test_every_ipv6_address_is_read_and_written_in_brackets(ip: object, port: int, workload: int) -> None:
    inbound, outbound = parse_inbound(f"[{ip}]:{port}:{workload}"), parse_outbound(f"[{ip}]:{port}")
    assert (inbound.ip, outbound.ip) == (str(ip), str(ip))
    assert (inbound.host, outbound.host) == (f"[{ip}]", f"[{ip}]")
    assert parse_inbound(f"10.0.0.1:{port}:{workload}").host == "10.0.0.1"
