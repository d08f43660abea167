"""One mesh that keeps the control plane busy does not hold up another: pushes there stay below a second.

Each load is one that held them up for ten seconds and more. ``python -m tests.bench.fair`` tells the figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest

from ..bench import fair
from ..bench.control_plane import ControlPlane, Tls
from ..bench.fair import BUSY, QUIET, Quiet

MOST_SECONDS = 1.0

Load = Callable[[ControlPlane, float], Awaitable[list[Any]]]


async def a_large_template(cp: ControlPlane, seconds: float) -> list[Any]:
    """With 30 proxies, each of whose later changes reads and builds 540 kB."""
    await asyncio.to_thread(cp.put, f"meshes/{BUSY}/proxytemplates", fair.template(BUSY))
    return await fair.changing(cp, seconds)


async def dry_runs_of_a_mesh(cp: ControlPlane, seconds: float) -> list[Any]:
    """By four clients, with some hundred dataplanes that all would change."""
    return await fair.trying(cp, 4, seconds)


async def pushes(load: Load, seconds: float, proxies: int, dataplanes: int) -> tuple[list[float], list[Any]]:
    with ExitStack() as stack:
        tls = Tls(stack)
        cp = ControlPlane(stack, tls, fair.PLUGINS)
        fair.make_meshes(cp)
        for number in range(dataplanes):
            cp.put(f"meshes/{BUSY}/dataplanes", fair.web(BUSY, f"idle-{number:04}"))
        clients, tasks = await fair.clients_of(cp, tls, QUIET, ["q-1", "q-2"])
        _, others = await fair.clients_of(cp, tls, BUSY, [f"web-{n}" for n in range(proxies)])
        quiet = Quiet(cp, clients)
        answers = await fair.measure(quiet, seconds, lambda: load(cp, seconds))
        await fair.disconnect([*tasks, *others])
    return quiet.took, answers


@pytest.mark.parametrize(
    ("load", "proxies", "dataplanes"), [(a_large_template, 30, 0), (dry_runs_of_a_mesh, 2, 300)]
)
def test_pushes_of_a_quiet_mesh_are_not_held_up(load: Load, proxies: int, dataplanes: int) -> None:
    took, answers = asyncio.run(pushes(load, 4, proxies, dataplanes))
    assert len(took) > 5
    assert fair.p99(took) < MOST_SECONDS, sorted(took)[-5:]
    assert {status for status, _, _ in answers} <= {200}
    for _, _, answer in answers:
        assert answer["examined"]["dataplanes"] == answer["examined"]["of"] == dataplanes + proxies + 1


@pytest.mark.chaos
def test_a_dry_run_over_5_000_dataplanes_ends_in_time_and_holds_nobody_up() -> None:
    async def once(cp: ControlPlane, seconds: float) -> list[Any]:
        return await fair.trying(cp, 1, 0)

    took, ((status, seconds, answer),) = asyncio.run(pushes(once, 1, 2, 5000))
    assert (status, answer["examined"]["dataplanes"], len(answer["proxies"])) == (200, 5003, 5002)
    assert seconds < 10
    assert fair.p99(took) < MOST_SECONDS
