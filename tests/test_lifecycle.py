"""How long-running parts are told to end."""

from __future__ import annotations

import threading

import pytest

from kuma_core.lifecycle import Stop


def test_callbacks_are_called_once_in_their_order() -> None:
    stop, calls = Stop(), []
    stop.on_set(lambda: calls.append("a"))
    stop.on_set(lambda: calls.append("b"))
    assert calls == []
    stop.set()
    stop.set()
    assert calls == ["a", "b"]


def test_a_late_callback_is_called_at_once() -> None:
    stop, calls = Stop(), []
    stop.set()
    stop.on_set(lambda: calls.append("late"))
    assert calls == ["late"]


def test_a_callback_sees_that_it_is_set_and_may_add_another() -> None:
    stop, calls = Stop(), []
    stop.on_set(lambda: stop.on_set(lambda: calls.append(stop.is_set())))
    stop.set()
    assert calls == [True]


def test_set_wakes_a_waiter() -> None:
    stop, woken = Stop(), threading.Event()
    thread = threading.Thread(target=lambda: stop.wait(20) and woken.set(), daemon=True)
    thread.start()
    stop.set()
    assert woken.wait(5)
    thread.join(timeout=5)


def test_no_callback_is_lost_between_threads() -> None:
    for _ in range(200):
        stop, called = Stop(), []
        gate = threading.Barrier(2)

        def add(stop: Stop = stop, called: list[int] = called, gate: threading.Barrier = gate) -> None:
            gate.wait(5)
            stop.on_set(lambda: called.append(1))

        thread = threading.Thread(target=add, daemon=True)
        thread.start()
        gate.wait(5)
        stop.set()
        thread.join(timeout=5)
        assert called == [1]


def test_a_callback_for_a_while_is_forgotten_afterwards() -> None:
    """A watch that is attached again and again, for days of an outage, leaves nothing behind."""
    stop, calls = Stop(), []
    stop.on_set(lambda: calls.append("stays"))
    for number in range(1000):
        with stop.calling(lambda number=number: calls.append(number)):
            pass
    assert len(stop._callbacks) == 1
    with stop.calling(lambda: calls.append("meanwhile")):
        stop.set()
    assert calls == ["stays", "meanwhile"]
    with stop.calling(lambda: calls.append("late")):
        assert calls[-1] == "late"


def test_a_callback_for_a_while_is_forgotten_after_a_failure_too() -> None:
    stop = Stop()
    with pytest.raises(OSError, match="the backend is lost"), stop.calling(print):
        raise OSError("the backend is lost")
    assert stop._callbacks == []
