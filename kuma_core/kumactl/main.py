"""Where kumactl starts: the tuple of its commands and the root that imports only the one that was asked for.

A new command is one line in ``COMMANDS`` and a module of its own. Plugins add others by ``kuma_register_commands``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, cast

import click

from kuma_core.commandline import Group, add_help_command, run
from kuma_core.kumactl.session import add_global_flags

if TYPE_CHECKING:
    from kuma_core.kumactl.output import Render

COMMANDS: tuple[tuple[str, str], ...] = (
    ("analyze", "kuma_core.kumactl.services:analyze"),
    ("apply", "kuma_core.kumactl.apply:apply"),
    ("auth", "kuma_core.kumactl.auth:auth"),
    ("completion", "kuma_core.kumactl.completion:completion"),
    ("config", "kuma_core.kumactl.config_commands:config"),
    ("delete", "kuma_core.kumactl.delete:delete"),
    ("explain", "kuma_core.kumactl.explain:explain"),
    ("export", "kuma_core.kumactl.export:export"),
    ("generate", "kuma_core.kumactl.generate:generate"),
    ("get", "kuma_core.kumactl.get:get"),
    ("import", "kuma_core.kumactl.import_command:import_"),
    ("inspect", "kuma_core.kumactl.inspect_commands:inspect"),
    ("install", "kuma_core.kumactl.install:install"),
    ("manage", "kuma_core.kumactl.manage:manage"),
    ("retire", "kuma_core.kumactl.signing_keys:retire"),
    ("revoke", "kuma_core.kumactl.revoke:revoke"),
    ("rotate", "kuma_core.kumactl.signing_keys:rotate"),
    ("version", "kuma_core.kumactl.version:version"),
    ("wait", "kuma_core.kumactl.wait:wait"),
)
"""Every first-level command and where it is found, as ``module:attribute``."""


class _Root(Group):
    """The root command; a sub-command's module is imported when the command is looked up."""

    formats: Callable[[str], Render]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*dict(COMMANDS), *super().list_commands(ctx)})

    def own_command(self, ctx: click.Context, name: str) -> click.Command | None:
        place = dict(COMMANDS).get(name)
        if place is None:
            return super().own_command(ctx, name)
        module, attribute = place.split(":")
        command = cast(click.Command, getattr(importlib.import_module(module), attribute))
        add_global_flags(command)
        return command


def build() -> click.Group:
    """The whole command tree, new at every call."""
    root = _Root("kumactl", help="Manage the control plane of a service mesh.")
    root.added, root.formats = _of_plugins, _format_of_plugins
    add_global_flags(root)
    add_help_command(root)
    return root


def _of_plugins(ctx: click.Context) -> Mapping[str, click.Command]:
    """What plugins add to a group of commands; nothing of them is imported for a command of kumactl itself."""
    from kuma_core.plugin.commands import added

    return added(ctx, finish=add_global_flags)


def _format_of_plugins(name: str) -> Render:
    """What makes texts in a format that a plugin adds. Raises KumaError."""
    from kuma_core.plugin.formats import find

    return find(name)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run kumactl with ``argv`` (default: what was typed) and exit with 0 or 1."""
    run(build(), argv)
