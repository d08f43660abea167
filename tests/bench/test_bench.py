"""The benchmarks run, with few clients; what they measure is for ``make bench``."""

from __future__ import annotations

import asyncio

import pytest

from . import events, fair, push, roles, sds, store


def test_the_benchmark_of_changes_runs(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(push.main(count=5, changes=2))
    told = capsys.readouterr().out
    assert "accepted PUT to the last ACK" in told
    assert "ratio to the floor" in told


def test_the_benchmark_of_events_runs(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(events.main(count=5, followers=5, changes=1, turns=1, rate=50))
    told = capsys.readouterr().out
    assert "while all of them follow" in told
    assert "while clients come and go" in told
    assert told.count("ratio (medians)") == 2
    (served,) = (
        line.split()[-1] for line in told.splitlines() if line.startswith("clients that came and went")
    )
    assert float(served) > 10


def test_the_benchmark_of_identities_runs_and_serves_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(sds.main(count=5, lifetime=3))
    told = capsys.readouterr().out
    assert "identities in a second" in told
    assert told.count("10 of 10 served") == 4
    assert "s: 5 of 5" in told


def test_the_benchmark_of_the_store_runs(capsys: pytest.CaptureFixture[str]) -> None:
    store.main(times=3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all("ratio" in line for line in lines[1:])


def test_the_benchmark_of_fairness_runs(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fair.main([], seconds=1, proxies=1, dataplanes=0))
    told = capsys.readouterr().out
    assert "nothing else: p99" in told


def test_the_benchmark_of_roles_runs(capsys: pytest.CaptureFixture[str]) -> None:
    ratios = roles.main(bindings=3, times=3)
    assert set(ratios) == {"PUT", "GET"}
    told = capsys.readouterr().out
    assert told.count("ratio") == 2
