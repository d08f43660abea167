"""What is written in a field comes back, whatever its type and its default; a type that cannot be kept is refused."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import pytest
from pydantic import BaseModel, Field

from kuma_core.errors import MalformedResource, Violation
from kuma_core.model import ResourceType
from kuma_core.sdk import Duration, Spec, Tags, Timestamp, UInt32, UInt64, parse_spec, to_document
from kuma_core.specs.comparison import first_difference
from kuma_core.specs.keepable import unkeepable

SECOND = 10**9


class Leaf(Spec):
    size: UInt32 = 0


class Wide(Spec):
    """Fields whose defaults are other than empty, and types within types."""

    enabled: bool = True
    repeat_count: UInt32 = 1
    big: UInt64 = 7
    text: str = "x"
    ratio: float = 0.5
    level: Literal["low", "high"] = "high"
    timeout: Duration = 5 * SECOND
    closed: bool | None = None
    limit: UInt32 | None = None
    title: str | None = None
    pause: Duration | None = None
    since: Timestamp | None = None
    pauses: dict[str, Duration] = Field(default_factory=dict)
    named: Mapping[str, UInt64] = Field(default_factory=dict)
    spans: tuple[tuple[Duration, ...], ...] = ()
    moments: list[Timestamp] = Field(default_factory=list)
    names: tuple[str, ...] = ("a", "b")
    words: Sequence[str] = ()
    pair: tuple[str, Duration] | None = None
    few: Annotated[tuple[UInt32, ...], Field(max_length=2)] = ()
    port: int | str = 0
    anything: Any = None
    leaf: Leaf = Leaf(size=3)
    leaves: dict[str, tuple[Leaf, ...]] = Field(default_factory=dict)
    children: tuple[Wide, ...] | None = None


def again(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What comes back for what was written, through JSON; the spec is then read as it was."""
    spec, unknown = parse_spec(Wide, raw)
    assert unknown == []
    document = to_document(spec)
    assert parse_spec(Wide, json.loads(json.dumps(document)))[0] == spec
    return document


@pytest.mark.parametrize(
    "raw",
    [
        {"enabled": False},
        {"repeatCount": 0},
        {"big": "0"},
        {"text": ""},
        {"ratio": 0.0},
        {"level": "low"},
        {"timeout": "0s"},
        {"closed": False},
        {"limit": 0},
        {"title": ""},
        {"pause": "0s"},
        {"port": ""},
        {"anything": False},
        {"anything": 0},
        {"anything": ""},
        {"names": []},
        {"leaf": {}},
    ],
    ids=str,
)
def test_an_explicit_zero_survives_unless_it_is_the_default(raw: dict[str, Any]) -> None:
    assert again(raw) == raw


@pytest.mark.parametrize(
    "raw",
    [
        {"enabled": True},
        {"repeatCount": 1},
        {"big": "7"},
        {"text": "x"},
        {"ratio": 0.5},
        {"level": "high"},
        {"timeout": "5000ms"},
        {"closed": None},
        {"port": 0},
        {"anything": None},
    ],
    ids=str,
)
def test_a_value_that_equals_the_default_is_not_written(raw: dict[str, Any]) -> None:
    assert again(raw) == {}


@pytest.mark.parametrize(
    "raw",
    [
        {"pause": "1.500s"},
        {"since": "2020-01-15T08:00:00Z"},
        {"pauses": {"a": "1s", "b": "0s"}},
        {"named": {"a": "18446744073709551615"}},
        {"spans": [["1s", "2s"], []]},
        {"moments": ["2020-01-15T08:00:00Z"]},
        {"names": ["c"]},
        {"words": ["c"]},
        {"pair": ["a", "2s"]},
        {"few": [0, 1]},
        {"port": "http"},
        {"port": 1},
        {"anything": {"a": [None, {"b": 1.5}]}},
        {"leaves": {"a": [{"size": 1}, {}], "b": []}},
        {"children": [{"pause": "1s", "children": [{"enabled": False}]}, {}]},
    ],
    ids=str,
)
def test_every_type_is_written_as_it_is_read_however_deep_it_lies(raw: dict[str, Any]) -> None:
    assert again(raw) == raw


