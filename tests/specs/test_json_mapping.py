"""From an operator's JSON to a spec and back, rule by rule and with any input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from kuma_core.documents import WrittenNumber
from kuma_core.errors import MalformedResource, Violation
from kuma_core.specs.base import (
    Spec,
    Tags,
    Timestamp,
    UInt32,
    UInt64,
    format_timestamp,
    parse_spec,
    to_document,
)
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.insight import InsightSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.overview import OverviewSpec

SPECS = [MeshSpec, DataplaneSpec, InsightSpec, OverviewSpec]


class Leaf(Spec):
    """A nested message."""

    size_in_metres: UInt32 = 0


class Tree(Spec):
    """One field of every type."""

    is_green: bool = False
    name: str = ""
    leaf_count: UInt32 = 0
    seed_count: UInt64 = 0
    planted: Timestamp | None = None
    tags: Tags = {}
    first_leaf: Leaf | None = None
    leaves: Annotated[tuple[Leaf, ...], Field(strict=False)] = ()


def read(raw: Mapping[str, Any]) -> Any:
    return parse_spec(Tree, raw)[0]


def again(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What comes back for what was written."""
    return to_document(read(raw))


def refused(raw: Mapping[str, Any], spec: type[Spec] = Tree) -> list[Violation]:
    with pytest.raises(MalformedResource) as caught:
        parse_spec(spec, raw)
    return list(caught.value.violations)


# -- names


@pytest.mark.parametrize("key", ["leafCount", "leaf_count"])
def test_both_spellings_of_a_field_are_read_and_one_is_written(key: str) -> None:
    assert again({key: 3}) == {"leafCount": 3}


@pytest.mark.parametrize("raw", [{"leafCount": 1, "leaf_count": 2}, {"leaf_count": 2, "leafCount": 1}])
def test_camel_case_wins(raw: dict[str, int]) -> None:
    assert again(raw) == {"leafCount": 1}


def test_nested_fields_have_both_spellings_too() -> None:
    assert again({"first_leaf": {"size_in_metres": 2}}) == {"firstLeaf": {"sizeInMetres": 2}}
    assert again({"leaves": [{"size_in_metres": 2}]}) == {"leaves": [{"sizeInMetres": 2}]}


@pytest.mark.parametrize("key", ["LeafCount", "leafcount", "LEAF_COUNT", "leaf-count"])
def test_other_spellings_are_unknown(key: str) -> None:
    spec, unknown = parse_spec(Tree, {key: 3})
    assert to_document(spec) == {}
    assert unknown == [key]


# -- zero values, null, explicit empties


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"isGreen": False},
        {"name": ""},
        {"leafCount": 0},
        {"seedCount": "0"},
        {"isGreen": None, "name": None, "leafCount": None, "planted": None},
        {"tags": None, "firstLeaf": None, "leaves": None},
    ],
    ids=str,
)
def test_zero_and_null_are_absent(raw: dict[str, Any]) -> None:
    assert again(raw) == {}


@pytest.mark.parametrize(
    "raw", [{"leaves": []}, {"tags": {}}, {"firstLeaf": {}}, {"leaves": [{}, {}]}], ids=str
)
def test_explicit_empties_survive(raw: dict[str, Any]) -> None:
    assert again(raw) == raw


def test_a_nested_message_of_zeros_is_an_empty_one() -> None:
    assert again({"firstLeaf": {"sizeInMetres": 0}}) == {"firstLeaf": {}}


def test_null_gives_way_to_the_other_spelling() -> None:
    assert again({"leafCount": None, "leaf_count": 2}) == {"leafCount": 2}


def test_null_in_a_list_or_a_map_is_refused() -> None:
    assert refused({"leaves": [None]}) == [Violation("leaves[0]", "expected an object, got null")]
    assert refused({"tags": {"a": None}}) == [Violation('tags["a"]', "expected text, got null")]


# -- numbers


@pytest.mark.parametrize("value", [7, "7", "007"])
def test_integers_may_be_quoted(value: Any) -> None:
    assert again({"leafCount": value, "seedCount": value}) == {"leafCount": 7, "seedCount": "7"}


def test_the_largest_integers() -> None:
    assert again({"leafCount": 2**32 - 1}) == {"leafCount": 4294967295}
    assert again({"seedCount": str(2**64 - 1)}) == {"seedCount": "18446744073709551615"}


