"""Reading requests: what the library writes is read back, and garbage is refused without harm."""

from __future__ import annotations

import pytest
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest
from envoy_data_plane.google.rpc import Status
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.xds.server.wire import MalformedRequest, parse_delta, parse_sotw


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
