"""Reading requests: as the whole API's messages read them, and garbage is refused without harm."""

from __future__ import annotations

import gzip
import random
from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest
from envoy_data_plane.google.rpc import Status
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.xds.proxy import KNOWN
from kuma_core.xds.server import wire
from kuma_core.xds.server.wire import (
    CompressedRequest,
    ExcessiveRequest,
    MalformedRequest,
    parse_delta,
    parse_sotw,
)


def test_a_state_of_the_world_request():
    data = bytes(
        DiscoveryRequest(
            version_info="v1",
            node=Node(id="shop.orders-1", cluster="orders"),
            resource_names=["a", "b"],
            type_url="t",
            response_nonce="3",
            error_detail=Status(code=13, message="why"),
        )
    )
    found = parse_sotw(data)
    assert (found.version, found.node.id, found.names) == ("v1", "shop.orders-1", ("a", "b"))
    assert (found.type_url, found.nonce, found.error) == ("t", "3", "why")


def test_a_delta_request():
    data = bytes(
        DeltaDiscoveryRequest(
            node=Node(id="shop.orders-1"),
            type_url="t",
            resource_names_subscribe=["a"],
            resource_names_unsubscribe=["b"],
            initial_resource_versions={"c": "1", "d": "2"},
            response_nonce="3",
        )
    )
    found = parse_delta(data)
    assert (found.node.id, found.type_url, found.nonce, found.error) == ("shop.orders-1", "t", "3", None)
    assert (found.subscribe, found.unsubscribe, found.held) == (("a",), ("b",), {"c": "1", "d": "2"})


def test_a_rejection_without_words_is_one_nevertheless():
    assert parse_sotw(bytes(DiscoveryRequest(error_detail=Status(code=13)))).error == "no reason given"


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read_but_never_breaks_the_server(data):
    for parse in (parse_sotw, parse_delta):
        try:
            parse(data)
        except MalformedRequest:
            continue


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\xff", b"\x0b", b"\xff" * 20, b"\x0a\x01\xff"])
def test_broken_messages_are_refused(data):
    with pytest.raises(MalformedRequest):
        parse_sotw(data)


# -- compared with the whole API


def test_the_parser_is_the_one_in_c() -> None:
    """The one in Python would hold the event loop for seconds."""
    assert api_implementation.Type() == "upb"


TEXTS = st.text(max_size=8)
NAMES = st.lists(TEXTS, max_size=4)
VALUES = st.one_of(
    st.builds(lambda text: {"string_value": text}, TEXTS),
    st.builds(lambda number: {"number_value": number}, st.floats(allow_nan=False)),
    st.just({"null_value": 0}),
    st.just({"bool_value": True}),
    st.just({"struct_value": {"fields": {"a": {"string_value": "b"}}}}),
    st.just({"list_value": {"values": [{"string_value": "b"}]}}),
)
NODES = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXTS,
        "cluster": TEXTS,
        "user_agent_name": TEXTS,
        "locality": st.builds(lambda text: {"zone": text}, TEXTS),
        "metadata": st.builds(
            lambda fields: {"fields": fields},
            st.dictionaries(st.sampled_from((*KNOWN, "other")), VALUES, max_size=4),
        ),
    },
)
ERRORS = st.fixed_dictionaries({}, optional={"code": st.integers(0, 16), "message": TEXTS})
SOTW_FIELDS: dict[str, Any] = {
    "version_info": TEXTS,
    "node": NODES,
    "resource_names": NAMES,
    "type_url": TEXTS,
    "response_nonce": TEXTS,
    "error_detail": ERRORS,
}
DELTA_FIELDS: dict[str, Any] = {
    "node": NODES,
    "type_url": TEXTS,
    "resource_names_subscribe": NAMES,
    "resource_names_unsubscribe": NAMES,
    "initial_resource_versions": st.dictionaries(TEXTS, TEXTS, max_size=4),
    "response_nonce": TEXTS,
    "error_detail": ERRORS,
}
WHOLE = {
    "sotw": (discovery_pb2.DiscoveryRequest, SOTW_FIELDS, parse_sotw),
    "delta": (discovery_pb2.DeltaDiscoveryRequest, DELTA_FIELDS, parse_delta),
}


