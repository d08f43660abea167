"""The boundary around calls into plugins, piece by piece: what comes out of a call, and what a thread survives."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from kuma_core.errors import Busy, PluginError, StoreUnavailable
from kuma_core.plugin import boundary as budgets
from kuma_core.plugin import quarantine as quarantines
from kuma_core.plugin import threads as pools
from kuma_core.plugin.asking import Asking
from kuma_core.plugin.boundary import Abandoned, Boundary, Calls, PluginBarred, PluginFailed, bounded, watched
from kuma_core.plugin.threads import Pools, Threads
from kuma_core.testing.waiting import eventually
from kuma_core.xds.heartbeat import Heartbeat


class Mute(BaseException):
    def __str__(self) -> str:
        raise SystemExit


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def raising(error: BaseException) -> Callable[[], Any]:
    def function() -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("oops"), "ValueError: oops"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (Mute(), "Mute: (its text cannot be had)"),
        (RuntimeError("x" * 9000), "RuntimeError: " + "x" * 2000),
    ],
)
def test_whatever_is_raised_becomes_a_sentence_with_the_plugin(error: BaseException, said: str) -> None:
    made = Boundary()
    with pytest.raises(PluginFailed) as caught:
        made.guard("acme", "resolve of Card", raising(error))()
    assert str(caught.value) == f'plugin "acme": resolve of Card: {said}'
    assert (caught.value.plugin, caught.value.said) == ("acme", said)
    assert made.quarantine.counts() == {("acme", "resolve of Card"): 1}
    assert made.quarantine.barred() == []  # to fail is no offence


def test_what_says_by_itself_what_is_wrong_passes() -> None:
    away = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable) as caught:
        Boundary().call("acme", "issue", raising(away), (StoreUnavailable,))
    assert caught.value is away


def test_an_endless_iterator_is_an_offence() -> None:
    made = Boundary()
    guarded = made.guard("acme", "generate", itertools.count, lambda found: bounded(found, 10))
    for _ in range(quarantines.OFFENCES):
        with pytest.raises(PluginFailed, match="it gave more than 10 values"):
            guarded()
    with pytest.raises(PluginBarred, match="the plugin is in quarantine: generate: it gave more than 10"):
        guarded()


def test_the_third_overrun_in_processor_time_bars_and_the_first_on_the_wall_clock_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budgets, "BUDGET_SECONDS", 0.02)
    made = Boundary()
    sleeps, burns = made.guard("idle", "apply", time.sleep), made.guard("busy", "apply", burn)
    for _ in range(5):
        sleeps(0.03)  # waits, and takes no processor
    assert made.quarantine.barred() == []
    calls = 0
    while not made.quarantine.barred():
        burns(0.03)
        calls += 1
    assert calls == quarantines.OFFENCES + 1
    with pytest.raises(PluginBarred):
        burns(0.03)


def test_offences_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    made = quarantines.Quarantine()
    monkeypatch.setattr(quarantines, "OFFENCES_SECONDS", -1.0)
    for _ in range(10):
        made.offend("acme", "too long")
    assert made.barred() == []


def test_the_kernels_own_never_get_in() -> None:
    made = quarantines.Quarantine()
    for _ in range(10):
        made.offend("builtin.mesh", "too long")
    made.bar("builtin.mesh", "held the thread")
    assert made.barred() == []


def test_who_listens_hears_of_each_change() -> None:
    made, heard = quarantines.Quarantine(), list[str]()
    made.listen(heard.append)
    made.bar("acme", "why")
    made.bar("acme", "again")
    assert [(item.plugin, item.reason) for item in made.barred()] == [("acme", "why")]
    assert made.release("acme")
    assert not made.release("acme")
    assert heard == ["acme", "acme"]


def test_a_thread_that_was_given_up_ends_with_its_call() -> None:
    """Even where the plugin swallows what is raised in it, and whatever its call returns."""
    made, calls, after = Boundary(), Calls(), list[str]()
    inner = made.guard("inner", "resolve", lambda: setattr(calls, "abandoned", True))

    def swallows() -> None:
        try:
            inner()
        except BaseException:  # noqa: BLE001 - that is the point
            after.append("swallowed")

    with watched(calls), pytest.raises(Abandoned):
        made.guard("outer", "generate", swallows)()
    assert after == ["swallowed"]
    assert calls == []


def test_a_question_has_its_time_and_a_plugin_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Boundary()
    asking, go = Asking(made), threading.Event()
    assert asking.ask("acme", "kuma_admit", lambda: 7) == 7
    with pytest.raises(PluginError, match="ValueError: oops"):
        asking.ask("acme", "kuma_admit", raising(ValueError("oops")))
    with pytest.raises(PluginError, match="TimeoutError: its own"):
        asking.ask("acme", "kuma_admit", raising(TimeoutError("its own")))
    for _ in range(4):
        with pytest.raises(Busy, match=r"did not answer within 0\.05 s"):
            asking.ask("acme", "kuma_admit", lambda: go.wait(30), seconds=0.05, offends=False)
    with pytest.raises(Busy, match="is at 4 questions already"):
        asking.ask("acme", "kuma_admit", lambda: 7)
    assert asking.ask("other", "kuma_admit", lambda: 7) == 7
    go.set()
    eventually(lambda: asking.ask("acme", "kuma_admit", lambda: 7) == 7)


@pytest.fixture
def quick_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.05)


def test_threads_are_few_end_and_keep_nobody_alive(quick_idle: None) -> None:
    made, names = Threads("acme", 3), set[str]()
    answers = [
        made.submit(lambda: names.add(threading.current_thread().name) or burn(0.001)) for _ in range(50)
    ]
    assert [answer.result(10) for answer in answers] == [None] * 50
    assert names == {"acme"}
    daemons = [thread.daemon for thread in threading.enumerate() if thread.name == "acme"]
    assert len(daemons) <= 3
    assert all(daemons)
    eventually(lambda: made.idle)
    assert made.submit(lambda: 1).result(10) == 1  # and come again
    with pytest.raises(SystemExit):
        made.submit(raising(SystemExit())).result(10)


def test_a_pool_that_hangs_takes_nothing_from_another_and_idle_ones_are_dropped(quick_idle: None) -> None:
    made, go = Pools("ca", 1), threading.Event()
    try:
        made.submit("stuck", lambda: go.wait(30))
        assert made.submit("calm", lambda: 1).result(10) == 1
        for number in range(200):
            assert made.submit(str(number), lambda: 1).result(10) == 1
            if len(made) >= pools.MOST_KEPT:
                time.sleep(0.06)
        assert len(made) < 200
    finally:
        go.set()


def test_a_heart_beats_only_at_work() -> None:
    beat = Heartbeat()
    assert (beat.at_work(), beat.silent(time.monotonic() + 100)) == (False, 0.0)
    beat.progress()
    assert beat.at_work()
    assert 99 < beat.silent(time.monotonic() + 100) < 101
    beat.rest()
    assert beat.silent(time.monotonic() + 100) == 0.0


def test_what_a_writer_decides_has_no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever writes large documents of a kind would put its plugin into quarantine."""
    monkeypatch.setattr(budgets, "BUDGET_SECONDS", 0.01)
    made = Boundary()
    for _ in range(5):
        made.call("acme", "violations of Card", lambda: burn(0.02), budget=False)
    with watched(Calls()):  # a dry run's thread
        for _ in range(5):
            made.guard("acme", "apply of Card", burn, exact=True)(0.02)
    assert made.quarantine.barred() == []
    assert not made.quarantine.standing("acme").measured
    with watched(Calls(makes=True)):
        for _ in range(quarantines.OFFENCES):
            made.guard("acme", "apply of Card", burn, exact=True)(0.02)
    assert [item.plugin for item in made.quarantine.barred()] == ["acme"]


def test_each_failure_of_a_plugin_is_told_once_a_minute_by_what_was_called() -> None:
    calls = Boundary()
    with capture_logs() as logs:
        for what in ("a metric", "a metric", "its sign"):
            with pytest.raises(PluginFailed):
                calls.call("acme", what, raising(ValueError("oops")))
    told = [line for line in logs if line["event"] == "a plugin failed"]
    assert [(line["plugin"], line["what"], line["problem"]) for line in told] == [
        ("acme", "a metric", "ValueError: oops"),
        ("acme", "its sign", "ValueError: oops"),
    ]
