"""Waits until what was written is in force: asks the control plane who is behind, and tells a terminal of it."""

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

LOOK_SECONDS = 0.25
MOST_LINES = 20
"""How many proxies an error names."""


def wait(client: Client, meshes: Sequence[str], timeout: float) -> str:
    """Wait until all connected proxies of these meshes (none: of all) run with what was written; what to say then.

    Raises KumaError after so many seconds, with who does not yet, and why.
    """
    began = time.monotonic()
    id, told = _set(client, meshes), ""
    while True:
        try:
            state = client.get(f"/in-force/{id}")
        except ApiError as error:
            if error.status != 404 or time.monotonic() - began > timeout:
                raise
            id = _set(client, meshes)  # nobody looks at one for longer than two minutes
            continue
        with known_shape(client.url):
            if state["inForce"]:
                return f"in force after {time.monotonic() - began:.1f} s"
            if time.monotonic() - began > timeout:
                raise KumaError(_late(state, timeout))
            told = _progress(state, told)
        time.sleep(LOOK_SECONDS)


def _set(client: Client, meshes: Sequence[str]) -> str:
    query = urlencode([("mesh", mesh) for mesh in meshes])
    path = "/in-force" + (f"?{query}" if query else "")
    try:
        answer = client.send("POST", path)
    except ApiError as error:
        if error.status in (404, 405):
            raise KumaError(
                f"everything is applied, but the control plane at {client.url} cannot say when it is in force: "
                "it is older than this kumactl"
            ) from None
        raise
    with known_shape(client.url):
        return str((json_object(answer.body) or {})["id"])


def _progress(state: dict[str, Any], told: str) -> str:
    """Tell a terminal, once, what is waited for."""
    names = ", ".join(sorted(str(item["name"]) for item in state["behind"])[:3])
    more = ", …" if state["count"] > 3 else ""
    silent = f"{len(state['silent'])} control planes to answer" if state["silent"] else ""
    proxies = f"{state['count']} proxies: {names}{more}" if state["count"] else ""
    text = printable("waiting for " + " and ".join(filter(None, (proxies, silent))))
    if text != told and sys.stderr.isatty():
        tell(text)
    return text


def _late(state: dict[str, Any], timeout: float) -> str:
    head = f"everything is applied, but not in force everywhere after {timeout:g} s:"
    lines = [
        f"* {item['mesh']}/{item['name']}, at control plane {item['controlPlane']}: {item['reason']}"
        for item in state["behind"][:MOST_LINES]
    ]
    if (others := state["count"] - len(lines)) > 0:
        lines.append(f"* {others} other proxies")
    lines += [f"* the control plane {instance} has not answered" for instance in state["silent"]]
    return printable("\n".join([head, *lines]))
