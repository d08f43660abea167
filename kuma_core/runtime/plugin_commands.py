"""``kuma-cp plugins``: what is installed, what each brings, and which of them a running control plane calls no more."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError, PluginError
from kuma_core.plugin.loader import Plugin, State
from kuma_core.runtime.config_commands import file_option
from kuma_core.runtime.configuration import read_config
from kuma_core.runtime.plugin_choice import chosen, libraries, plugins_option

QUARANTINED = "quarantined"
"""The state of a plugin that is loaded, and that the control plane which runs here calls no more."""

ANSWER_SECONDS = 5.0
MOST_BYTES = 1024 * 1024


class _Listing(Group):
    """Alone it lists, and prints no help."""

    def invoke(self, ctx: click.Context) -> Any:
        return click.Group.invoke(self, ctx)


@click.group("plugins", cls=_Listing, help="List the installed plugins and what each brings.")
@plugins_option
@file_option
@click.option("--output", "-o", type=click.Choice(["table", "json"]), default="table", help="Output format.")
@click.pass_context
def plugins(ctx: click.Context, plugins: str | None, config_file: str | None, output: str) -> None:
    if ctx.invoked_subcommand is not None:
        return
    rows = describe(chosen(plugins, os.environ))
    barred = _quarantined(config_file)
    for row in rows:
        if row["state"] == State.LOADED.value and row["name"] in barred:
            row |= {"state": QUARANTINED, "problem": barred[row["name"]]}
    click.echo(json.dumps({"plugins": rows}, indent=2) if output == "json" else _table(rows))


@plugins.command("release", help="Have the control plane that runs here call a plugin in quarantine again.")
@click.argument("name")
@file_option
@click.pass_context
def release(ctx: click.Context, name: str, config_file: str | None) -> None:
    path = config_file or (ctx.parent.params.get("config_file") if ctx.parent else None)
    url = _admin_url(path)
    status, body = _exchange("DELETE", f"{url}/{quote(name.replace('-', '_'), safe='')}")
    if status == 0:
        raise KumaError(
            f"no control plane answers at {url}: {body}. Say by --config-file which one runs here"
        )
    if status != 200:
        raise KumaError(str(_details(body)))
    click.echo(f"called again: {name}")


def _quarantined(config_file: str | None) -> Mapping[str, str]:
    """The plugins in quarantine and why, as the control plane on this machine tells; nothing if none answers."""
    try:
        status, body = _exchange("GET", _admin_url(config_file))
        items = json.loads(body)["items"] if status == 200 else []
        return {str(item["name"]): str(item["reason"]) for item in items}
    except (KumaError, ValueError, LookupError, TypeError):
        return {}


def _admin_url(config_file: str | None) -> str:
    """Where the admin server of the control plane on this machine is; raises ``ConfigError``."""
    with libraries():
        from kuma_core.builtin import FEATURES
        from kuma_core.plugin.catalog import build_catalog

    config = read_config(build_catalog(FEATURES, []), config_file, os.environ)
    return f"http://127.0.0.1:{config.number('adminServer.local.port')}/plugins/quarantine"


def _exchange(method: str, url: str) -> tuple[int, str]:
    """The status and the body of an answer; 0 and the reason if there is none."""
    from kuma_core.http_client import HttpFailure, Rules, exchange

    try:
        answer = exchange(method, url, {}, None, Rules(ANSWER_SECONDS, MOST_BYTES))
    except HttpFailure as error:
        return 0, str(error)
    return answer.status, answer.text()


def _details(body: str) -> str:
    try:
        return str(json.loads(body)["details"])
    except (ValueError, LookupError, TypeError):
        return body[:200]


def describe(plugins: list[Plugin]) -> list[dict[str, Any]]:
    """What ``kuma-cp plugins`` shows of each plugin. One that breaks when it is asked is shown as broken."""
    with libraries():
        from kuma_core.builtin import FEATURES
        from kuma_core.plugin.catalog import build_catalog

    rows: list[dict[str, Any]] = []
    for plugin in plugins:
        state, problem = plugin.state, plugin.problem
        provides: tuple[str, ...] = ()
        if state is State.LOADED:
            try:
                provides = build_catalog(FEATURES, [plugin]).provides[plugin.name]
            except PluginError as error:
                state, problem = State.BROKEN, str(error)
        rows.append(
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "state": state.value,
                "provides": list(provides),
                "problem": problem,
            }
        )
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    header = ("NAME", "DISTRIBUTION", "VERSION", "STATE", "PROVIDES")
    cells = [header] + [
        (
            row["name"],
            row["distribution"],
            row["version"],
            row["state"],
            row["problem"] or ", ".join(row["provides"]),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) + 3 for column in range(len(header) - 1)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) + line[-1]
        for line in cells
    )
