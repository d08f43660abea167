"""What is remembered of events, and from which place a client may go on."""

from __future__ import annotations

import json
import threading

import pytest

from kuma_core.builtin.events.contract import RESET, RESOURCE, Event
from kuma_core.builtin.events.ring import MOST_AT_ONCE, Filter, Lost, Ring

ALL = Filter()


def put(name: str, kind: str = "Dataplane", mesh: str = "default") -> Event:
    return Event(RESOURCE, kind, mesh, {"op": "put", "name": name})


def names(frames: bytes) -> list[str]:
    lines = [line for line in frames.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")).get("name", "") for line in lines]


def filled(count: int, most: int = 8) -> Ring:
    ring = Ring("e", most)
    for number in range(1, count + 1):
        ring.add(put(str(number)))
    return ring


def test_an_event_is_one_frame_with_id_type_and_keys() -> None:
    place, frames = filled(1).after(0, ALL)
    assert place == 1
    data = '{"kind": "Dataplane", "mesh": "default", "op": "put", "name": "1"}'
    assert frames.decode() == f"id: e-1\nevent: resource\ndata: {data}\n\n"


def test_a_name_with_line_ends_stays_in_its_line() -> None:
    ring = Ring("e")
    ring.add(put("a\nid: 7\n\n"))
    assert names(ring.after(0, ALL)[1]) == ["a\nid: 7\n\n"]


def test_who_is_further_behind_than_the_ring_is_long_has_lost_its_place() -> None:
    ring = filled(20)
    assert names(ring.after(12, ALL)[1]) == [str(number) for number in range(13, 21)]
    with pytest.raises(Lost):
        ring.after(11, ALL)


def test_much_at_once_comes_in_pieces() -> None:
    ring = filled(MOST_AT_ONCE + 10, 1000)
    place, frames = ring.after(0, ALL)
    assert (place, len(names(frames))) == (MOST_AT_ONCE, MOST_AT_ONCE)
    assert ring.after(place, ALL)[0] == MOST_AT_ONCE + 10


def test_a_filter_names_meshes_and_kinds_and_nobody_is_kept_from_hearing_of_a_loss() -> None:
    ring = Ring("e")
    for event in (put("a"), put("b", "Mesh"), put("c", mesh="shop"), Event(RESET)):
        ring.add(event)
    wanted = {
        Filter(frozenset({"default"}), frozenset()): ["a", "b", ""],
        Filter(frozenset(), frozenset({"Dataplane"})): ["a", "c", ""],
        Filter(frozenset({"shop"}), frozenset({"Mesh"})): [""],
    }
    assert {some: names(ring.after(0, some)[1]) for some in wanted} == wanted


@pytest.mark.parametrize(
    ("id", "place"),
    [
        ("e-0", 0),
        ("e-3", 3),
        ("e-4", None),  # the future
        ("f-3", None),  # another control plane, or an earlier start
        ("e-", None),
        ("e--1", None),
        ("e-1e3", None),
        ("e-٣", None),
        ("e-" + "9" * 5000, None),
        ("", None),
        ("-", None),
    ],
)
def test_an_id_is_a_place_of_this_ring_or_none(id: str, place: int | None) -> None:
    assert filled(3).place_of(id) == place


def test_writers_in_many_threads_lose_nothing() -> None:
    ring = Ring("e", 5000)
    threads = [
        threading.Thread(target=lambda n=n: [ring.add(put(f"{n}-{i}")) for i in range(500)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    place, found = 0, []
    while place < ring.newest:
        place, frames = ring.after(place, ALL)
        found += names(frames)
    assert sorted(found) == sorted(f"{n}-{i}" for n in range(8) for i in range(500))
