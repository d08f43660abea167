"""Whether the clocks of two machines agree: certificates and tokens hold only where they do.

Only the standard library is used here.
"""

from __future__ import annotations

from datetime import UTC

from kuma_core.durations import SECOND, format_duration

TOLERATED_SECONDS = 60.0


def http_date(moment: float) -> str:
    """Seconds since 1970 as HTTP's header ``Date`` has them."""
    from email.utils import formatdate

    return formatdate(moment, usegmt=True)


def difference(date: str | None, ours: float) -> str:
    """How far the clock that wrote a header ``Date`` is from ours, as in ``2h0m0s ahead``; empty if that does not
    matter, or cannot be known."""
    from email.utils import parsedate_to_datetime

    try:
        read = parsedate_to_datetime(date or "")
        theirs = read if read.tzinfo else read.replace(tzinfo=UTC)
        return apart(theirs.timestamp(), ours)
    except (ValueError, TypeError, OverflowError):
        return ""


def apart(theirs: float, ours: float) -> str:
    """How far a clock is from ours, in words; empty if the difference does not matter."""
    seconds = round(theirs - ours)
    if abs(seconds) <= TOLERATED_SECONDS:
        return ""
    return f"{format_duration(abs(seconds) * SECOND)} {'ahead' if seconds > 0 else 'behind'}"