def test_one_is_not_true() -> None:
    class Any1(Spec):
        value: Any = 1

    assert to_document(parse_spec(Any1, {"value": True})[0]) == {"value": True}


def test_a_required_field_is_always_written() -> None:
    class Needed(Spec):
        text: str
        count: UInt32

    spec, _ = parse_spec(Needed, {"text": "", "count": 0})
    assert to_document(spec) == {"text": "", "count": 0}
    with pytest.raises(MalformedResource, match="count: is required"):
        parse_spec(Needed, {"text": ""})


# -- what is told


def test_unknown_fields_are_told_wherever_they_lie() -> None:
    raw = {
        "leaves": {"a": [{}, {"colour": 1}]},
        "children": [{"leaf": {"shape": 1}}],
        "anything": {"x": 1},
        "tags": 1,
    }
    assert parse_spec(Wide, raw)[1] == [
        'leaves["a"][1].colour',
        "children[0].leaf.shape",
        "tags",
    ]


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        ({"pauses": {"a": "soon"}}, 'pauses["a"]', '"soon" is not a duration'),
        ({"spans": [["1s"], ["x"]]}, "spans[1][0]", '"x" is not a duration'),
        ({"spans": ["1s"]}, "spans[0]", 'expected a list, got "1s"'),
        ({"names": {}}, "names", "expected a list"),
        ({"moments": "x"}, "moments", 'expected a list, got "x"'),
        ({"pair": ["a", 5]}, "pair[1]", "expected a duration in quotes"),
        ({"leaves": {"a": [{"size": "x"}]}}, 'leaves["a"][0].size', 'expected a whole number, got "x"'),
        ({"leaves": {"a": {}}}, 'leaves["a"]', "expected a list"),
        ({"children": [{"leaf": {"size": -1}}]}, "children[0].leaf.size", "has to be at least 0, got -1"),
        ({"limit": "x"}, "limit", 'expected a whole number, got "x"'),
    ],
)
def test_a_wrong_value_is_told_with_its_path(raw: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(MalformedResource) as caught:
        parse_spec(Wide, raw)
    (violation,) = caught.value.violations
    assert violation.field == field
    assert message in violation.message


def test_a_choice_of_types_is_told_under_the_name_of_its_field() -> None:
    with pytest.raises(MalformedResource) as caught:
        parse_spec(Wide, {"port": []})
    assert caught.value.violations == (
        Violation("port", "expected a whole number"),
        Violation("port", "expected text"),
    )


# -- where two specs differ


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ({}, {}, ""),
        ({"enabled": False}, {}, "enabled"),
        ({"leaves": {"a": [{"size": 1}]}}, {"leaves": {"a": [{"size": 2}]}}, 'leaves["a"][0].size'),
        ({"spans": [["1s"], []]}, {"spans": [["1s"]]}, "spans"),
        ({"leaves": {"a": []}}, {"leaves": {"b": []}}, "leaves"),
        ({"pause": "0s"}, {}, "pause"),
    ],
    ids=str,
)
def test_the_first_difference_is_told(one: dict[str, Any], other: dict[str, Any], path: str) -> None:
    assert first_difference(parse_spec(Wide, one)[0], parse_spec(Wide, other)[0]) == path


def test_a_list_for_a_tuple_is_no_difference() -> None:
    assert first_difference(Wide().model_copy(update={"names": ["a", "b"]}), Wide()) == ""


# -- what cannot be kept


def kind(spec: Any, **more: Any) -> ResourceType:
    return ResourceType("Thing", "things", spec, "thing", **more)


class Colour(enum.Enum):
    RED = "red"


class Foreign(BaseModel):
    text: str = ""


@pytest.mark.parametrize("spec", [Wide, Leaf])
def test_supported_types_are_taken(spec: type[Spec]) -> None:
    assert unkeepable(kind(spec)) == []