def as_the_whole_api(message: Any, data: bytes) -> Any:
    """What a request says, read with the messages of the whole API; ``None`` if it is none."""
    try:
        found = message.FromString(data)
    except DecodeError:
        return None
    node = found.node.metadata.fields if found.HasField("node") else {}
    texts = {
        key: node[key].string_value for key in KNOWN if key in node and node[key].HasField("string_value")
    }
    said: dict[str, Any] = {
        "type_url": found.type_url,
        "nonce": found.response_nonce,
        "node": wire.Node(found.node.id, texts) if found.HasField("node") else None,
        "error": (found.error_detail.message or "no reason given")
        if found.HasField("error_detail")
        else None,
    }
    if message is discovery_pb2.DiscoveryRequest:
        return wire.SotwRequest(version=found.version_info, names=tuple(found.resource_names), **said)
    return wire.DeltaRequest(
        subscribe=tuple(found.resource_names_subscribe),
        unsubscribe=tuple(found.resource_names_unsubscribe),
        held=dict(found.initial_resource_versions),
        **said,
    )


@pytest.mark.parametrize("variant", WHOLE)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_both_read_the_same(variant: str, data: st.DataObject, seed: int) -> None:
    """Also what is damaged, doubled, or written in pieces: as long as the whole API takes it for a request."""
    message, fields, parse = WHOLE[variant]
    drawn = data.draw(st.lists(st.fixed_dictionaries({}, optional=fields), min_size=1, max_size=2))
    written = b"".join(message(**one).SerializeToString() for one in drawn)
    assert parse(written) == as_the_whole_api(message, written)
    damaged = mutated(written, random.Random(seed))
    expected = as_the_whole_api(message, damaged)
    if expected is not None and not damaged.startswith(b"\x1f\x8b"):
        assert parse(damaged) == expected


def mutated(data: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, dropped or doubled."""
    found = bytearray(data or b"\0")
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(found) + 1)
        found[at : at + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
    return bytes(found)


# -- bounds


@pytest.mark.parametrize("parse", [parse_sotw, parse_delta])
def test_nothing_is_unpacked(parse: Any) -> None:
    with pytest.raises(CompressedRequest, match="this server unpacks nothing"):
        parse(gzip.compress(bytes(DiscoveryRequest(type_url="t"))))


MANY = ["a"] * (wire.MOST_NAMES + 1)
LONG = "a" * (wire.MOST_NAME_BYTES + 1)


@pytest.mark.parametrize(
    ("parse", "request_"),
    [
        (parse_sotw, DiscoveryRequest(resource_names=MANY)),
        (parse_sotw, DiscoveryRequest(resource_names=[LONG])),
        (parse_delta, DeltaDiscoveryRequest(resource_names_subscribe=MANY)),
        (parse_delta, DeltaDiscoveryRequest(resource_names_unsubscribe=[LONG])),
        (
            parse_delta,
            DeltaDiscoveryRequest(initial_resource_versions={str(n): "" for n in range(len(MANY))}),
        ),
        (parse_delta, DeltaDiscoveryRequest(initial_resource_versions={"a": LONG})),
        (parse_sotw, DiscoveryRequest(node=Node(id="a" * 2000))),
        (parse_delta, DeltaDiscoveryRequest(node=Node(id="a" * 2000))),
    ],
)
def test_what_no_proxy_can_have_to_say(parse: Any, request_: Any) -> None:
    with pytest.raises(ExcessiveRequest, match=r"may (have|name)"):
        parse(bytes(request_))


def test_a_long_text_of_a_rejection_is_cut() -> None:
    found = parse_sotw(bytes(DiscoveryRequest(error_detail=Status(code=13, message="a" * 100_000))))
    assert found.error is not None
    assert len(found.error) == wire.LONGEST_ERROR
