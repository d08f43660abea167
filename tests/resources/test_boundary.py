"""The door between the kernel and its store: what breaks is named, and few wait for what hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.config import Config
from kuma_core.errors import LeaseLost, NotFound, StoreFailed, StoreTakesNoWrites, StoreUnavailable
from kuma_core.kinds import Kinds
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey, ResourceType
from kuma_core.resources import calls
from kuma_core.resources.boundary import guarded, opened_store
from kuma_core.resources.calls import PLACES, Places
from kuma_core.resources.contract import CountedStore, Store, StoreFactory, TellingStore
from kuma_core.resources.fencing import Mandate, marked, term_of
from kuma_core.testing.stores import key
from kuma_core.testing.waiting import eventually
from kuma_store_memory import store as memory


class Sick:
    """A store that does what a test says before each verb."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.before: Callable[[], object] = lambda: None

    def __getattr__(self, verb: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.before()
            return getattr(self._store, verb)(*arguments)

        return call


class Hanging:
    """Lets nobody through while ``hangs`` is set, and fails after ``seconds`` as a store with a deadline does."""

    def __init__(self, seconds: float) -> None:
        self.inside = 0
        self._open, self._seconds = threading.Event(), seconds

    def __call__(self) -> None:
        self.inside += 1
        if not self._open.wait(self._seconds):
            raise StoreUnavailable("no answer within its deadline")

    def mend(self) -> None:
        self._open.set()


@pytest.fixture
def sick(store: Store) -> Sick:
    return Sick(store)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "HANG_SECONDS", 0.2)
    monkeypatch.setattr(calls, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(calls, "SILENCE_SECONDS", 0.1)


VERBS: dict[str, Callable[[Any], object]] = {
    "get": lambda store: store.get(key("a")),
    "list": lambda store: store.list("Thing"),
    "create": lambda store: store.create(key("a"), "{}"),
    "update": lambda store: store.update(key("a"), "{}", "1"),
    "delete": lambda store: store.delete(key("a")),
    "counter": lambda store: store.counter(),
    "watch": lambda store: store.watch(lambda change: None, Stop()),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit(3)])
def test_what_no_store_should_raise_names_its_plugin(sick: Sick, verb: str, error: BaseException) -> None:
    def breaks() -> None:
        raise error

    sick.before = breaks
    with pytest.raises(StoreFailed) as caught:
        VERBS[verb](guarded(sick, "acme", "shelf"))  # type: ignore[arg-type]
    what = f"{type(error).__name__}: {error}"
    assert str(caught.value) == f'plugin "acme": {verb} of the store "shelf" failed: {what}'
    assert caught.value.plugin == "acme"


def test_errors_of_ours_go_through(sick: Sick) -> None:
    with pytest.raises(NotFound):
        guarded(sick, "acme", "shelf").get(key("a"))  # type: ignore[arg-type]


def test_a_store_offers_what_the_plugin_offers(store: Store) -> None:
    assert isinstance(guarded(store, "acme", "shelf"), CountedStore)

    class Plain:
        def get(self) -> None: ...

    assert not isinstance(guarded(Plain(), "acme", "shelf"), CountedStore)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", ["open", "close"])
def test_a_store_that_cannot_be_opened_or_closed_names_its_plugin(store: Store, verb: str) -> None:
    @contextmanager
    def shelf(config: Config) -> Iterator[Store]:
        if verb == "open":
            raise OSError("it is nailed up")
        yield store
        raise OSError("it is nailed up")

    named = pytest.raises(
        StoreFailed, match=f'"acme": {verb} of the store "shelf" failed: OSError: it is nailed'
    )
    with named, opened_store(StoreFactory("shelf", shelf), "acme", Config([], {}, {}), Kinds([])):
        pass


# -- a store that hangs


def test_after_its_deadline_nobody_waits_but_one_who_tries(sick: Sick) -> None:
    hanging = sick.before = Hanging(0.4)
    shared = guarded(sick, "acme", "shelf")  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable, match="no answer within its deadline"):
        shared.list("Thing")
    for _ in range(20):
        with pytest.raises(StoreUnavailable, match=r"has not answered for \d\.\d s; it is asked again"):
            shared.list("Thing")
    assert hanging.inside == 1
    eventually(lambda: _said(shared) == "no answer within its deadline", 5, "one who tries")
    assert hanging.inside == 2
    hanging.mend()
    eventually(lambda: _said(shared) == "", 5, "an answer")
    assert [_said(shared) for _ in range(20)] == [""] * 20


def test_a_refusal_is_an_answer_and_a_quick_failure_no_hang(sick: Sick) -> None:
    shared = guarded(sick, "acme", "shelf")  # type: ignore[arg-type]
    for error in (StoreTakesNoWrites("full"), StoreUnavailable("refused")):

        def fails(error: StoreUnavailable = error) -> None:
            raise error

        sick.before = fails
        assert [_said(shared) for _ in range(5)] == [str(error)] * 5


def test_one_slow_call_among_others_is_no_hang(sick: Sick) -> None:
    shared, slow = guarded(sick, "acme", "shelf"), Hanging(0.5)  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: _said(shared))
    sick.before = slow
    thread.start()
    eventually(lambda: slow.inside)
    sick.before = lambda: None
    while thread.is_alive():
        assert _said(shared) == ""
    assert _said(shared) == ""


