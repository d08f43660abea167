"""Meshes take turns, and nobody's work delays another's by more than a slice."""

from __future__ import annotations

import time

import pytest

from kuma_core.testing.managers import resource_manager
from kuma_core.testing.platform import make_catalog
from kuma_core.xds import rounds
from kuma_core.xds.mesh_views import Effects, MeshViews
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.rounds import Round, Rounds
from kuma_store_memory.store import MemoryStore


class Workshop:
    """Rounds whose proxies each take a given time; what was done is noted in order."""

    def __init__(self, **seconds: float) -> None:
        self.done: list[str] = []
        self.finished: list[str] = []
        self._seconds = seconds
        self.rounds = Rounds(self._generate, lambda item: self.finished.append(item.mesh))

    def begin(self, mesh: str, count: int) -> None:
        views = MeshViews(resource_manager(MemoryStore(), make_catalog([]).kinds))
        self.rounds.begin(mesh, views, [Proxy(mesh, f"p-{n:03}") for n in range(count)], 0.0)

    def _generate(self, item: Round, proxy: Proxy) -> None:
        self.done.append(item.mesh)
        time.sleep(self._seconds[item.mesh])


def test_a_small_mesh_does_not_wait_for_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "SLICE_SECONDS", 0.01)
    shop = Workshop(large=0.002, small=0)
    shop.begin("large", 100)
    shop.begin("small", 3)
    shop.rounds.turn()
    shop.rounds.turn()
    assert shop.finished == ["small"]
    assert shop.done.count("large") < 20
    shop.rounds.work_off()
    assert (shop.finished, shop.done.count("large")) == (["small", "large"], 100)


def test_who_overdrew_a_slice_has_less_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its proxies takes five slices; meanwhile the other has its turn five times."""
    monkeypatch.setattr(rounds, "SLICE_SECONDS", 0.004)
    shop = Workshop(slow=0.02, quick=0.004)
    shop.begin("slow", 10)
    shop.begin("quick", 200)
    while shop.done.count("slow") < 5:
        shop.rounds.turn()
    assert shop.done.count("quick") >= 10


def test_who_is_alone_is_not_slowed() -> None:
    shop = Workshop(alone=0.05)
    shop.begin("alone", 3)
    for _ in range(3):
        shop.rounds.turn()
    assert shop.finished == ["alone"]


def test_a_round_is_told_only_of_what_can_concern_it() -> None:
    shop = Workshop(one=0, two=0)
    shop.begin("one", 1)
    effects = Effects()
    effects.services["two"].add("echo")
    shop.rounds.changed(effects)
    assert shop.rounds._going["one"].later == []
    effects.kinds.add(("Sign", ""))
    shop.rounds.changed(effects)
    assert shop.rounds._going["one"].later == [effects]
