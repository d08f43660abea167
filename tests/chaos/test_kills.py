"""``kill -9`` of the control plane, and of PostgreSQL, again and again while clients write.

No acknowledged write may be lost, none may be half applied, and every restart must serve.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import OwnServer

from ..end_to_end.support import Machine, Sidecar
from .support import BACK_SECONDS, READY_SECONDS, ControlPlane
from .writers import Counting, MakingMeshes

WRITERS = 6
STEP = 5000
"""How far apart the ports of the writers' numbers are."""


def times(short: tuple[int, int], full: tuple[int, int]) -> pytest.MarkDecorator:
    """How many kills among how many acknowledged writes: in every run, and in full length."""
    return pytest.mark.parametrize(
        ("kills", "writes"), [short, pytest.param(*full, marks=pytest.mark.chaos)], ids=str
    )


@times(short=(4, 400), full=(100, 10_000))
def test_kills_of_the_control_plane(
    cp: ControlPlane,
    server: OwnServer,
    database: str,
    stack: ExitStack,
    tmp_path: Path,
    kills: int,
    writes: int,
) -> None:
    def killed() -> None:
        cp.kill()
        cp.start()

    _kill_and_count(cp, _sidecar(cp, tmp_path, stack), killed, kills, writes)
    _nothing_is_left_of_deleted_meshes(server, database)


@times(short=(3, 400), full=(20, 10_000))
def test_kills_of_the_database(
    cp: ControlPlane,
    server: OwnServer,
    database: str,
    stack: ExitStack,
    tmp_path: Path,
    kills: int,
    writes: int,
) -> None:
    """The control plane stays the same process and is ready again by itself."""
    assert cp.process is not None
    process = cp.process.pid

    def killed() -> None:
        server.kill()
        server.start()
        eventually(cp.is_ready, READY_SECONDS, "a control plane that is ready again")

    _kill_and_count(cp, _sidecar(cp, tmp_path, stack), killed, kills, writes)
    assert cp.process.pid == process
    _nothing_is_left_of_deleted_meshes(server, database)


def _sidecar(cp: ControlPlane, folder: Path, stack: ExitStack) -> Sidecar:
    """A real Envoy that calls what the writers write about."""
    calls = [outbound(f":{free_port()}", "counted")]
    cp.apply(dataplane("web", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"), outbounds=calls))
    return Machine(None, folder, stack).sidecar("web", api_url=cp.url)


def _kill_and_count(
    cp: ControlPlane, sidecar: Sidecar, kill: Callable[[], None], kills: int, writes: int
) -> None:
    meshes = MakingMeshes(cp, writes // 10)
    share = (writes - writes // 10) // WRITERS
    counting = [Counting(index, cp, share, 1 + STEP * index) for index in range(1, WRITERS + 1)]
    writers = [*counting, meshes]
    try:
        for writer in writers:
            writer.start()
        longest = 0.0
        for number in range(1, kills + 1):
            goal = writes * number // (kills + 1)
            eventually(lambda goal=goal: _sum(writers) >= goal or _problems(writers), 120)  # type: ignore[misc]
            began = time.monotonic()
            kill()
            longest = max(longest, time.monotonic() - began)
            for writer in counting:
                writer.check()
            assert _problems(writers) == []
        eventually(lambda: _sum(writers) >= share * WRITERS + writes // 10 or _problems(writers), 300)
    finally:
        for writer in writers:
            writer.end()
    for writer in counting:
        writer.check()
    assert _problems(writers) == []
    _meshes_are_whole(cp, meshes)
    ports = {("127.0.0.1", 1 + STEP * index + share_of.number) for index, share_of in enumerate(counting, 1)}
    eventually(
        lambda: set(sidecar.endpoints()["counted"]) == ports, BACK_SECONDS, "the last numbers in Envoy"
    )
    print(
        f"\n{kills} kills in the middle of {_sum(writers)} acknowledged writes "
        f"({sum(writer.uncertain for writer in writers)} without an answer, tried again): 0 lost, 0 half applied; "
        f"served again after {longest:.1f} s at most; {len(meshes.kept)} meshes kept, {len(meshes.deleted)} deleted"
    )


def _sum(writers: list[Counting | MakingMeshes]) -> int:
    return sum(writer.acknowledged for writer in writers)


def _problems(writers: list[Counting | MakingMeshes]) -> list[str]:
    return [problem for writer in writers for problem in writer.problems]


def _meshes_are_whole(cp: ControlPlane, meshes: MakingMeshes) -> None:
    """A mesh that was acknowledged has its authority and its Dataplane; of a deleted one there is nothing."""
    for name in meshes.kept:
        assert cp.request("GET", f"/meshes/{name}").status == 200
        assert cp.request("GET", f"/meshes/{name}/dataplanes/inside").status == 200
    for name in meshes.deleted:
        assert cp.request("GET", f"/meshes/{name}").status == 404
    assert meshes.kept
    assert meshes.deleted


def _nothing_is_left_of_deleted_meshes(server: OwnServer, database: str) -> None:
    """Every mesh that a row is about is there, and every mesh has its root."""
    with server.connect(database) as connection:

        def rows(query: str) -> set[str]:
            return {row[0] for row in connection.execute(query.encode())}

        meshes = rows("SELECT name FROM resources WHERE type = 'Mesh'")
        inside = rows("SELECT mesh FROM resources WHERE type IN ('Dataplane', 'DataplaneInsight')")
        roots = rows("SELECT mesh FROM resources WHERE type = 'Secret' AND name LIKE 'builtinca.%'")
        assert inside <= meshes
        assert roots <= meshes
        assert meshes - roots <= {"default"}