def test_of_a_group_some_never_wait(sick: Sick) -> None:
    """Eight of twelve workers of an HTTP server may; the others say at once that the store is silent."""
    hanging = sick.before = Hanging(20)
    shared, places, said = guarded(sick, "acme", "shelf"), Places(2), []  # type: ignore[arg-type]

    def ask() -> None:
        PLACES.set(places)
        said.append(_said(shared))

    threads = [threading.Thread(target=copy_context().run, args=(ask,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(said) == 4, 5, "the answer to those for whom there was no place")
    assert all(text.startswith("the store has not answered for") for text in said)
    assert hanging.inside == 2
    hanging.mend()
    for thread in threads:
        thread.join(10)
    assert (said[4:], places.taken) == (["", ""], 0)


def _said(store: Store) -> str:
    """What a store that cannot be reached says; empty if it answers."""
    try:
        store.list("Thing")
    except StoreUnavailable as error:
        return str(error)
    return ""


# -- what a leader writes


def mandate(term: int = 3, left: float = 1.0, newest: int = 0) -> Mandate:
    return Mandate(term, lambda: left, lambda: newest or term)


@pytest.mark.parametrize("lost", [mandate(left=0), mandate(newest=4)])
def test_one_whose_lease_is_over_writes_nothing(store: Store, lost: Mandate) -> None:
    kept, shared = store.create(key("kept"), "{}"), guarded(store, "acme", "shelf")
    with lost.acting():
        for write in (
            lambda: shared.create(key("a"), "{}"),
            lambda: shared.update(kept.key, '{"n":1}', kept.version),
            lambda: shared.delete(kept.key),
        ):
            with pytest.raises(LeaseLost):
                write()
    assert store.list("Thing") == [kept]


def test_one_that_reads_what_a_later_leader_wrote_stops(store: Store) -> None:
    shared, early = guarded(store, "acme", "shelf"), mandate(3)
    with mandate(4).acting():
        shared.create(key("theirs"), "{}")
    with early.acting():
        shared.create(key("ours"), "{}")
        with pytest.raises(LeaseLost, match="there is a term 4"):
            shared.list("Thing")
        with pytest.raises(LeaseLost):
            shared.create(key("more"), "{}")
    assert early.seen == 4
    assert [record.key.name for record in shared.list("Thing")] == ["ours", "theirs"], "others read on"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{}", '{"leaderTerm":3}'),
        ('{"n":1}', '{"n":1,"leaderTerm":3}'),
        ('{"n":1,"leaderTerm":2}', '{"n":1,"leaderTerm":3}'),
        ('{"leaderTerm":2}', '{"leaderTerm":3}'),
        ("[1]", "[1]"),
    ],
)
def test_a_document_is_marked_once(document: str, expected: str) -> None:
    assert marked(document, 3) == expected
    assert term_of(expected) == (3 if expected.startswith("{") else 0)


@pytest.mark.parametrize(
    ("document", "term"),
    [
        ('{"leaderTerm":3,"n":1}', 3),
        ('{ "a": 1, "leaderTerm": 3, "z": {} }\n', 3),
        ('{"n":{"leaderTerm":3}, "z":1}', 0),
        ('{"leaderTerm":"3","n":1}', 0),
        ('["leaderTerm", 3]', 0),
    ],
)
def test_a_mark_is_found_wherever_a_store_puts_it(document: str, term: int) -> None:
    """A store keeps what a document says, and not the order of its keys."""
    assert term_of(document) == term


class Teller:
    """Tells, and does not count."""

    def __init__(self) -> None:
        self.told: list[ResourceKey] = []

    def tell(self, key: ResourceKey) -> None:
        if key.name == "fails":
            raise RuntimeError("no wire")
        self.told.append(key)


def test_what_a_store_can_tell_goes_through_the_boundary() -> None:
    store = Teller()
    found: Any = guarded(store, "acme", "shelf")  # type: ignore[arg-type]
    assert isinstance(found, TellingStore)
    assert not isinstance(found, CountedStore)
    found.tell(ResourceKey("Quiet", "m", "a"))
    assert store.told == [ResourceKey("Quiet", "m", "a")]
    with pytest.raises(
        StoreFailed, match='plugin "acme": tell of the store "shelf" failed: RuntimeError: no wire'
    ):
        found.tell(ResourceKey("Quiet", "m", "fails"))


def test_a_store_learns_of_the_kinds_first_and_which_of_them_nobody_watches() -> None:
    calls: list[tuple[str, list[str]]] = []

    class Attentive(memory.MemoryStore):
        def learn_kinds(self, kinds: Kinds) -> None:
            calls.append(("kinds", [kind.name for kind in kinds]))

        def leave_untold(self, types: Collection[str]) -> None:
            calls.append(("untold", list(types)))

    shelf = StoreFactory("shelf", lambda config: nullcontext(Attentive()))
    kinds = Kinds(("kernel", kind) for kind in (kind_named("Told"), kind_named("Quiet", watched=False)))
    with opened_store(shelf, "acme", Config([], {}, {}), kinds):
        pass
    assert calls == [("kinds", ["Quiet", "Told"]), ("untold", ["Quiet"])]


def kind_named(name: str, watched: bool = True) -> ResourceType:
    return ResourceType(name, name.lower() + "s", object, name.lower(), watched=watched)


def test_the_store_in_memory_counts_and_tells_behind_the_boundary() -> None:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with opened_store(factory, "store_memory", Config([], {}, {}), Kinds([])) as store:
        assert isinstance(store, CountedStore)
        assert isinstance(store, TellingStore)
