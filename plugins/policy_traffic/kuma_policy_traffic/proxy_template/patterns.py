"""Regular expressions, which Envoy reads with the library RE2: here the same one reads them at the write."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

MOST_SHOWN = 100


@cache
def _options() -> Any:
    """As Envoy has them: its expressions are of bytes, so that a dot is one, and ``\\pL`` not 1 200 instructions."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False  # it would write them on stderr
    return options


LARGEST_PROGRAM = 100
"""What Envoy takes, in RE2's own measure, where neither its runtime nor the expression says more."""


def pattern_problems(matcher: Any) -> Iterator[tuple[str, str]]:
    """What Envoy has against the expression of a ``RegexMatcher``; RE2 knows no looking around, for example."""
    import re2  # loaded for templates with expressions alone

    try:
        size = re2.compile(matcher.regex.encode(), _options()).programsize
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        yield "regex", f"is no expression of RE2: {reason:.{MOST_SHOWN}}"
        return
    most = _largest(matcher)
    if size > most:
        yield (
            "regex",
            f"is too large: {size} in the measure of RE2, of which Envoy takes {most}; repeat less, or match less",
        )


def _largest(matcher: Any) -> int:
    own = matcher.google_re2.max_program_size if matcher.google_re2 else None
    return LARGEST_PROGRAM if own is None else int(own)
