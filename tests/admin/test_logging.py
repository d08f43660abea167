"""``/logging`` of the admin server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

import kuma_store_memory
from kuma_core.testing.logged import logged
from kuma_core.testing.platform import RunningPlatform, running_platform


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged() as written:
        yield written


@pytest.fixture
def cp(log: io.StringIO) -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as platform:
        yield platform


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_levels_are_shown_and_changed(cp: RunningPlatform, log: io.StringIO) -> None:
    shown = cp.request("GET", "/logging", port=cp.admin)
    assert shown.status == 200
    assert shown.body["level"] == "info"
    assert shown.body["components"]["kuma-cp.run"] == "info"

    changed = cp.request("PUT", "/logging", {"level": "error,kuma-cp=debug,xsd=debug"}, cp.admin)
    assert changed.body["components"]["kuma-cp.run"] == "debug"
    assert changed.body["silent"] == ["xsd"]
    told = [line for line in lines(log) if line["logger"] == "logging"]
    assert [(line["before"], line["after"]) for line in told] == [("info", "error,kuma-cp=debug,xsd=debug")]
    structlog.get_logger("kuma-cp.run").debug("heard")
    structlog.get_logger("store").info("unheard")
    said = [line["msg"] for line in lines(log)]
    assert "heard" in said
    assert "unheard" not in said


@pytest.mark.parametrize("body", [{}, {"level": 1}, {"level": "loud"}, {"level": "info,debug"}])
def test_what_is_no_level_changes_nothing(cp: RunningPlatform, body: dict[str, Any]) -> None:
    answer = cp.request("PUT", "/logging", body, cp.admin)
    assert answer.status == 400
    assert answer.body["causes"][0]["field"] == "level"
    assert cp.request("GET", "/logging", port=cp.admin).body["level"] == "info"
