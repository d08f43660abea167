"""``kumactl get audit``: the latest writes and denials that a control plane remembers, for admins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from kuma_core.errors import KumaError
from kuma_core.kumactl.output import dump
from kuma_core.kumactl.session import Session

WORDS = ("audit",)
HEADERS = ("TIME", "RESULT", "USER", "BY", "ADDRESS", "WHAT", "WHY")


def show_audit(session: Session, name: str | None, output: str, watch: bool) -> None:
    """Print the lines, the newest first."""
    if name or watch:
        raise KumaError(
            "the audit is a list: `kumactl get audit`, with -o json or -o yaml for all that is known"
        )
    from kuma_core.kumactl.lists import fetch_items, items_of

    value = fetch_items(session.client(), "/audit", "failed to list the audit")
    if output != "table":
        click.echo(dump(value, output))
        return
    from kuma_core.kumactl.table import layout

    click.echo(layout(HEADERS, [_row(item) for item in items_of(value)]))


def _row(item: dict[str, Any]) -> Sequence[str]:
    said = [item.get(name, "") for name in ("time", "result", "user", "by", "address")]
    return [*map(str, said), _what(item), str(item.get("problem") or item.get("binding") or "")[:100]]


def _what(item: dict[str, Any]) -> str:
    if "kind" in item:
        place = "/".join(str(item[name]) for name in ("mesh", "name") if name in item)
        return f"{item['kind']} {place}".strip()
    return str(item.get("asked") or f"{item.get('method', '')} {item.get('path', '')}".strip())
