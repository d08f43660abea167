"""The table of ``kumactl inspect xds``: what a dataplane would get, and what its streams made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from kuma_core.kumactl.table import as_age, layout
from kuma_core.visible import printable

HEADER = ("TYPE", "NAME", "VERSION")


def text(value: Mapping[str, Any], now: datetime) -> str:
    """The answer of ``GET /meshes/{mesh}/dataplanes/{name}/xds`` in words.

    Raises TypeError, KeyError or AttributeError for an answer of another shape.
    """
    blocks = ["\n".join(_proxy(proxy, now)) for proxy in value["proxies"]]
    return "\n\n".join(blocks) or "no proxy is known"


def _proxy(proxy: Mapping[str, Any], now: datetime) -> Iterator[str]:
    if proxy["problem"]:
        yield f"problem: {_line(proxy['problem'])}"
    for warning in proxy.get("warnings", ()):  # an older control plane gives none
        yield f"warning: {_line(warning)}"
    rows = [
        [short, resource["name"], resource["version"]]
        for short, type_ in proxy["types"].items()
        for resource in type_["resources"]
    ]
    yield layout(HEADER, rows)
    for stream in proxy["streams"]:
        yield f"stream {_line(stream['id'])}, connected {as_age([stream['connected']], now)} ago"
        for short, state in stream["types"].items():
            used = bool(proxy["types"].get(short, {}).get("resources"))
            yield f"  {_line(short)}: {_state(state, used)}"
    if not proxy["streams"]:
        yield "no proxy is connected"


def _state(state: Mapping[str, Any], used: bool) -> str:
    """``used``: there are resources of the type."""
    if state["rejection"]:
        return f"rejected: {_line(state['rejection'])}{_advice(state)}"
    if state["upToDate"]:
        return "up to date"
    if state["acknowledged"]:
        return f"behind, runs with {_line(state['acknowledged'])}"
    return "behind, runs with nothing yet" if used else "up to date, there is nothing to send"


def _advice(state: Mapping[str, Any]) -> str:
    """What to do about a rejection, on a line of its own; an older control plane gives none."""
    hint = _line(state.get("hint", ""))
    return f"\n    hint: {hint}" if hint else ""


def _line(words: str) -> str:
    """In one line, and without what a terminal would obey."""
    return " ".join(printable(words).split())
