"""When a mesh's turn comes."""

from __future__ import annotations

from kuma_core.xds.agenda import QUIET_SECONDS, Agenda


def test_the_first_thing_after_quiet_is_due_at_once() -> None:
    agenda = Agenda(1.0)
    agenda.note("shop", 10.0)
    assert agenda.due(10.0) == ["shop"]
    assert agenda.seconds_left(10.0) == 0


def test_a_burst_is_gathered_until_it_is_quiet() -> None:
    agenda = Agenda(1.0)
    agenda.settled("shop", 10.0)
    for number in range(5):
        agenda.note("shop", 10.01 + number * 0.04)
        assert agenda.due(10.01 + number * 0.04) == []
    assert agenda.due(10.17 + QUIET_SECONDS + 0.001) == ["shop"]


def test_a_burst_without_end_is_cut() -> None:
    agenda = Agenda(1.0)
    agenda.settled("shop", 10.0)
    for number in range(100):
        agenda.note("shop", 10.01 + number * 0.01)
    assert agenda.due(11.0) == []
    assert agenda.due(11.011) == ["shop"]


def test_the_burst_of_one_mesh_is_not_that_of_another() -> None:
    agenda = Agenda(1.0)
    agenda.settled("shop", 10.0)
    agenda.note("shop", 10.01)
    agenda.note("bank", 10.02)
    assert agenda.due(10.02) == ["bank"]


def test_a_mesh_that_is_worked_on_gathers_on() -> None:
    agenda = Agenda(1.0)
    agenda.note("shop", 10.0)
    assert agenda.due(10.5, ["shop"]) == []
    agenda.begun("shop")
    assert (agenda.due(11.0), agenda.seconds_left(11.0)) == ([], None)


def test_nothing_is_kept_of_a_mesh_that_was_quiet_long() -> None:
    agenda = Agenda(1.0)
    for number in range(100):
        agenda.settled(f"m-{number}", 10.0)
    agenda.due(11.0)
    assert not agenda._settled
