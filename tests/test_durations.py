"""Go's notation for durations, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.durations import HOUR, MILLISECOND, MINUTE, SECOND, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("1h30m", 90 * MINUTE),
        ("500ms", 500 * MILLISECOND),
        ("1.5s", 1500 * MILLISECOND),
        (".5s", 500 * MILLISECOND),
        ("1.s", SECOND),
        ("-5s", -5 * SECOND),
        ("+5s", 5 * SECOND),
        ("250us", 250_000),
        ("250\u00b5s", 250_000),
        ("250\u03bcs", 250_000),
        ("10ns", 10),
        ("1.9ns", 1),
        ("1m1m", 2 * MINUTE),
        ("0.333333333333333333h", 1_199_999_999_999),
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_parse(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-",
        ".",
        ".s",
        "1 s",
        " 1s",
        "1s ",
        "1s\n",
        "1d",
        "1S",
        "1e3s",
        "--1s",
        "1s-1s",
        "٣s",
        "1,5s",
    ],
)
def test_what_is_no_duration_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration") as caught:
        parse_duration(text)
    assert str(caught.value) == (
        f'"{text}" is not a duration; write numbers with units, as in 500ms, 1.5s or 1h30m '
        "(the units are ns, us, ms, s, m and h)"
    )


@pytest.mark.parametrize("text", ["2562047h47m16.854775808s", "9999999999999h"])
def test_what_is_too_long_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="too long; the longest is about 292 years"):
        parse_duration(text)


def test_a_huge_text_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="is not a duration") as caught:
        parse_duration("1" * 1_000_000 + "s")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1\u00b5s"),
        (2_200_000, "2.2ms"),
        (500 * MILLISECOND, "500ms"),
        (1500 * MILLISECOND, "1.5s"),
        (90 * SECOND, "1m30s"),
        (HOUR, "1h0m0s"),
        (5 * MINUTE + 1, "5m0.000000001s"),
        (-5 * SECOND, "-5s"),
        (100 * SECOND, "1m40s"),
        (2**63 - 1, "2562047h47m16.854775807s"),
    ],
)
def test_format(nanoseconds: int, expected: str) -> None:
    assert format_duration(nanoseconds) == expected


@given(st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1))
def test_what_is_written_is_read_back(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.text(alphabet="0123456789.hmsnu\u00b5-+ ", max_size=12))
def test_parsing_gives_a_number_or_a_value_error(text: str) -> None:
    try:
        nanoseconds = parse_duration(text)
    except ValueError:
        return
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds
