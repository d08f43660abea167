"""Warnings that come along with an answer, good or bad, in ``Warning`` headers (RFC 7234, 5.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import falcon

from kuma_core.errors import Violation

MAX_WARNINGS = 20
"""More headers than a hundred are too many for some clients."""
MAX_WARNING_LENGTH = 300


def tell_if_refused(req: falcon.Request, texts: Sequence[str]) -> None:
    """Have these texts come along with whatever error the request ends with."""
    req.context.warnings = texts


def told_if_refused(req: falcon.Request) -> Sequence[str]:
    """What ``tell_if_refused`` was given last."""
    return getattr(req.context, "warnings", ())


def warning_texts(unknown: Iterable[str], warnings: Iterable[Violation] = ()) -> list[str]:
    """What was dropped, by its path, and what the rules warn of."""
    return [f'unknown field "{path}" is ignored' for path in unknown] + [
        f"{warning.field}: {warning.message}" for warning in warnings
    ]


def add_warnings(resp: falcon.Response, texts: Sequence[str]) -> None:
    """A header for each text, at most ``MAX_WARNINGS``, of which the last says how many more there are."""
    if len(texts) > MAX_WARNINGS:
        more = len(texts) - MAX_WARNINGS + 1
        texts = [*texts[: MAX_WARNINGS - 1], f"and {more} more warnings"]
    for text in texts:
        resp.append_header("Warning", f'299 - "{_quotable(text)}"')


def _quotable(text: str) -> str:
    """Text that may stand in a header between quotes."""
    printable = "".join(character if character.isprintable() else "?" for character in text)
    plain = printable.encode("ascii", "backslashreplace").decode("ascii")
    return plain[:MAX_WARNING_LENGTH].replace("\\", "\\\\").replace('"', '\\"')
