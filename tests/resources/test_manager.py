"""What is true of every resource, whatever its kind and store."""

from __future__ import annotations

import threading

import pytest

from kuma_core.errors import (
    Conflict,
    InvalidResource,
    NotFound,
    StoreUnavailable,
    UnreadableResource,
    Violation,
)
from kuma_core.model import Resource, ResourceKey
from kuma_core.resources import codec
from kuma_core.resources.contract import Record, Result, Store
from kuma_core.resources.manager import ResourceManager
from kuma_core.specs.base import parse_spec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.testing.managers import resource_manager
from tests.resources.support import KINDS, CardSpec, Recording, card, dataplane, insight, mesh


@pytest.fixture
def recording(store: Store) -> Recording:
    return Recording(store)


@pytest.fixture
def manager(recording: Recording) -> ResourceManager:
    made = resource_manager(recording, KINDS)
    made.put(mesh("default"))
    recording.verbs.clear()
    return made


# -- put


def test_put_creates_and_replaces(manager: ResourceManager) -> None:
    created = manager.put(card())
    assert created.result is Result.CREATED
    assert created.resource.version
    updated = manager.put(card(text="bye"))
    assert updated.result is Result.UPDATED
    assert updated.resource.version != created.resource.version
    assert manager.get(card().key) == updated.resource
    assert manager.get(card().key).spec.text == "bye"


def test_put_replaces_the_spec_as_a_whole(manager: ResourceManager) -> None:
    manager.put(card(colour="blue"))
    manager.put(card())
    assert manager.get(card().key).spec.colour == "white"


def test_an_equal_spec_is_not_written_again(manager: ResourceManager, recording: Recording) -> None:
    first = manager.put(card())
    recording.verbs.clear()
    for same in (card(), card(colour="white")):
        again = manager.put(same)
        assert again.result is Result.UNCHANGED
        assert again.resource.version == first.resource.version
    assert set(recording.verbs) == {"get"}


def test_defaults_are_stored(manager: ResourceManager, store: Store) -> None:
    manager.put(card())
    assert store.get(card().key).document == '{"colour":"white","text":"hello"}'


def test_rules_come_before_the_mesh(manager: ResourceManager, recording: Recording) -> None:
    """A broken rule is told although the mesh is missing too, and the store is not even asked."""
    with pytest.raises(InvalidResource) as caught:
        manager.put(card(mesh="nowhere", text=""))
    assert caught.value.violations == (Violation("text", "cannot be empty"),)
    assert recording.verbs == []


def test_every_broken_rule_is_told_and_no_warning(manager: ResourceManager) -> None:
    with pytest.raises(InvalidResource) as caught:
        manager.put(card(text="", colour="black"))
    assert [item.field for item in caught.value.violations] == ["text", "colour"]
    with pytest.raises(InvalidResource) as caught:
        manager.put(card(text="", colour="red"))
    assert [item.field for item in caught.value.violations] == ["text"]


def test_warnings_come_with_every_write(manager: ResourceManager) -> None:
    for expected in (Result.CREATED, Result.UNCHANGED):
        written = manager.put(card(colour="red"))
        assert written.result is expected
        assert [item.message for item in written.warnings] == ["is loud"]
    assert manager.put(card()).warnings == ()


def test_the_mesh_must_exist_when_a_resource_is_created(manager: ResourceManager, store: Store) -> None:
    with pytest.raises(InvalidResource) as caught:
        manager.put(card(mesh="cellar"))
    assert caught.value.details == "Mesh is not found"
    assert caught.value.violations == (Violation("mesh", "mesh of name cellar is not found"),)
    assert store.list("Card") == []


def test_the_mesh_is_not_asked_for_on_replacement(manager: ResourceManager, store: Store) -> None:
    """Only a creation asks for it."""
    manager.put(card())
    store.delete(mesh("default").key)
    assert manager.put(card(text="bye")).result is Result.UPDATED


def test_a_global_resource_needs_no_mesh(manager: ResourceManager) -> None:
    assert manager.put(card("stop", kind="Sign")).resource.key == ResourceKey("Sign", "stop", "stop")


# -- writing at the same time


def test_a_write_in_between_is_replaced(manager: ResourceManager, recording: Recording, store: Store) -> None:
    first = manager.put(card()).resource
    recording.before["update"] = lambda: store.update(first.key, '{"text":"theirs"}', first.version)
    assert manager.put(card(text="ours")).result is Result.UPDATED
    assert manager.get(card().key).spec.text == "ours"


