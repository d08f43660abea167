"""Walks through all commands of a program, those of plugins too."""

from __future__ import annotations

from collections.abc import Iterator

import click


def every_command(root: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Every command, the root first, with what one types for it."""
    ctx = root.make_context(root.name, [], resilient_parsing=True)
    yield from _from(ctx)


def _from(ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    yield ctx.command_path, ctx.command
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            child = ctx.command.get_command(ctx, name)
            assert child is not None, f"{ctx.command_path} lists {name}, and does not have it"
            yield from _from(child.make_context(name, [], parent=ctx, resilient_parsing=True))
