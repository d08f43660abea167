"""What is said of a clock that differs from ours."""

from __future__ import annotations

import pytest

from kuma_core.clocks import apart, difference, http_date

NOON = 1_700_000_000.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, ""),
        (59.9, ""),
        (-60, ""),
        (61, "1m1s ahead"),
        (-61, "1m1s behind"),
        (7200, "2h0m0s ahead"),
        (-86400 * 400, "9600h0m0s behind"),
    ],
)
def test_a_difference_of_more_than_a_minute_is_told(seconds: float, said: str) -> None:
    assert apart(NOON + seconds, NOON) == said
    assert difference(http_date(NOON + seconds), NOON) == said


@pytest.mark.parametrize("date", [None, "", "yesterday", "Tue, 99 Nov 2023 22:13:20 GMT", "\x00", "0" * 5000])
def test_what_is_no_date_tells_nothing(date: str | None) -> None:
    assert difference(date, NOON) == ""
