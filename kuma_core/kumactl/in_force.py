"""Waits until what was written is in force: asks the control plane who is behind, and tells a terminal of it.

One fence stands before the writes and one behind them: proxies to which nothing between the two gave another
configuration are not waited for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from kuma_core.commandline import tell
from kuma_core.errors import KumaError
from kuma_core.kumactl.client import ApiError, Client, json_object, known_shape
from kuma_core.visible import printable

LOOK_SECONDS, FIRST_LOOK_SECONDS = 0.25, 0.03
"""How often we ask; twice as long after each time at first, for many writes touch nobody."""
HEAR_SECONDS = 2.0
"""How long all control planes have to say that they heard of the fence before the writes."""
MOST_LINES = 20
"""How many proxies an error names."""


def prepare(client: Client, meshes: Sequence[str]) -> str:
    """Set a fence before the writes, and wait until every control plane has heard of it; its id.

    Empty if there is none on which all agree, as while one does not answer: then everybody is waited for.
    """
    began = time.monotonic()
    try:
        id = _set(client, meshes, "")
        while client.get(f"/in-force/{id}").get("silent"):
            if time.monotonic() - began > HEAR_SECONDS:
                return ""
            time.sleep(FIRST_LOOK_SECONDS)
    except KumaError:
        return ""  # what is wrong is told when it comes to the waiting, after the writes
    return id


def wait(client: Client, meshes: Sequence[str], timeout: float, since: str = "") -> str:
    """Wait until connected proxies of these meshes (none: of all) run with what was written; what to say then.

    ``since`` is what ``prepare`` said. Raises KumaError after so many seconds, with who does not yet, and why.
    """
    began, pause = time.monotonic(), FIRST_LOOK_SECONDS
    id, told = _fence(client, meshes, since), ""
    while True:
        try:
            state = client.get(f"/in-force/{id}")
        except ApiError as error:
            if error.status != 404 or time.monotonic() - began > timeout:
                raise
            id = _fence(client, meshes, "")  # nobody looks at one for longer than two minutes
            continue
        with known_shape(client.url):
            if state["inForce"]:
                return "\n".join([f"in force after {time.monotonic() - began:.1f} s", *_remark(state)])
            if time.monotonic() - began > timeout:
                raise KumaError(_late(state, timeout))
            told = _progress(state, told)
        time.sleep(pause)
        pause = min(2 * pause, LOOK_SECONDS)


def _fence(client: Client, meshes: Sequence[str], since: str) -> str:
    """A fence since another one; if that is over, one that waits for everybody."""
    try:
        return _set(client, meshes, since)
    except ApiError as error:
        if error.status not in (404, 405):
            raise
    try:
        return _set(client, meshes, "")
    except ApiError as error:
        if error.status not in (404, 405):
            raise
    raise KumaError(
        f"everything is applied, but the control plane at {client.url} cannot say when it is in force: "
        "it is older than this kumactl"
    )


def _set(client: Client, meshes: Sequence[str], since: str) -> str:
    query = urlencode([("mesh", mesh) for mesh in meshes] + [("since", since)] * bool(since))
    answer = client.send("POST", "/in-force" + (f"?{query}" if query else ""))
    with known_shape(client.url):
        return str((json_object(answer.body) or {})["id"])


def _progress(state: dict[str, Any], told: str) -> str:
    """Tell a terminal, once, what is waited for."""
    names = ", ".join(sorted(str(item["name"]) for item in state["behind"])[:3])
    more = ", …" if state["count"] > 3 else ""
    silent = f"{len(state['silent'])} control planes to answer" if state["silent"] else ""
    proxies = f"{state['count']} proxies: {names}{more}" if state["count"] else ""
    waited = " and ".join(filter(None, (proxies, silent)))
    text = printable(f"waiting for {waited}") if waited else told
    if text != told and sys.stderr.isatty():
        tell(text)
    return text


def _remark(state: dict[str, Any]) -> list[str]:
    """On proxies that nobody waited for; an older control plane has none."""
    if not (count := state.get("before", 0)):
        return []
    were = "other was" if count == 1 else "others were"
    return [f"{count} {were} behind before, for other reasons: see kumactl inspect dataplanes"]


def _late(state: dict[str, Any], timeout: float) -> str:
    head = f"everything is applied, but not in force everywhere after {timeout:g} s:"
    lines = [
        f"* {item['mesh']}/{item['name']}, at control plane {item['controlPlane']}: {item['reason']}"
        for item in state["behind"][:MOST_LINES]
    ]
    if (others := state["count"] - len(lines)) > 0:
        lines.append(f"* {others} other proxies")
    lines += [f"* the control plane {instance} has not answered" for instance in state["silent"]]
    return printable("\n".join([head, *lines, *_remark(state)]))
