"""Characters that a terminal obeys, or that have a line read other than it is, reach nobody's screen as they are.

Names, tags and messages come from whoever writes to the API or sends a request; an operator reads them in logs, lists
and files. What is printed as JSON or YAML reads back equal all the same.
"""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import yaml

import kuma_store_memory
from kuma_core import commandline, visible
from kuma_core.dataplane.log import Log
from kuma_core.documents import load_documents
from kuma_core.kumactl.export_file import compose
from kuma_core.kumactl.output import dump_json, dump_yaml
from kuma_core.kumactl.table import layout
from kuma_core.runtime import annotated
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.logged import logged as log_of_a_control_plane
from kuma_core.testing.platform import RunningPlatform, running_platform

from ..api.support import send
from ..end_to_end.support import BIN

HIDDEN = [
    *(chr(code) for code in range(0x20) if code not in (0x09, 0x0A)),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
]
NASTY = "user\u202e ;evil\u2066\x9b31m\x1b[2J\x85\u200fend\x7f caf\u00e9 \u4e2d"


def shows_all(text: str) -> bool:
    return not any(character in text for character in HIDDEN)


@pytest.mark.parametrize("character", HIDDEN, ids=ascii)
def test_no_such_character_is_printed_and_each_reads_back(character: str) -> None:
    for text in (character, f"a{character}b", f"1{character}", f"two\nlines{character}\n", f'"{character}\\'):
        value = {text: [text, {"x": text}]}
        for printed in (dump_json(value), dump_yaml(value), dump_json(text), dump_yaml(text)):
            assert shows_all(printed), ascii(printed)
        assert json.loads(dump_json(value)) == value
        assert yaml.safe_load(dump_yaml(value)) == value
        for printed in (dump_json(value), dump_yaml(value)):
            assert load_documents(printed, "what was printed") == [value]
        assert shows_all(layout(["HEADER"], [[text]]).replace("\n", ""))


def test_other_languages_stay_as_they_are() -> None:
    for text in ("caf\u00e9", "\u4e2d\u6587", "\u05e9\u05dc\u05d5\u05dd", "\U0001f600"):
        assert text in dump_json(text)
        assert text in dump_yaml(text)
        assert visible.escaped(text) == visible.one_line(text) == text


def test_an_export_reads_back_equal() -> None:
    resource = {"type": "Mesh", "name": "default", "note": NASTY, NASTY: "x"}
    text = compose([resource], None, "about")
    assert shows_all(text)
    assert load_documents(text, "an export") == [resource]


def test_the_configuration_of_a_control_plane_reads_back_equal() -> None:
    for value in (NASTY, f"{NASTY}\nmore\n", {"a": [NASTY]}):
        text = annotated.to_yaml(value)
        assert shows_all(text)
        assert yaml.safe_load(text) == value


# -- logs


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the control plane logs, of its own and of libraries."""
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers.clear()
    with log_of_a_control_plane("debug", "console") as stream:
        yield stream
    root.handlers[:] = before


def test_lines_of_the_control_plane_show_all(logged: io.StringIO) -> None:
    structlog.get_logger("x").info(
        f"said {NASTY}\n2026-01-01\tINFO\tforged", name=NASTY, nested={NASTY: [NASTY]}
    )
    try:
        raise ValueError(NASTY)
    except ValueError as error:
        structlog.get_logger("x").error("failed", exc_info=error)
    text = logged.getvalue()
    assert shows_all(text)
    assert text.count("\n") == 2
    assert json.loads(text.splitlines()[0].split("\t")[4])["name"] == NASTY
    assert "\\u202e" in text


def test_lines_of_libraries_show_all(logged: io.StringIO) -> None:
    logging.getLogger("waitress").warning("from %s", f"{NASTY}\n2026-01-01\tINFO\tforged\tline")
    try:
        raise ValueError(NASTY)
    except ValueError:
        logging.getLogger("asyncio").exception("failed")
    text = logged.getvalue()
    assert shows_all(text)
    first, second, *traceback = text.splitlines()
    assert "forged" in first
    assert second.endswith("\tasyncio\tfailed")
    assert traceback[0] == "Traceback (most recent call last):"


def test_lines_of_kuma_dp_and_errors_of_all_programs_show_all(capfd: pytest.CaptureFixture[str]) -> None:
    Log("info").info(f"said {NASTY}\nforged", value=NASTY)
    commandline.tell(f"Error: {NASTY}\nmore")
    text = capfd.readouterr().err
    assert shows_all(text)
    assert text.count("\n") == 3
    assert text.endswith("more\n")


# -- through a real control plane and kumactl


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as platform:
        tags = {"service": "web", "note": NASTY, "x\u202ey": "z"}
        web = dataplane("web", inbound("10.0.0.1:80:8080", "web"))
        web["networking"]["inbound"][0]["tags"] = tags
        platform.apply(mesh("default", logging={"backends": [{"name": NASTY, "file": {"path": "/x"}}]}), web)
        yield platform


def kumactl(cp: RunningPlatform, folder: Path, *words: str) -> str:
    environ = {**os.environ, "HOME": str(folder), "PYTHONIOENCODING": "utf-8"}
    config = folder / "config"
    config.write_text(
        yaml.safe_dump(
            {
                "contexts": [{"name": "c", "controlPlane": "c"}],
                "controlPlanes": [{"name": "c", "coordinates": {"apiServer": {"url": cp.api_url}}}],
                "currentContext": "c",
            }
        )
    )
    command = [sys.executable, str(BIN / "kumactl"), *words, "--config-file", str(config)]
    done = subprocess.run(command, capture_output=True, env=environ, timeout=60, check=False)
    return (done.stdout + done.stderr).decode()


COMMANDS = [
    ("get", "dataplane", "web"),
    ("get", "dataplanes"),
    ("get", "meshes", "-o", "json"),
    ("get", "dataplanes", "-o", "yaml"),
    ("get", "dataplane", "web", "-o", "json"),
    ("inspect", "dataplanes"),
    ("inspect", "dataplanes", "-o", "yaml"),
    ("inspect", "xds", "web"),
    ("inspect", "xds", "web", "-o", "json"),
    ("explain", "--source", "web"),
    ("export",),
    ("get", "dataplane", NASTY.replace("\x00", "")),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_kumactl_shows_all(cp: RunningPlatform, tmp_path: Path, words: tuple[str, ...]) -> None:
    said = kumactl(cp, tmp_path, *words)
    assert said
    assert shows_all(said), ascii(said)


def test_what_kumactl_prints_reads_back_equal(cp: RunningPlatform, tmp_path: Path) -> None:
    stored = json.loads(send(cp.api, "GET", "/meshes/default/dataplanes/web").body)
    assert stored["networking"]["inbound"][0]["tags"]["note"] == NASTY
    assert json.loads(kumactl(cp, tmp_path, "get", "dataplane", "web", "-o", "json")) == stored
    assert yaml.safe_load(kumactl(cp, tmp_path, "get", "dataplane", "web", "-o", "yaml")) == stored
