"""Documents that hypothesis makes up for every kind: good ones come back as they were, bad ones are refused.

``CASES`` for each kind and each property; a test prints how many were tried.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kuma_core.commandline import exit_code
from kuma_core.kumactl.main import build
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform

from .strategies import MESH, SPECS, Broken, against_a_rule, mistyped, spelled, valid, wild
from .support import plugins

CASES = 80
BOUNDED = settings(
    max_examples=CASES,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
KINDS = pytest.mark.parametrize("kind", SPECS)

_tried: Counter[str] = Counter()


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform(plugins()) as platform:
        platform.apply(mesh(MESH))
        yield platform


@pytest.fixture(scope="module")
def config(cp: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kumactl") / "config"
    file.write_text("")
    _kumactl(file, "config", "control-planes", "add", "--name=test", f"--address={cp.api_url}")
    return file


def _kumactl(config: Path, *argv: str, stdin: str = "") -> str:
    """Run kumactl in this process; what it prints. It must end well, and know every field."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    entered = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "stdin", entered):
        code = exit_code(build(), [f"--config-file={config}", *argv])
        out.flush()
    assert (code, "unknown" in err.getvalue()) == (0, False), (argv, stdin, err.getvalue())
    return out.buffer.getvalue().decode()


def _path(cp: RunningPlatform, document: dict[str, Any], name: str = "") -> str:
    kind = cp.platform.catalog.kinds[document["type"]]
    scope = f"/meshes/{document['mesh']}" if "mesh" in document else ""
    return f"{scope}/{kind.path}/{name or document['name']}"


def _fields(answer: JsonAnswer) -> list[str]:
    """The fields that a 400 names, keys of maps written as members."""
    assert answer.status == 400, answer
    causes = answer.body["causes"]
    assert causes
    assert all(cause["field"] and cause["message"] for cause in causes), causes
    return [re.sub(r'\["(.*?)"\]', r".\1", cause["field"], flags=re.DOTALL) for cause in causes]


def _each(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], what: str) -> None:
    """Run ``check`` on ``CASES`` values of the strategy, and count them."""

    @BOUNDED
    @given(strategy)
    def run(value: Any) -> None:
        _tried[what] += 1
        check(value)

    run()


def test_every_kind_that_can_be_written_is_tried(cp: RunningPlatform) -> None:
    assert {kind.name for kind in cp.platform.catalog.kinds if kind.served and not kind.read_only} == set(
        SPECS
    )


@KINDS
def test_what_is_valid_survives_rest_store_and_kumactl(cp: RunningPlatform, config: Path, kind: str) -> None:
    """However it is spelled: PUT, GET, ``kumactl get -o yaml``, ``kumactl apply``: the same spec."""
    singular = cp.platform.catalog.kinds[kind].singular

    def check(pair: tuple[Any, Any]) -> None:
        document, written = pair
        path = _path(cp, document)
        answer = cp.put(path, written)
        assert answer.status in (200, 201), (answer, written)
        stored = cp.get(path).body
        assert stored == document
        scope = (f"--mesh={MESH}",) if "mesh" in document else ()
        shown = _kumactl(config, "get", *scope, "-o", "yaml", "--", singular, document["name"])
        applied = _kumactl(config, "apply", "-f", "-", stdin=shown)
        assert applied == f'unchanged {kind} "{document["name"]}"\n', (shown, stored, cp.get(path).body)
        assert cp.get(path).body == stored

    pairs = valid(kind).flatmap(lambda document: st.tuples(st.just(document), spelled(document)))
    _each(pairs, check, "valid, round trip through kumactl")


@KINDS
@pytest.mark.parametrize("strategy", [mistyped, against_a_rule])
def test_what_is_broken_is_refused_by_its_field(cp: RunningPlatform, kind: str, strategy: Any) -> None:
    """A 400 whose causes name the field; nothing is stored."""

    def check(broken: Broken) -> None:
        document = {**broken.document, "name": "broken"}
        path = _path(cp, document)
        fields = _fields(cp.put(path, document))
        assert any(field.startswith(broken.path) for field in fields), (fields, broken)
        assert cp.get(path).status == 404

    _each(strategy(kind), check, f"broken, {strategy.__name__.replace('_', ' ')}")


@KINDS
def test_whatever_is_sent_there_is_an_answer(cp: RunningPlatform, kind: str) -> None:
    """Never a 5xx; what is accepted is a fixed point, what is refused names a field."""

    def check(document: dict[str, Any]) -> None:
        path = _path(cp, document)
        answer = cp.put(path, document)
        if answer.status == 400:
            _fields(answer)
            return
        assert answer.status in (200, 201), (answer, document)
        stored = cp.get(path).body
        again = cp.put(path, stored)
        assert (again.status, again.headers["Kuma-Result"]) == (200, "unchanged"), stored
        assert "unknown" not in again.headers.get("Warning", ""), stored

    _each(wild(kind), check, "anything in one place")


def test_the_number_of_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """Says how many were tried by the tests above, in this process."""
    with capsys.disabled():
        print(f"\nhypothesis: {_tried.total()} cases: {json.dumps(_tried)}")
    assert not _tried or min(_tried.values()) >= CASES