@pytest.mark.parametrize(
    "value",
    [
        -1,
        "-1",
        2**32,
        str(2**32),
        1.0,
        1.5,
        "1.5",
        "1e3",
        "",
        " 7",
        "٧",
        "seven",
        True,
        [],
        {},
        "9" * 5000,
        "0x7",
    ],
    ids=lambda value: f"{value!r:.20}",
)
def test_what_is_no_32_bit_number(value: Any) -> None:
    (violation,) = refused({"leafCount": value})
    assert violation.field == "leafCount"
    assert len(violation.message) < 200


# -- time


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2020-01-15T08:00:00Z", "2020-01-15T08:00:00Z"),
        ("2020-01-15T08:00:00.000Z", "2020-01-15T08:00:00Z"),
        ("2020-01-15T08:00:00.5Z", "2020-01-15T08:00:00.500Z"),
        ("2020-01-15T08:00:00.123456Z", "2020-01-15T08:00:00.123456Z"),
        ("2020-01-15T10:30:00+02:30", "2020-01-15T08:00:00Z"),
        ("2020-01-15T00:00:00-08:00", "2020-01-15T08:00:00Z"),
        ("0999-01-15T00:00:00Z", "0999-01-15T00:00:00Z"),
    ],
)
def test_timestamps(text: str, shown: str) -> None:
    assert again({"planted": text}) == {"planted": shown}


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-15T08:00:00",
        "2020-01-15",
        "yesterday",
        "",
        1579075200,
        {},
        "2020-02-30T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
    ids=str,
)
def test_what_is_no_timestamp(value: Any) -> None:
    (violation,) = refused({"planted": value})
    assert violation.field == "planted"


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_timestamp_is_read_back_to_the_microsecond(moment: datetime) -> None:
    assert read({"planted": format_timestamp(moment)}).planted == moment


# -- wrong types, with the path of the field


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        ({"isGreen": "true"}, "isGreen", 'expected true or false, got "true"'),
        ({"isGreen": 1}, "isGreen", "expected true or false, got 1"),
        ({"name": 5}, "name", "expected text, got 5 (put it in quotes)"),
        ({"name": {}}, "name", "expected text"),
        ({"tags": []}, "tags", "expected an object"),
        ({"tags": {"version": 1}}, 'tags["version"]', "expected text, got 1 (put it in quotes)"),
        ({"leafCount": WrittenNumber("1e3")}, "leafCount", "expected a whole number, got 1e3"),
        ({"leafCount": WrittenNumber("7.0")}, "leafCount", "expected a whole number, got 7.0"),
        ({"name": WrittenNumber("1E+2")}, "name", "expected text, got 1E+2 (put it in quotes)"),
        ({"name": "x", "isGreen": "\u202etrue\n"}, "isGreen", 'expected true or false, got "\\u202etrue\\n"'),
        ({"isGreen": "x" * 60}, "isGreen", f'expected true or false, got "{"x" * 39}…'),
        ({"tags": {"a.b": True}}, 'tags["a.b"]', "expected text, got true (put it in quotes)"),
        ({"firstLeaf": []}, "firstLeaf", "expected an object"),
        ({"firstLeaf": "x"}, "firstLeaf", 'expected an object, got "x"'),
        ({"leaves": {}}, "leaves", "expected a list"),
        ({"leaves": "x"}, "leaves", 'expected a list, got "x"'),
        (
            {"leaves": [{}, {"sizeInMetres": "x"}]},
            "leaves[1].sizeInMetres",
            'expected a whole number, got "x"',
        ),
        ({"leaves": [{}, {"size_in_metres": []}]}, "leaves[1].size_in_metres", "expected a whole number"),
    ],
)
def test_a_wrong_type_is_told_with_its_path(raw: dict[str, Any], field: str, message: str) -> None:
    (violation,) = refused(raw)
    assert violation.field in (field, field.replace("size_in_metres", "sizeInMetres"))
    assert violation.message == message


def test_every_wrong_value_is_told_at_once() -> None:
    fields = [item.field for item in refused({"name": 5, "isGreen": 1, "leaves": [{}, 3]})]
    assert sorted(fields) == ["isGreen", "leaves[1]", "name"]


def test_a_long_wrong_value_is_cut() -> None:
    (violation,) = refused({"isGreen": "x" * 100_000})
    assert len(violation.message) < 100


# -- unknown fields


def test_unknown_fields_are_dropped_and_told_at_every_level() -> None:
    raw = {
        "name": "oak",
        "height": 3,
        "firstLeaf": {"colour": "red"},
        "leaves": [{}, {"shape": {"deep": 1}}],
        "tags": {"any": "thing"},
    }
    spec, unknown = parse_spec(Tree, raw)
    assert unknown == ["height", "firstLeaf.colour", "leaves[1].shape"]
    assert to_document(spec) == {"name": "oak", "tags": {"any": "thing"}, "firstLeaf": {}, "leaves": [{}, {}]}


