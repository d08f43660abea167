"""``--dry-run`` of apply and delete: the flag, and what a write would do to the proxies, in words.

Bare it validates; ``--dry-run=xds`` asks the control plane, which computes the difference and stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import Command
from kuma_core.kumactl.output import dump
from kuma_core.kumactl.session import warn
from kuma_core.model import Scope

if TYPE_CHECKING:
    from kuma_core.kumactl.kinds import Kind

FLAG = "--dry-run"
VALIDATE, XDS = "validate", "xds"
"""The values of the parameter ``dry_run``; it is empty where the flag was not given."""


class DryRunCommand(Command):
    """A command whose ``--dry-run`` takes a value behind ``=`` only, so a bare one swallows no other word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        valued = [f"{FLAG}=true" if arg == FLAG else arg for arg in args[:end]]
        return super().parse_args(ctx, [*valued, *args[end:]])


def dry_run_option(bare: str) -> Callable[[Any], Any]:
    """Decorator: the flag ``--dry-run`` as parameter ``dry_run``; ``bare`` is what it does without a value."""
    return click.option(
        FLAG,
        metavar="[=xds]",
        callback=_chosen,
        help=f"{bare}; with =xds tell which proxies would change, and how.",
    )


def _chosen(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    if value is None or value == XDS:
        return value or ""
    try:
        if value.strip():  # to click an empty text is false; here it is a variable of a shell that is not set
            return VALIDATE if click.BOOL.convert(value, param, ctx) else ""
    except click.BadParameter:
        pass
    forms = f"use {FLAG} to check only, or {FLAG}=xds to see which proxies would change"
    raise click.UsageError(f'invalid value "{value}" for {FLAG}: {forms}', ctx)


def check_output(output: str, dry_run: str) -> None:
    """Raise UsageError for an output format where there is nothing to format."""
    if output != "table" and dry_run != XDS:
        message = f"-o {output} is for {FLAG}=xds only: nothing else has an answer to print"
        raise click.UsageError(message, click.get_current_context())


class Report:
    """Prints the answers of dry runs: a table's lines as they come, documents at the end.

    ``verb`` is what would be done (``apply``, ``delete``); ``say`` prints.
    """

    def __init__(self, verb: str, output: str, say: Callable[[str], Any]) -> None:
        self._verb, self._output, self._say = verb, output, say
        self._answers: list[dict[str, Any]] = []

    def add(self, kind: Kind, mesh: str, name: str, answer: Mapping[str, Any]) -> None:
        """Take the answer about a resource; raises Unreachable for one that kumactl does not know."""
        from kuma_core.kumactl.client import known_shape
        from kuma_core.visible import printable

        with known_shape(f'the dry run of {kind.name} "{name}"'):
            lines = [printable(line) for line in (*_lines(answer["proxies"]), *_limits(answer))]
            warnings = [printable(text) for text in answer["warnings"]]
        for text in warnings:
            warn(text)
        where = {"mesh": mesh} if kind.scope is Scope.MESH else {}
        self._answers.append({"resource": {"type": kind.name, **where, "name": name}, **answer})
        if self._output == "table":
            self._say("\n".join([f'would {self._verb} {kind.name} "{name}": {lines[0]}', *lines[1:]]))

    def end(self) -> None:
        """Print what is printed in one piece."""
        if self._output != "table":
            self._say(dump({"answers": self._answers}, self._output))


def _lines(proxies: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How many proxies change, then each with its changes."""
    yield _count(proxies)
    for proxy in proxies:
        yield f"  {proxy['name']} in mesh {proxy['mesh']}"
        if proxy.get("problem"):
            yield f"    problem: {proxy['problem']}"
        for change in proxy.get("changes", []):
            yield f"    {change['op']} {change['type']} {change['name']}"
            if "diff" in change:
                yield from (f"      {line}" for line in change["diff"].split("\n"))


def _limits(answer: Mapping[str, Any]) -> Iterator[str]:
    """What the control plane did not look at, or did not tell; earlier ones do not say."""
    examined = answer.get("examined")
    if not examined:
        return
    changed = sum(not proxy.get("problem") for proxy in answer["proxies"])
    if examined["detailed"] < changed:
        yield f"  what differs is shown for the first {examined['detailed']} proxies"
    if examined["dataplanes"] < examined["of"]:
        yield (
            f"  only {examined['dataplanes']} of {examined['of']} dataplanes were examined before the time was over; "
            "what changes for the others is not known"
        )


def _count(proxies: Sequence[Mapping[str, Any]]) -> str:
    troubled = sum(bool(proxy.get("problem")) for proxy in proxies)
    changed = len(proxies) - troubled
    said = "1 proxy changes" if changed == 1 else f"{changed or 'no'} proxies change"
    return said + (f", {troubled} could not be configured" if troubled else "")
