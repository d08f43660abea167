"""Nothing is stored that would not come back as it was written. What is remembered is bounded, and of the living."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from kuma_core.errors import InvalidResource, UnreadableResource
from kuma_core.kinds import Kinds
from kuma_core.model import Resource, ResourceType
from kuma_core.resources import codec
from kuma_core.resources.contract import Record, Store
from kuma_core.resources.manager import ResourceManager
from kuma_core.resources.reader import Reader, weight
from kuma_core.specs.base import Spec
from kuma_core.specs.insight import InsightSpec, ResponseStats, Subscription, SubscriptionStatus
from kuma_core.testing.managers import resource_manager
from tests.resources.support import KINDS, card, dataplane, mesh

MANY = 300


def _capitals(text: str) -> str:
    return text.upper()


class Brick(Spec):
    """Reads capitals only."""

    text: Annotated[str, AfterValidator(_capitals)] = ""


class WallSpec(Spec):
    """A kind with faults, three levels deep. A spec that is read from a document of a client has none of them yet."""

    bricks: dict[str, tuple[Brick, ...]] = {}
    shut: str = ""
    height: float = 0

    @classmethod
    def from_stored(cls, document: Any) -> WallSpec:
        if document.get("shut"):
            raise ValueError("it is shut")
        return super().from_stored(document)


WALL = ResourceType("Wall", "walls", WallSpec, "wall")
WALLS = Kinds(("test", kind) for kind in (*KINDS, WALL))


def wall(*texts: str, **spec: Any) -> Resource:
    """A wall of bricks with such texts, in small letters too."""
    bricks = tuple(Brick().model_copy(update={"text": text}) for text in texts)
    return Resource(WALL.key("default", "a"), WallSpec(**spec).model_copy(update={"bricks": {"A": bricks}}))


@pytest.fixture
def manager(store: Store) -> ResourceManager:
    made = resource_manager(store, WALLS)
    made.put(mesh("default"))
    return made


WRITES: dict[str, Callable[[ResourceManager, Resource], object]] = {
    "put": lambda manager, resource: manager.put(resource),
    "amend": lambda manager, resource: manager.amend(resource.key, lambda spec: resource.spec),
    "ensure": lambda manager, resource: manager.ensure(resource),
    "examine": lambda manager, resource: manager.examine(resource),
}


@pytest.mark.parametrize("write", WRITES)
def test_what_would_come_back_with_another_value_is_not_stored(
    manager: ResourceManager, store: Store, write: str
) -> None:
    with pytest.raises(UnreadableResource) as caught:
        WRITES[write](manager, wall("RED", "red"))
    assert str(caught.value).startswith(
        'the resource type="Wall" name="a" mesh="default" was not stored, as it could not be read again: '
        'bricks["A"][1].text would come back with another value. This is a defect of the kind Wall: '
    )
    assert store.list("Wall") == []
    assert manager.list("Wall") == []


@pytest.mark.parametrize("write", ["put", "amend"])
def test_what_was_stored_before_stays(manager: ResourceManager, write: str) -> None:
    before = manager.put(wall("RED")).resource
    with pytest.raises(UnreadableResource):
        WRITES[write](manager, wall("RED", "red"))
    assert manager.list("Wall") == [before]


def test_what_could_not_be_read_at_all_is_not_stored(manager: ResourceManager, store: Store) -> None:
    with pytest.raises(UnreadableResource, match="could not be read again: it is shut"):
        manager.put(wall(shut="YES"))
    assert store.list("Wall") == []


@pytest.mark.parametrize("height", [float("nan"), float("inf"), object(), b"1"])
def test_what_json_has_no_words_for_is_not_stored(
    manager: ResourceManager, store: Store, height: object
) -> None:
    resource = wall()
    with pytest.raises(UnreadableResource, match=r'name="a".* cannot be written as JSON'):
        manager.put(Resource(resource.key, resource.spec.model_copy(update={"height": height})))
    assert store.list("Wall") == []


def test_a_list_that_a_kind_fills_in_for_a_tuple_is_stored(manager: ResourceManager) -> None:
    resource = dataplane("a")
    networking = resource.spec.networking
    spec = resource.spec.model_copy(
        update={"networking": networking.model_copy(update={"inbound": list(networking.inbound)})}
    )
    manager.put(Resource(resource.key, spec))
    assert manager.get(resource.key) == resource


# -- what is remembered


class Counting:
    """Has the kind Card count how often one of its documents is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        read = codec.decode

        def decode(kind: ResourceType, record: Record) -> Resource:
            self.reads += kind.name == "Card"
            return read(kind, record)

        monkeypatch.setattr(codec, "decode", decode)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