# -- order and freezing


def test_fields_come_in_schema_order_and_maps_sorted() -> None:
    document = again({"tags": {"b": "1", "a": "2"}, "name": "x", "isGreen": True})
    assert list(document) == ["isGreen", "name", "tags"]
    assert list(document["tags"]) == ["a", "b"]


def test_a_spec_is_frozen() -> None:
    spec = read({"name": "oak", "tags": {"a": "1"}, "leaves": [{}]})
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "elm"
    with pytest.raises(TypeError):
        spec.tags["b"] = "2"
    assert isinstance(spec.leaves, tuple)


def test_a_spec_does_not_share_what_it_was_read_from() -> None:
    tags = {"a": "1"}
    spec = read({"tags": tags})
    tags["a"] = "2"
    assert spec.tags["a"] == "1"


# -- any input at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted(
    {
        word
        for spec in [
            *SPECS,
            *(Spec.__subclasses__()),
        ]
        for name, info in spec.model_fields.items()
        for word in (name, info.alias or name)
    }
)
NEARLY = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), NEARLY, max_size=5)


def _parsed_or_refused(spec: type[Spec], raw: dict[str, Any]) -> tuple[Spec | None, list[str]]:
    try:
        return parse_spec(spec, raw)
    except MalformedResource as error:
        problems = error.violations
    assert problems
    assert all(item.message for item in problems)
    return None, []


@settings(max_examples=300)
@given(st.sampled_from([*SPECS, Tree]), OBJECTS)
def test_any_json_is_read_or_refused_with_paths(spec: type[Spec], raw: dict[str, Any]) -> None:
    parsed, unknown = _parsed_or_refused(spec, raw)
    if parsed is None:
        return
    document = to_document(parsed)
    assert json.loads(json.dumps(document)) == document
    assert all(isinstance(path, str) for path in unknown)
    list(parsed.with_defaults().violations())


TEXT = st.text(max_size=6)
NONZERO = st.text(min_size=1, max_size=6)
TAGS = st.dictionaries(TEXT, TEXT, max_size=3)
PORT = st.integers(0, 2**32 - 1)
BIG = st.integers(0, 2**64 - 1).map(str) | st.integers(0, 2**64 - 1)
WHEN = st.datetimes(timezones=st.just(UTC)).map(format_timestamp)


def message(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def many(item: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(item, max_size=2)


DATAPLANES = message(
    networking=message(
        inbound=many(message(interface=TEXT, tags=TAGS)),
        outbound=many(message(interface=TEXT, service=TEXT, servicePort=PORT)),
        transparentProxying=message(redirectPort=PORT),
        gateway=message(tags=TAGS),
    )
)
STATS = message(responsesSent=BIG, responsesAcknowledged=BIG, responsesRejected=BIG)
INSIGHTS = message(
    subscriptions=many(
        message(
            id=TEXT,
            controlPlaneInstanceId=TEXT,
            connectTime=WHEN,
            disconnectTime=WHEN,
            status=message(lastUpdateTime=WHEN, total=STATS, cds=STATS, eds=STATS, lds=STATS, rds=STATS),
        )
    )
)
MESHES = message(
    mtls=message(
        enabled=st.booleans(),
        ca=st.dictionaries(NONZERO, st.dictionaries(TEXT, JSON, max_size=2), max_size=2),
    ),
    tracing=message(zipkin=message(address=TEXT)),
    logging=message(
        defaultBackend=TEXT,
        backends=many(message(name=TEXT, format=TEXT, file=message(path=TEXT), tcp=message(address=TEXT))),
    ),
)


@settings(max_examples=200)
@given(
    st.one_of(
        st.tuples(st.just(DataplaneSpec), DATAPLANES),
        st.tuples(st.just(InsightSpec), INSIGHTS),
        st.tuples(st.just(MeshSpec), MESHES),
        st.tuples(st.just(OverviewSpec), message(dataplane=DATAPLANES, dataplaneInsight=INSIGHTS)),
    )
)
def test_what_is_written_is_read_back_to_the_same(case: tuple[type[Spec], dict[str, Any]]) -> None:
    spec_class, raw = case
    spec, unknown = parse_spec(spec_class, raw)
    assert unknown == []
    document = to_document(spec)
    read_back, _ = parse_spec(spec_class, json.loads(json.dumps(document)))
    assert to_document(read_back) == document
    complete = to_document(spec.with_defaults())
    assert to_document(parse_spec(spec_class, complete)[0].with_defaults()) == complete