def test_a_creation_in_between_makes_it_an_update(
    manager: ResourceManager, recording: Recording, store: Store
) -> None:
    recording.before["create"] = lambda: store.create(card().key, '{"text":"theirs"}')
    assert manager.put(card(text="ours")).result is Result.UPDATED


def test_a_deletion_in_between_makes_it_a_creation(
    manager: ResourceManager, recording: Recording, store: Store
) -> None:
    manager.put(card())
    recording.before["update"] = lambda: store.delete(card().key)
    assert manager.put(card(text="ours")).result is Result.CREATED


class Contested(Recording):
    """A store in which somebody else always is faster."""

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        raise Conflict("somebody was faster")


def test_a_resource_that_others_keep_writing(store: Store) -> None:
    manager = resource_manager(Contested(store), KINDS)
    manager.put(mesh("default"))
    manager.put(card())
    with pytest.raises(Conflict, match=r'name="a".*by others all the time; try again'):
        manager.put(card(text="bye"))
    with pytest.raises(Conflict, match="all the time"):
        manager.amend(card().key, lambda spec: CardSpec(text=spec.text + "!"))


# -- amend


def test_amend_makes_the_new_spec_of_the_old_one(manager: ResourceManager) -> None:
    def longer(spec: CardSpec | None) -> CardSpec:
        return CardSpec(text=(spec.text if spec else "") + "x")

    assert manager.amend(card().key, longer).result is Result.CREATED
    assert manager.amend(card().key, longer).result is Result.UPDATED
    assert manager.get(card().key).spec.text == "xx"


def test_amend_looks_again_after_a_write_in_between(
    manager: ResourceManager, recording: Recording, store: Store
) -> None:
    first = manager.put(card()).resource
    recording.before["update"] = lambda: store.update(first.key, '{"text":"theirs"}', first.version)
    manager.amend(card().key, lambda spec: CardSpec(text=spec.text + "+ours"))
    assert manager.get(card().key).spec.text == "theirs+ours"


def test_amend_keeps_the_rules(manager: ResourceManager) -> None:
    with pytest.raises(InvalidResource):
        manager.amend(card().key, lambda _: CardSpec(text="bad"))
    with pytest.raises(InvalidResource, match="cellar"):
        manager.amend(card(mesh="cellar").key, lambda _: CardSpec(text="x"))


def test_amend_loses_no_change_of_many_writers(store: Store) -> None:
    manager = resource_manager(store, KINDS)
    manager.put(mesh("default"))
    manager.put(card(text="x"))

    def write() -> None:
        for _ in range(20):
            while True:
                try:
                    manager.amend(card().key, lambda spec: CardSpec(text=spec.text + "x"))
                    break
                except Conflict:
                    continue

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(manager.get(card().key).spec.text) == 81


# -- reading


def test_what_is_not_there(manager: ResourceManager) -> None:
    with pytest.raises(NotFound, match='type="Card" name="a" mesh="default"'):
        manager.get(card().key)
    assert manager.find(card().key) is None
    assert manager.list("Card", "nowhere") == []


def test_lists_are_sorted(manager: ResourceManager) -> None:
    manager.put(mesh("attic"))
    for name, where in (("b", "default"), ("a", "default"), ("c", "attic")):
        manager.put(card(name, where))
    assert [(item.mesh, item.name) for item in manager.list("Card")] == [
        ("attic", "c"),
        ("default", "a"),
        ("default", "b"),
    ]
    assert [item.name for item in manager.list("Card", "attic")] == ["c"]


UNREADABLE = ["", "{", "[]", "null", '"text"', '{"text":5}', "[" * 100_000]


@pytest.mark.parametrize("document", UNREADABLE, ids=lambda text: text[:8] or "empty")
def test_a_record_that_cannot_be_read(manager: ResourceManager, store: Store, document: str) -> None:
    store.create(card("ugly").key, document)
    manager.put(card("good"))
    for read in (lambda: manager.get(card("ugly").key), lambda: manager.list("Card")):
        with pytest.raises(UnreadableResource, match='type="Card" name="ugly" mesh="default" cannot be read'):
            read()
    told: list[UnreadableResource] = []
    assert [item.name for item in manager.list("Card", None, told.append)] == ["good"]
    assert len(told) == 1
    assert len(str(told[0])) < 500


