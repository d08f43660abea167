"""The compiled encoder against the library's own bytes and against Google's protobuf as the oracle."""

from __future__ import annotations

from datetime import timedelta

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.service.discovery.v3 import discovery_pb2
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, LbEndpoint
from envoy_data_plane.google.protobuf import (
    BoolValue,
    DoubleValue,
    FieldDescriptorProto,
    ListValue,
    Struct,
    UInt64Value,
    Value,
)
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER
from kuma_core.xds.encoding import append, encode, validate, varint
from kuma_core.xds.server.wire import delta_response, sotw_response

from .simulation import cluster, endpoints, listener, local

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values = st.recursive(
    st.one_of(
        st.builds(Value, string_value=_text),
        st.builds(Value, number_value=st.floats(allow_nan=False)),
        st.builds(Value, bool_value=st.booleans()),
    ),
    lambda inner: st.one_of(
        st.builds(Value, list_value=st.builds(ListValue, values=st.lists(inner, max_size=3))),
        st.builds(Value, struct_value=st.builds(Struct, fields=st.dictionaries(_text, inner, max_size=1))),
    ),
    max_leaves=8,
)


@given(_values)
def test_the_bytes_are_those_of_the_library(value):
    assert encode(value) == bytes(value)


@pytest.mark.parametrize(
    "message",
    [
        BoolValue(value=True),
        UInt64Value(value=2**64 - 1),
        DoubleValue(value=-0.5),
        Cluster(
            name="é", connect_timeout=timedelta(seconds=1, microseconds=5), ignore_health_on_host_removal=True
        ),
        LbEndpoint(metadata=Metadata()),
        FieldDescriptorProto(name="x", number=-1),
    ],
)
def test_the_bytes_are_those_of_the_library_for_odd_fields(message):
    assert encode(message) == bytes(message)


def test_maps_are_sorted_so_that_equal_content_is_equal_bytes():
    one = Struct(fields={"b": Value(string_value="2"), "a": Value(string_value="1")})
    other = Struct(fields={"a": Value(string_value="1"), "b": Value(string_value="2")})
    assert bytes(one) != bytes(other), "the library keeps the order of insertion"
    assert encode(one) == encode(other)


@pytest.mark.parametrize(
    ("sealed", "oracle", "url"),
    [
        (cluster("ledger"), cluster_pb2.Cluster, CLUSTER),
        (local(9001), cluster_pb2.Cluster, CLUSTER),
        (endpoints("ledger", 9000, 9001), endpoint_pb2.ClusterLoadAssignment, ENDPOINTS),
        (listener(7100, "ledger"), listener_pb2.Listener, LISTENER),
    ],
)
def test_sealed_resources_mean_the_same_to_googles_protobuf(sealed, oracle, url):
    response = discovery_pb2.DiscoveryResponse.FromString(sotw_response(url, "v1", "7", [sealed.sotw]))
    assert (response.version_info, response.nonce, response.type_url) == ("v1", "7", url)
    message = oracle()
    assert response.resources[0].Unpack(message)
    assert message.SerializeToString(deterministic=True)
    assert not _unknown(message)
    delta = discovery_pb2.DeltaDiscoveryResponse.FromString(
        delta_response(url, "v1", "7", [sealed.delta], ["gone"])
    )
    (resource,) = delta.resources
    assert (resource.name, resource.version) == (sealed.name, sealed.version)
    assert resource.resource == response.resources[0]
    assert list(delta.removed_resources) == ["gone"]
    assert (delta.system_version_info, delta.nonce, delta.type_url) == ("v1", "7", url)


def _unknown(message) -> list:
    from google.protobuf.unknown_fields import UnknownFieldSet

    return list(UnknownFieldSet(message))


def test_what_is_appended_is_part_of_the_message():
    cluster = Cluster(name="x", metadata=Metadata())
    append(cluster, encode(Cluster(alt_stat_name="y")))
    append(cluster.metadata, encode(Metadata(filter_metadata={"a": Struct()})))
    found = Cluster.parse(encode(cluster))
    assert (found.name, found.alt_stat_name, list(found.metadata.filter_metadata)) == ("x", "y", ["a"])


def test_what_was_assigned_is_validated_with_its_path():
    assignment = ClusterLoadAssignment(cluster_name="x", endpoints=[])
    assignment.endpoints = [7]
    with pytest.raises(ValueError, match=r"endpoints\.0"):
        validate(assignment)
    nested = Cluster(name="x", load_assignment=ClusterLoadAssignment(cluster_name="x"))
    nested.load_assignment.cluster_name = 5
    with pytest.raises(ValueError, match=r"load_assignment\.cluster_name"):
        validate(nested)


def test_two_members_of_a_choice_are_refused():
    value = Value(string_value="a")
    value.bool_value = True
    with pytest.raises(ValueError, match=r"(?i)one"):
        validate(value)


@pytest.mark.parametrize(
    ("value", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (-1, b"\xff" * 9 + b"\x01")]
)
def test_varint(value, expected):
    assert varint(value) == expected