@pytest.mark.parametrize(
    ("type_", "told"),
    [
        (datetime.datetime, "the type datetime is not supported; use Timestamp"),
        (datetime.timedelta, "the type timedelta is not supported; use Duration"),
        (datetime.date, "the type date is not supported; use Timestamp"),
        (bytes, "the type bytes is not supported; use str, with a text in base64"),
        (set[str], "the type set[str] is not supported; use tuple[X, ...]"),
        (frozenset[str], "the type frozenset[str] is not supported; use tuple[X, ...]"),
        (decimal.Decimal, "the type Decimal is not supported; supported are bool, int"),
        (Path, "the type Path is not supported"),
        (Colour, "the type Colour is not supported; use Literal"),
        (Foreign, "the type Foreign is not supported; derive it from Spec"),
        (dict[int, str], "the type dict[int, str] is not supported"),
        (Leaf | Wide, "is not supported"),
        pytest.param(Duration | str, "is not supported", id="Duration | str"),  # its own text has addresses
        (complex | None, "the type complex is not supported"),
        (dict[str, bytes], "the type bytes is not supported"),
        (tuple[tuple[set[int], ...], ...], "the type set[int] is not supported"),
        (tuple[str, bytes], "the type bytes is not supported"),
    ],
    ids=str,
)
def test_a_type_that_is_not_supported_is_refused_with_its_name(type_: Any, told: str) -> None:
    spec = type(
        "Odd", (Spec,), {"__annotations__": {"my_field": type_}, "my_field": None, "__module__": __name__}
    )
    (problem,) = unkeepable(kind(spec))
    assert problem.startswith("myField: ")
    assert told in problem


def test_it_is_found_however_deep_it_lies() -> None:
    class Deep(Spec):
        when: datetime.date | None = None

    class Middle(Spec):
        deep: dict[str, tuple[Deep, ...]] = {}
        again: tuple[Middle, ...] = ()

    class Top(Spec):
        middle: Middle | None = None

    Middle.model_rebuild(_types_namespace={"Middle": Middle, "Deep": Deep})
    (problem,) = unkeepable(kind(Top))
    assert problem.startswith("middle.deep.when: the type date is not supported")


@pytest.mark.parametrize("name", ["name", "mesh", "type", "Type"])
def test_the_names_of_the_meta_are_taken(name: str) -> None:
    spec = type("Odd", (Spec,), {"__annotations__": {name: str}, name: "", "__module__": __name__})
    (problem,) = unkeepable(kind(spec))
    assert "this name is taken in every resource" in problem


def test_names_that_do_not_agree_are_refused() -> None:
    class ReadOtherwise(Spec):
        text: str = Field(default="", validation_alias="words")

    class TwoOfOne(Spec):
        my_text: str = ""
        other: str = Field(default="", alias="myText")

    assert "read as 'words'" in unkeepable(kind(ReadOtherwise))[0]
    assert unkeepable(kind(TwoOfOne)) == ["myText: my_text has this name too; rename one of them"]


def test_what_takes_any_field_is_refused() -> None:
    class Loose(Spec, extra="allow"):
        text: str = ""

    assert 'extra="allow"' in unkeepable(kind(Loose))[0]


def test_what_is_no_spec_is_refused() -> None:
    assert "is no subclass of Spec" in unkeepable(kind(Foreign))[0]
    assert "is no subclass of Spec" in unkeepable(kind("Leaf"))[0]


def test_a_spec_with_a_form_of_its_own_is_its_own_affair_unless_rest_shows_it() -> None:
    class Own(Spec):
        value: bytes = b""

        @classmethod
        def from_stored(cls, document: Any) -> Own:
            return cls(value=document.encode())

        def to_stored(self) -> Any:
            return self.value.decode()

    assert unkeepable(kind(Own, served=False)) == []
    assert unkeepable(kind(Own)) != []


Name = NewType("Name", str)


def test_names_of_types_are_taken_for_what_they_stand_for() -> None:
    class Named(Spec):
        tags: Tags = Field(default_factory=dict)
        names: tuple[Name, ...] = ()

    assert unkeepable(kind(Named)) == []
    assert to_document(parse_spec(Named, {"names": ["a"]})[0]) == {"names": ["a"]}