def test_an_unreadable_record_can_be_replaced_and_deleted(manager: ResourceManager, store: Store) -> None:
    store.create(card("ugly").key, "{")
    assert manager.put(card("ugly")).result is Result.UPDATED
    store.create(card("worse").key, "{")
    manager.delete(card("worse").key)
    assert [item.name for item in manager.list("Card")] == ["ugly"]


def test_fields_of_a_later_version_are_no_harm(manager: ResourceManager, store: Store) -> None:
    store.create(card().key, '{"text":"x","fromTheFuture":{}}')
    assert manager.get(card().key).spec == CardSpec(text="x")


# -- ensure


def test_ensure_creates_once_and_changes_nothing(manager: ResourceManager) -> None:
    first = manager.ensure(card())
    assert manager.ensure(card(text="bye")) == first
    assert manager.get(card().key).spec.text == "hello"


# -- delete


def test_delete(manager: ResourceManager) -> None:
    manager.put(card())
    manager.delete(card().key)
    assert manager.find(card().key) is None
    with pytest.raises(NotFound):
        manager.delete(card().key)


def test_a_dataplane_takes_its_insight_along(manager: ResourceManager) -> None:
    for name in ("a", "b"):
        manager.put(dataplane(name))
        manager.put(insight(name))
    manager.delete(dataplane("a").key)
    assert [item.name for item in manager.list("DataplaneInsight")] == ["b"]
    manager.put(insight("a"))
    with pytest.raises(NotFound):
        manager.delete(dataplane("a").key)
    assert [item.name for item in manager.list("DataplaneInsight")] == ["b"]


def fill(manager: ResourceManager, name: str) -> None:
    manager.put(mesh(name))
    manager.put(card("a", name))
    manager.put(card("b", name))
    manager.put(dataplane("a", name))
    manager.put(insight("a", name))


def count(manager: ResourceManager, name: str) -> int:
    return sum(len(manager.list(kind.name, name)) for kind in KINDS if kind.stored)


def test_a_mesh_takes_along_all_that_is_in_it_and_nothing_else(manager: ResourceManager) -> None:
    for name in ("one", "two"):
        fill(manager, name)
    manager.put(card("one", kind="Sign"))
    manager.delete(mesh("one").key)
    assert manager.find(mesh("one").key) is None
    assert [item.key for kind in KINDS if kind.stored for item in manager.list(kind.name, "one")] == [
        ResourceKey("Sign", "one", "one")
    ]
    assert count(manager, "two") == 5
    assert manager.find(mesh("default").key)


def test_repeating_the_deletion_finishes_an_interrupted_one(
    manager: ResourceManager, recording: Recording, store: Store
) -> None:
    fill(manager, "one")
    down = StoreUnavailable("the store is down")

    def fail() -> None:
        raise down

    recording.before["list"] = fail
    with pytest.raises(StoreUnavailable):
        manager.delete(mesh("one").key)
    assert count(manager, "one") > 0
    with pytest.raises(NotFound):
        manager.delete(mesh("one").key)
    assert count(manager, "one") == 0


def test_records_that_cannot_be_read_go_too(manager: ResourceManager, store: Store) -> None:
    fill(manager, "one")
    store.create(card("ugly", "one").key, "{")
    manager.delete(mesh("one").key)
    assert store.list("Card", "one") == []


def test_somebody_else_deletes_at_the_same_moment(
    manager: ResourceManager, recording: Recording, store: Store
) -> None:
    fill(manager, "one")

    def theirs() -> None:
        recording.before["delete"] = lambda: store.delete(card("a", "one").key)

    recording.before["list"] = theirs
    manager.delete(mesh("one").key)
    assert count(manager, "one") == 0


# -- the codec


def test_equal_specs_are_equal_text() -> None:
    one = parse_spec(MeshSpec, {"mtls": {"enabled": False, "ca": {"vault": {"b": 1, "a": 2}}}})[0]
    two = parse_spec(MeshSpec, {"mtls": {"ca": {"vault": {"a": 2, "b": 1}}}})[0]
    key = mesh("x").key
    assert codec.encode(Resource(key, one)) == codec.encode(Resource(key, two))


def test_an_item_is_sorted_at_its_top_and_has_its_meta() -> None:
    assert list(codec.to_item(KINDS["Card"], card(colour="red"))) == [
        "colour",
        "mesh",
        "name",
        "text",
        "type",
    ]
    assert "mesh" not in codec.to_item(KINDS["Mesh"], mesh("x"))
