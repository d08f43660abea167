"""Bounds: one range, in the violation, in OpenAPI, and for whoever has to keep an older document within it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from kuma_core.durations import parse_duration
from kuma_core.specs.base import Duration, Spec, UInt32, parse_spec
from kuma_core.specs.bounds import PERIOD, PORT, Between, out_of_bounds, plain_duration
from kuma_core.specs.dataplane import DataplaneSpec


class Clock(Spec):
    """A field of each type that bounds are for, and one without."""

    tick_interval: Annotated[Duration, PERIOD] = 0
    admin_port: Annotated[UInt32, PORT] = 0
    hands: Annotated[UInt32, Between(2, 3)] = 0
    free: UInt32 = 0


def problems(**raw: Any) -> list[tuple[str, str]]:
    return [(item.field, item.message) for item in out_of_bounds(parse_spec(Clock, raw)[0], "clock")]


@pytest.mark.parametrize("period", ["0", "1ms", "1s", "8760h"])
def test_what_is_within_or_absent_is_fine(period: str) -> None:
    assert problems(tickInterval=period, adminPort=65535, hands=2, free=2**32 - 1) == []


@pytest.mark.parametrize("period", ["1ns", "999999ns", "8760h0m0.000000001s", "9223372036s"])
def test_a_duration_out_of_bounds_is_told_with_its_range(period: str) -> None:
    assert problems(tickInterval=period) == [("clock.tickInterval", "has to be in range of [1ms, 8760h]")]


def test_numbers_too() -> None:
    assert problems(adminPort=65536, hands=1) == [
        ("clock.adminPort", "has to be in range of [0, 65535]"),
        ("clock.hands", "has to be in range of [2, 3]"),
    ]


def test_the_schema_has_the_same_bounds() -> None:
    schema = Clock.model_json_schema(by_alias=True)["properties"]
    assert schema["tickInterval"]["type"] == "string"
    assert schema["tickInterval"]["description"] == "In the range of [1ms, 8760h]."
    assert (schema["adminPort"]["minimum"], schema["adminPort"]["maximum"]) == (0, 65535)
    assert (schema["hands"]["minimum"], schema["hands"]["maximum"]) == (2, 3)


def test_every_port_of_a_dataplane_is_bounded() -> None:
    definitions = DataplaneSpec.model_json_schema(by_alias=True)["$defs"]
    assert definitions["Prometheus"]["properties"]["port"]["maximum"] == 65535
    assert definitions["TransparentProxying"]["properties"]["redirectPort"]["maximum"] == 65535


def test_the_nearest_value_within() -> None:
    assert [PERIOD.clamp(value) for value in (1, PERIOD.least, PERIOD.most, 2**62)] == [
        PERIOD.least,
        PERIOD.least,
        PERIOD.most,
        PERIOD.most,
    ]


@pytest.mark.parametrize(
    "text", ["8760h", "1h30m", "1h0m5s", "10m", "10s", "1.5s", "100ms", "0s", "1ns", "20h"]
)
def test_a_duration_without_trailing_zeros(text: str) -> None:
    assert plain_duration(parse_duration(text)) == text
