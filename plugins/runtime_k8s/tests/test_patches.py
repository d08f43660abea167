"""The minimal JSON Patch that brings defaults into an object."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.sdk import MeshSpec, parse_spec, to_document
from kuma_runtime_k8s.admission.patches import patch


def applied(item: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """What an API server makes of it: RFC 6902, as far as ``add`` and ``replace`` in objects go."""
    made = copy.deepcopy(item)
    for operation in operations:
        *parents, last = [
            step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
        ]
        place = made
        for step in parents:
            place = place[step]
        assert operation["op"] == ("replace" if last in place else "add")
        place[last] = operation["value"]
    return made


def mesh_patch(spec: Any) -> list[dict[str, Any]]:
    item = {"metadata": {"name": "a"}, "spec": spec} if spec is not ... else {"metadata": {"name": "a"}}
    parsed, _ = parse_spec(MeshSpec, item.get("spec") or {})
    return patch(item, "spec", to_document(parsed), to_document(parsed.with_defaults()))


BUILTIN = {"builtin": {}}


@pytest.mark.parametrize(
    ("spec", "operations"),
    [
        (..., [{"op": "add", "path": "/spec", "value": {"mtls": {"ca": BUILTIN}}}]),
        (None, [{"op": "replace", "path": "/spec", "value": {"mtls": {"ca": BUILTIN}}}]),
        ({}, [{"op": "add", "path": "/spec/mtls", "value": {"ca": BUILTIN}}]),
        ({"mtls": None}, [{"op": "replace", "path": "/spec/mtls", "value": {"ca": BUILTIN}}]),
        ({"mtls": {"enabled": True}}, [{"op": "add", "path": "/spec/mtls/ca", "value": BUILTIN}]),
        ({"mtls": {"ca": {}}}, [{"op": "add", "path": "/spec/mtls/ca/builtin", "value": {}}]),
        ({"mtls": {"ca": {"provided": {}}}, "later": 1}, []),
        (
            {"mtls": {"ca": BUILTIN}, "metrics": {"prometheus": {"port": 0, "x/y": 1}}},
            [
                {"op": "add", "path": "/spec/metrics/prometheus/path", "value": "/metrics"},
                {"op": "replace", "path": "/spec/metrics/prometheus/port", "value": 5670},
            ],
        ),
        (
            {"mtls": {"ca": BUILTIN}, "metrics": {"prometheus": {"path": "/m"}}},
            [{"op": "add", "path": "/spec/metrics/prometheus/port", "value": 5670}],
        ),
    ],
)
def test_the_defaults_of_a_mesh(spec: Any, operations: list[dict[str, Any]]) -> None:
    assert sorted(mesh_patch(spec), key=lambda item: item["path"]) == operations


def test_a_field_keeps_its_spelling() -> None:
    item = {"spec": {"redirect_port": 0, "a/b~": {}}}
    made = patch(item, "spec", {"a/b~": {}}, {"redirectPort": 1, "a/b~": {"c": 2}})
    assert applied(item, made) == {"spec": {"redirect_port": 1, "a/b~": {"c": 2}}}


LEAF = st.integers(0, 3) | st.none() | st.text("ab", max_size=2)
TREE = st.recursive(LEAF, lambda x: st.dictionaries(st.sampled_from("ab/~"), x, max_size=3), max_leaves=8)
OBJECT = st.dictionaries(st.sampled_from("ab/~"), TREE, max_size=3)


@given(before=OBJECT, after=OBJECT, kept=TREE)
def test_every_change_arrives_and_all_else_stays(before: Any, after: Any, kept: Any) -> None:
    item = {"spec": {**copy.deepcopy(before), "unknown": kept}}
    made = applied(item, patch(item, "spec", before, after))
    assert made["spec"]["unknown"] == kept
    missing = [key for key, value in after.items() if not _holds(made["spec"].get(key), value)]
    assert missing == []
    assert patch(item, "spec", before, before) == []


def _holds(made: Any, wanted: Any) -> bool:
    if isinstance(made, dict) and isinstance(wanted, dict):
        return all(_holds(made.get(key), value) for key, value in wanted.items())
    return bool(made == wanted)
