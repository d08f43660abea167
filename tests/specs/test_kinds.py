"""The kernel's kinds keep what is written in them; and the suite that says so finds kinds that do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import pytest
from hypothesis import strategies as st
from pydantic import AfterValidator, BeforeValidator, Field

from kuma_core.model import ResourceType
from kuma_core.sdk import Duration, Spec, Tags, Timestamp, UInt32, UInt64, Violation
from kuma_core.testing.kinds import KindSuite
from kuma_core.testing.platform import make_catalog


class TestOwnKinds(KindSuite):
    kinds = make_catalog([]).kinds


class Leaf(Spec):
    size: UInt32
    open: bool | None = None


class EverythingSpec(Spec):
    """A field of every type that there is."""

    enabled: bool = True
    count: UInt32 = 1
    big: UInt64 = 7
    text: str = "x"
    ratio: float = 0.5
    level: Literal["low", "high", 3] = "low"
    pause: Duration | None = None
    timeout: Duration = 5_000_000_000
    since: Timestamp | None = None
    pauses: dict[str, Duration] = Field(default_factory=dict)
    spans: tuple[tuple[Duration, ...], ...] | None = None
    names: tuple[str, ...] = ("a",)
    numbers: list[int] = Field(default_factory=list)
    pair: tuple[str, Duration] | None = None
    port: int | str = 80
    tags: Tags = Field(default_factory=dict)
    anything: Any = None
    leaf: Leaf | None = None
    leaves: dict[str, tuple[Leaf, ...]] = Field(default_factory=dict)
    children: tuple[EverythingSpec, ...] = ()
    code: Annotated[str, Field(pattern="^[a-z]{2,3}$")] | None = None
    few: Annotated[tuple[UInt32, ...], Field(min_length=1, max_length=2)] = (1,)


class TestEveryType(KindSuite):
    kinds = iter([ResourceType("Everything", "everythings", EverythingSpec, "everything")])


# -- what the suite finds


class GrowsSpec(Spec):
    text: Annotated[str, AfterValidator(lambda text: text + "!")] = ""


class LosesSpec(Spec):
    text: str = ""
    count: UInt32 = 1

    def to_stored(self) -> Any:
        return {key: value for key, value in super().to_stored().items() if value}


class FillsInSpec(Spec):
    count: UInt32 = 1

    def with_defaults(self) -> Self:
        return self.model_copy(update={"count": self.count + 1})


class RaisesSpec(Spec):
    names: tuple[str, ...] = ()

    def violations(self) -> Iterator[Violation]:
        yield Violation("names", f"begins with {self.names[0]}")


def _odd(value: Any) -> Any:
    return value.lower()


class OddSpec(Spec):
    text: Annotated[str, BeforeValidator(_odd)] = ""


def _only_one(value: str) -> str:
    if value != "the only one":
        raise ValueError("is not the only one")
    return value


class PickySpec(Spec):
    text: Annotated[str, AfterValidator(_only_one)]


def suite(spec: type[Spec], **values: Any) -> tuple[KindSuite, ResourceType]:
    made = type("Made", (KindSuite,), {"values": values})()
    return made, ResourceType("Thing", "things", spec, "thing")


@pytest.mark.parametrize(
    ("spec", "test", "told"),
    [
        (GrowsSpec, "what_is_written_is_read_again", "text would come back with another value"),
        (LosesSpec, "what_is_written_is_read_again", "count would come back with another value"),
        (FillsInSpec, "what_the_system_fills_in_is_filled_in_once", "with_defaults"),
        (RaisesSpec, "every_rule_can_be_asked", "index out of range"),
        (OddSpec, "any_json_is_read_or_refused", "no attribute 'lower'"),
        (PickySpec, "what_is_written_is_read_again", "is not the only one.*Say in `values` what to make up"),
    ],
)
def test_the_suite_finds(spec: type[Spec], test: str, told: str) -> None:
    made, kind = suite(spec)
    with pytest.raises(Exception, match=told):
        getattr(made, f"test_{test}")(kind)


def test_values_of_a_field_may_be_told() -> None:
    made, kind = suite(PickySpec, **{"PickySpec.text": st.just("the only one")})
    made.test_what_is_written_is_read_again(kind)
