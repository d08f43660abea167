"""What anybody may ask the views of meshes, beside what they show."""

from __future__ import annotations

import pytest

from kuma_core.errors import StoreUnavailable
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.testing.managers import resource_manager
from kuma_core.testing.platform import make_catalog
from kuma_core.xds.mesh_views import MeshViews
from kuma_store_memory.store import MemoryStore

WEB = Change(Op.PUT, ResourceKey("Dataplane", "default", "web-1"))


def views() -> MeshViews:
    found = MeshViews(resource_manager(MemoryStore(), make_catalog([]).kinds))
    found.apply([])
    return found


def test_views_are_behind_from_the_first_word_of_a_change_until_they_show_it() -> None:
    found = views()
    assert not found.are_behind()
    for _ in range(2):
        found.hear()
    found.apply([WEB])
    assert found.are_behind(), "one of two changes is still on its way"
    found.apply([WEB])
    assert not found.are_behind()


def unavailable(*_: object) -> None:
    raise StoreUnavailable("the store is away")


def test_views_that_could_not_read_the_store_are_behind_until_they_could(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = views()
    found.hear()
    with monkeypatch.context() as patch:
        patch.setattr(found._resources, "find", unavailable)
        with pytest.raises(StoreUnavailable):
            found.apply([WEB])
    assert found.are_behind()
    found.apply([])
    assert not found.are_behind()
