"""The formats of a line, whatever it holds; and levels, from the configuration to what is written."""

from __future__ import annotations

import io
import json
import logging
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from kuma_core.commandline import exit_code
from kuma_core.log_formats import FORMATS, Entry
from kuma_core.log_levels import IN_FORCE, Levels
from kuma_core.runtime import kuma_cp, logs, process
from kuma_core.testing.logged import logged

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 6000, UTC)
TIME = "2026-01-02T03:04:05.006+00:00"
NASTY = "a\n2026\tINFO\x1b[31m\u202e\u2028\u0085z"


def entry(**values: Any) -> Entry:
    return Entry(MOMENT, "info", "audit", "a write is accepted", values)


def test_console_is_tabs_and_json() -> None:
    line = FORMATS["console"](entry(kind="Mesh", n=1))
    assert line == f'{TIME}\tINFO\taudit\ta write is accepted\t{{"kind": "Mesh", "n": 1}}'
    assert FORMATS["console"](entry()) == f"{TIME}\tINFO\taudit\ta write is accepted"


def test_json_is_one_object() -> None:
    line = FORMATS["json"](entry(kind="Mesh", level="x", parts=["a"]))
    assert json.loads(line) == {
        **{"time": TIME, "level": "info", "logger": "audit", "msg": "a write is accepted"},
        **{"kind": "Mesh", "level_": "x", "parts": ["a"]},
    }


def test_logfmt_is_read_back_pair_by_pair() -> None:
    line = FORMATS["logfmt"](
        entry(kind="Mesh", why='he said "no" = no', empty="", n=1.5, ok=True, it=["a b", 2])
    )
    assert line == (
        f'time={TIME} level=info logger=audit msg="a write is accepted" kind=Mesh '
        r'why="he said \"no\" = no" empty="" n=1.5 ok=true it="[\"a b\", 2]"'
    )
    assert dict(pair.split("=", 1) for pair in shlex.split(line))["why"] == 'he said "no" = no'


@pytest.mark.parametrize("format", list(FORMATS))
def test_whatever_an_event_holds_it_is_one_line_of_what_can_be_seen(format: str) -> None:
    class Rude:
        def __str__(self) -> str:
            return NASTY

    circle: list[Any] = []
    circle.append(circle)
    values = {NASTY: NASTY, "deep": {NASTY: [NASTY, {1: 2}]}, "rude": Rude(), "circle": circle}
    line = FORMATS[format](Entry(MOMENT, "info", "audit", NASTY, values))
    assert all(character.isprintable() or (character == "\t" and format == "console") for character in line)
    assert line.count("\t") == (4 if format == "console" else 0)


def test_lines_of_libraries_come_in_the_same_format() -> None:
    handlers, logging.root.handlers[:] = logging.root.handlers[:], []
    with logged() as written:
        try:
            raise ValueError("oops")
        except ValueError:
            logging.getLogger("waitress").warning("said %s", NASTY, exc_info=True)
        logging.getLogger("waitress").info("not told")
    logging.root.handlers[:] = handlers
    (line,) = written.getvalue().splitlines()
    found = json.loads(line)
    assert (found["level"], found["logger"], found["msg"]) == ("warning", "waitress", f"said {NASTY}")
    assert "ValueError: oops" in found["error"]


def test_levels_tell_components_apart_and_change_while_loggers_are_there() -> None:
    xds, store = structlog.get_logger("xds-views"), structlog.get_logger("store")

    def tell(written: io.StringIO) -> list[str]:
        written.seek(written.truncate(0))
        for log in (xds, store):
            log.debug("d")
            log.info("i")
            log.warning("w")
        return [f"{it['logger']} {it['msg']}" for it in map(json.loads, written.getvalue().splitlines())]

    with logged("warning,xds=debug") as written:
        assert tell(written) == ["xds-views d", "xds-views i", "xds-views w", "store w"]
        IN_FORCE.change(Levels("off", {"store": "info"}))
        assert tell(written) == ["store i", "store w"]


def test_lost_lines_are_told_in_the_format_of_the_others() -> None:
    found = json.loads(logs.notice("json")("7 lines were lost here: nobody read them"))
    assert (found["logger"], found["msg"]) == ("log", "7 lines were lost here: nobody read them")


@pytest.mark.parametrize(
    "words",
    [
        ["--log-level=error", "run"],
        ["run", "--log-level=error"],
        ["--log-level=info", "run", "--log-level=error"],
    ],
)
def test_the_level_may_stand_on_either_side_of_run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(process, "serve", lambda _config, _catalog, *log: told.append(log))
    monkeypatch.setenv("KUMA_PLUGINS", "store_memory")
    assert exit_code(kuma_cp.root, words) == 0
    assert told == [("error", None)]