def test_a_document_is_read_once_however_often_it_is_listed(
    manager: ResourceManager, counting: Counting
) -> None:
    for number in range(MANY):
        manager.put(card(f"a{number}"))
    assert counting.reads == MANY, "each was read back when it was written, and remembered"
    for _ in range(3):
        assert len(manager.list("Card")) == len(manager.list("Card", "default")) == MANY
    assert counting.reads == MANY
    assert manager.list("Card")[0].spec is manager.list("Card")[0].spec


def test_an_unchanged_write_reads_nothing(manager: ResourceManager, counting: Counting) -> None:
    manager.put(card())
    manager.put(card())
    assert counting.reads == 1


def test_what_another_control_plane_writes_is_read(
    manager: ResourceManager, store: Store, counting: Counting
) -> None:
    manager.put(card())
    resource_manager(store, WALLS).put(card(text="theirs"))
    assert manager.get(card().key).spec.text == "theirs"
    assert manager.get(card().key).version == store.get(card().key).version


def remembered(manager: ResourceManager, kind: str = "Card") -> tuple[int, int]:
    """How many documents of a kind are remembered, and what they weigh."""
    shelf = manager._reader._shelves[kind]
    return len(shelf._known), shelf._bytes


def test_one_document_is_remembered_of_a_resource(manager: ResourceManager) -> None:
    for number in range(MANY):
        manager.put(card(text=f"{number:04}"))
    assert remembered(manager) == (1, weight(codec.encode(card(text="0000", colour="white"))))


def test_what_is_deleted_is_forgotten(manager: ResourceManager) -> None:
    for _ in range(MANY):
        manager.put(card("a"))
        manager.put(card("b"))
        manager.delete(card("a").key)
    assert remembered(manager)[0] == 1
    manager.delete(mesh("default").key)
    assert remembered(manager) == (0, 0)


def test_what_was_not_stored_is_not_remembered(manager: ResourceManager) -> None:
    with pytest.raises(InvalidResource):
        manager.put(card("a", mesh="nowhere"))
    manager.examine(card("b"))
    assert remembered(manager) == (0, 0)


def test_what_another_control_plane_deletes_is_forgotten_with_the_next_list(
    manager: ResourceManager, store: Store
) -> None:
    for number in range(10):
        manager.put(card(f"a{number}"))
    for number in range(9):
        store.delete(card(f"a{number}").key)
    manager.list("Card")
    assert remembered(manager)[0] == 1


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    room = 5 * weight('{"text":"0"}')
    reader = Reader(room)
    records = [Record(card(f"a{number}").key, f'{{"text":"{number % 10}"}}', "1") for number in range(20)]
    for _ in range(3):
        assert [reader.read(KINDS["Card"], record).spec.text for record in records] == [
            str(number % 10) for number in range(20)
        ]
    shelf = reader._shelves["Card"]
    assert (len(shelf._known), shelf._bytes) == (5, room)
    reader.forget(records[0].key)
    reader.read(KINDS["Card"], records[19])
    assert records[19].key in shelf._known
    reader.forget_others("Card", [])
    assert (len(shelf._known), shelf._bytes) == (0, 0)


def _insight(count: int) -> str:
    stats = ResponseStats(responses_sent=12345, responses_acknowledged=12344)
    status = SubscriptionStatus(total=stats, cds=stats, eds=stats, lds=stats)
    streams = (Subscription(id=f"{'x' * 36}{number}", status=status) for number in range(count))
    return codec.encode(
        Resource(KINDS["DataplaneInsight"].key("m", "a"), InsightSpec(subscriptions=tuple(streams)))
    )


DOCUMENTS = {
    "dataplane": (KINDS["Dataplane"], codec.encode(dataplane("a"))),
    "insight": (KINDS["DataplaneInsight"], _insight(10)),
    "text": (KINDS["Card"], '{"text":"' + "x" * 10_000 + '"}'),
    "wide text": (KINDS["Card"], '{"text":"' + "漢" * 10_000 + '"}'),
    "empty objects": (KINDS["Dataplane"], '{"networking":{"inbound":[' + ",".join(["{}"] * 500) + "]}}"),
    "tags": (
        KINDS["Dataplane"],
        '{"networking":{"inbound":[{"tags":{' + ",".join(f'"k{n}":"v{n}"' for n in range(500)) + "}}]}}",
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_document_weighs_is_what_it_takes_or_somewhat_more(name: str) -> None:
    """As the bound is in bytes, it has to hold for documents of every shape."""
    kind, document = DOCUMENTS[name]
    codec.decode(kind, Record(kind.key("m", "a"), document, "1"))
    gc.collect()
    tracemalloc.start()
    try:
        kept = []
        for _ in range(20):
            text = document[:1] + document[1:]  # a copy, as each document comes from a store
            kept.append((text, codec.decode(kind, Record(kind.key("m", "a"), text, "1")).spec))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] / len(kept)
    finally:
        tracemalloc.stop()
    assert taken <= weight(document) <= 4 * taken
