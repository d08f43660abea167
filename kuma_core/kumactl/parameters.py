"""Flags that several commands share: repeatable texts and KEY=VALUE, durations, and --watch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

import click

from kuma_core.errors import KumaError


def texts(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> list[str]:
    """click callback: all texts of all values, split at the commas; quotes of CSV protect one."""
    return [text.strip() for value in values for text in next(csv.reader([value]), [])]


def key_values(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """click callback: all pairs of all values; a later one beats an earlier one.

    A value with a single ``=`` is one pair, whatever commas it has; with several it is split at the commas,
    where quotes of CSV protect one. Raises UsageError for a piece without ``=`` or without a key.
    """
    pieces = [piece for value in values for piece in _pieces(value)]
    pairs = [piece.partition("=") for piece in pieces]
    for piece, (key, equals, _) in zip(pieces, pairs, strict=True):
        if not equals or not key:
            flag = "/".join(param.opts)
            raise click.UsageError(f'invalid value "{piece}" for {flag}: want KEY=VALUE', ctx)
    return {key: value for key, _, value in pairs}


def some_texts(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> list[str]:
    """click callback: like ``texts``; raises UsageError for a flag that is given with nothing in it, as an unset
    variable of a shell leaves it."""
    found = texts(ctx, param, values)
    if values and not (found and all(found)):
        raise click.UsageError(f"{'/'.join(param.opts)} is given and empty", ctx)
    return found


def values_by_key(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, list[str]]:
    """click callback: like ``key_values``, with each value of a key that is given more than once.

    Raises UsageError for a flag with nothing in it, too.
    """
    found: dict[str, list[str]] = {}
    for value in values:
        for key, one in key_values(ctx, param, [value or "="]).items():
            found.setdefault(key, []).append(one)
    return found


def _pieces(value: str) -> list[str]:
    if value.count("=") == 1:
        return [value.strip('"')]
    return next(csv.reader([value]), [])


def watch_option(command: Any) -> Any:
    """Decorator: the flag ``-w``/``--watch`` as parameter ``watch``."""
    return click.option("-w", "--watch", is_flag=True, help="Go on, and show what changes.")(command)


def seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """A duration as seconds, more than none."""
    from kuma_core.durations import SECOND, parse_duration

    try:
        found = parse_duration(value) / SECOND
    except ValueError as error:
        raise KumaError(str(error)) from None
    if found <= 0:
        raise KumaError(f'"{value}" is no time to wait; use more than 0, as in 30s')
    return found
