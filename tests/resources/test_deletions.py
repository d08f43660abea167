"""The deletion of a mesh beside other writes, and after a crash in the middle of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from kuma_core.builtin.cluster import deletions
from kuma_core.builtin.cluster.kinds import MESH_DELETION
from kuma_core.builtin.cluster.leases import Lease
from kuma_core.errors import Busy, InvalidResource, KumaError, NotFound
from kuma_core.resources.contract import Record, Store
from kuma_core.resources.manager import ResourceManager
from kuma_core.testing.managers import resource_manager
from tests.resources.support import KINDS, Recording, card, mesh


@pytest.fixture
def manager(store: Store) -> ResourceManager:
    manager = resource_manager(store, KINDS)
    manager.put(mesh("default"))
    return manager


def deletions_of(manager: ResourceManager) -> deletions.MeshDeletions:
    """How the manager deletes meshes."""
    found = manager._deletions
    assert isinstance(found, deletions.MeshDeletions)
    return found


def crash(store: Store, name: str = "one", holder: str = "gone") -> None:
    """What a control plane leaves that is killed after it began to delete a mesh."""
    assert Lease(store, MESH_DELETION, name, holder, 10).hold()


def fill(manager: ResourceManager, name: str = "one", cards: int = 3) -> None:
    manager.put(mesh(name))
    for number in range(cards):
        manager.put(card(f"card-{number}", name))


def test_nothing_is_left_of_a_deletion(manager: ResourceManager, store: Store) -> None:
    fill(manager)
    manager.delete(mesh("one").key)
    assert deletions_of(manager).pending() == []
    assert store.list("Card") == []


def test_a_mesh_that_is_not_there_is_not_swept(manager: ResourceManager, store: Store) -> None:
    """What was uploaded before its mesh stays, whatever somebody deletes."""
    store.create(card("early", "one").key, "{}")
    with pytest.raises(NotFound):
        manager.delete(mesh("one").key)
    assert deletions_of(manager).pending() == []
    assert len(store.list("Card", "one")) == 1


@pytest.mark.parametrize("mesh_is_there", [True, False])
def test_a_crash_in_the_middle_is_finished_by_the_leader(
    manager: ResourceManager, store: Store, short: None, mesh_is_there: bool
) -> None:
    fill(manager)
    crash(store)
    if not mesh_is_there:
        store.delete(mesh("one").key)
    for name in deletions_of(manager).pending():
        deletions_of(manager).finish(name)
    assert deletions_of(manager).pending() == []
    assert manager.find(mesh("one").key) is None
    assert store.list("Card", "one") == []


def test_a_crash_in_the_middle_is_finished_by_the_next_creation(
    manager: ResourceManager, store: Store, short: None
) -> None:
    fill(manager)
    crash(store)
    store.delete(mesh("one").key)
    manager.put(mesh("one"))
    assert store.list("Card", "one") == []
    assert manager.find(mesh("one").key)
    assert deletions_of(manager).pending() == []


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deletions that stand still are taken over soon."""
    monkeypatch.setattr(deletions, "LENGTH_SECONDS", 0.2)


def test_a_creation_waits_for_a_deletion_that_goes_on(manager: ResourceManager, store: Store) -> None:
    """Whoever deletes is slow: its sweep must not take what belongs to the new mesh."""
    fill(manager)
    begun, go_on = threading.Event(), threading.Event()
    slow = resource_manager(Recording(store), KINDS)
    recording = slow._store
    assert isinstance(recording, Recording)

    def wait() -> None:
        begun.set()
        assert go_on.wait(10)

    recording.before["list"] = wait
    with ThreadPoolExecutor(2) as pool:
        deletion = pool.submit(slow.delete, mesh("one").key)
        assert begun.wait(10)
        creation = pool.submit(fill, manager)
        assert not creation.done()
        go_on.set()
        deletion.result(10)
        creation.result(10)
    assert len(store.list("Card", "one")) == 3
    assert manager.find(mesh("one").key)


def test_a_creation_gives_up_when_a_deletion_goes_on_for_ever(
    manager: ResourceManager, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "PATIENCE_SECONDS", 0.1)
    crash(store)
    with pytest.raises(Busy, match='mesh "one" is being deleted by another request; try again'):
        manager.put(mesh("one"))


def test_a_resource_whose_mesh_goes_at_the_same_moment_is_not_left(
    manager: ResourceManager, store: Store
) -> None:
    fill(manager, cards=0)
    recording = Recording(store)
    recording.before["create"] = lambda: manager.delete(mesh("one").key)
    with pytest.raises(InvalidResource, match="mesh of name one is not found"):
        resource_manager(recording, KINDS).put(card("late", "one"))
    assert store.list("Card", "one") == []


def test_many_delete_and_create_the_same_mesh(manager: ResourceManager, store: Store) -> None:
    """Whatever the order: in the end there is a mesh with its cards, or none without; and no record."""

    def repeat(work: Callable[[], object]) -> None:
        for _ in range(60):
            try:
                work()
            except KumaError:
                continue

    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            pool.submit(repeat, lambda: manager.delete(mesh("one").key))
            pool.submit(repeat, lambda: resource_manager(store, KINDS).delete(mesh("one").key))
            pool.submit(repeat, lambda: fill(manager))
            pool.submit(repeat, lambda: fill(resource_manager(store, KINDS)))
    assert deletions_of(manager).pending() == []
    if manager.find(mesh("one").key) is None:
        assert store.list("Card", "one") == []


def test_an_acknowledged_creation_is_not_swept_by_an_earlier_deletion(
    manager: ResourceManager, store: Store
) -> None:
    """Two delete; between them the mesh is created anew, and what it needs was made before."""
    fill(manager)
    late = Recording(store)
    prepared: list[Record] = []

    def meanwhile() -> None:
        late.before.pop("create", None)
        manager.delete(mesh("one").key)
        prepared.append(store.create(card("root", "one").key, "{}"))  # as a root is, before its mesh

    late.before["create"] = meanwhile
    with pytest.raises(NotFound):
        resource_manager(late, KINDS).delete(mesh("one").key)
    assert store.get(prepared[0].key) == prepared[0]
