"""The dashboard and the alerts: each asks for metrics and labels that there are, and in a way that gives an answer.

What there is says ``metrics.md``, which another test compares with a control plane.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

ROOT = Path(__file__).parents[2]
REFERENCE_FOLDER = ROOT / "docs" / "reference"
REFERENCE = (REFERENCE_FOLDER / "metrics.md").read_text()
BOARD = json.loads((ROOT / "examples" / "grafana" / "control-plane.json").read_text())
ALERTS = ROOT / "examples" / "prometheus" / "alerts.yaml"
OF_PROMETHEUS = {"job", "instance"}
"""Labels that every series has."""
GROWTH = {"rate", "increase"}
"""What a counter is read by: its number alone means nothing."""
PANELS = [item for item in BOARD["panels"] if item["type"] != "row"]
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


@dataclass(frozen=True)
class Documented:
    """A row of the page."""

    type: str
    labels: frozenset[str]
    text: str


ROWS = {
    name: Documented(type, frozenset(re.findall(r"`(\w+)`", labels)), text)
    for name, type, labels, text in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", REFERENCE, re.M)
}


def series(name: str) -> tuple[Documented, str]:
    """The metric that a series is of, and which of its parts."""
    if name in ROWS:
        assert ROWS[name].type != "histogram", (
            f"{name} has buckets, a count and a sum, and no number of its own"
        )
        return ROWS[name], ROWS[name].type
    base, _, part = name.rpartition("_")
    assert base in ROWS, f"there is no metric {name}"
    assert ROWS[base].type == "histogram", f"there is no metric {name}"
    assert part in ("bucket", "count", "sum"), name
    return ROWS[base], part


def problems(expression: str) -> list[str]:
    """What is wrong with an expression."""
    plain = expression.replace("$__rate_interval", "5m")
    try:
        return list(_walk(promql.parse(plain), []))
    except (ValueError, AssertionError) as error:
        return [str(error)]


def _walk(node: Any, above: list[Any]) -> Iterator[str]:
    if isinstance(node, promql.MatrixSelector):
        yield from _selector(node.vector_selector, above)
    elif isinstance(node, promql.VectorSelector):
        yield from _selector(node, above)
    else:
        if isinstance(node, promql.AggregateExpr):
            yield from _labels(node)
        for child in _children(node):
            yield from _walk(child, [*above, node])


def _children(node: Any) -> list[Any]:
    found = [getattr(node, name, None) for name in ("lhs", "rhs", "expr")]
    return [child for child in (*found, *getattr(node, "args", ())) if child is not None]


def _labels(node: Any) -> Iterator[str]:
    """A sum keeps the labels that it is by, if there are any."""
    kept = set(node.modifier.labels) if node.modifier else set()
    for name in _selectors(node):
        of, part = series(name)
        if unknown := kept - of.labels - OF_PROMETHEUS - ({"le"} if part == "bucket" else set()):
            yield f"{name} has no label {sorted(unknown)}"
        if part == "bucket" and "le" not in kept and not _calls_quantile(node.expr):
            yield f"{name} loses its buckets in a sum that is not by (le)"


def _calls_quantile(node: Any) -> bool:
    is_one = isinstance(node, promql.Call) and node.func.name == "histogram_quantile"
    return is_one or any(map(_calls_quantile, _children(node)))


def _selectors(node: Any) -> list[str]:
    if isinstance(node, promql.MatrixSelector):
        return [node.vector_selector.name]
    if isinstance(node, promql.VectorSelector):
        return [node.name]
    return [name for child in _children(node) for name in _selectors(child)]


def _selector(node: Any, above: list[Any]) -> Iterator[str]:
    of, part = series(node.name)
    calls = [item.func.name for item in above if isinstance(item, promql.Call)]
    grows = part not in ("gauge", "info")
    if grows and (not calls or calls[-1] not in GROWTH):
        yield f"{node.name} only grows: ask for its rate or increase"
    if not grows and set(calls) & GROWTH:
        yield f"{node.name} is a gauge: its rate means nothing"
    if (part == "bucket") != ("histogram_quantile" in calls):
        yield f"{node.name} and histogram_quantile belong together"
    for matcher in node.matchers.matchers:
        if matcher.name not in of.labels | OF_PROMETHEUS:
            yield f"{node.name} has no label {matcher.name}"
        elif matcher.name not in {*OF_PROMETHEUS, "code"}:
            values = matcher.value.split("|")
            yield from (
                f"{node.name}: {matcher.name} is never {value}" for value in values if not _is_told(of, value)
            )


def _is_told(of: Documented, value: str) -> bool:
    """Whether the row, or the page of states that it leads to, knows the value."""
    states = (REFERENCE_FOLDER / "status.md").read_text() if "status.md" in of.text else ""
    return f"`{value}`" in of.text + states


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("sum(kuma_leader", "end of input|unclosed|expected|unexpected"),
        ("kuma_leaders", "there is no metric kuma_leaders"),
        ("kuma_leader_count", "there is no metric"),
        ("kuma_component_ends_total", "only grows"),
        ("sum(kuma_xds_write_to_ack_seconds_count)", "only grows"),
        ("rate(kuma_leader[5m])", "is a gauge"),
        ("kuma_xds_write_to_ack_seconds", "no number of its own"),
        ("rate(kuma_xds_write_to_ack_seconds_bucket[5m])", "belong together"),
        ("histogram_quantile(0.9, rate(kuma_xds_write_to_ack_seconds_sum[5m]))", "belong together"),
        (
            "histogram_quantile(0.9, sum by (job) (rate(kuma_store_call_seconds_bucket[5m])))",
            "loses its buckets",
        ),
        ("sum by (colour) (kuma_leader)", r"no label \['colour'\]"),
        ('kuma_sds_certificates{colour="red"}', "no label colour"),
        ('kuma_sds_certificates{age=~"late|purple"}', "age is never purple"),
    ],
)
def test_what_is_wrong_is_found(expression: str, problem: str) -> None:
    found = problems(expression)
    assert found
    assert re.search(problem, "\n".join(found)), found


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        assert problems(target["expr"]) == [], target["expr"]
        assert target["expr"].count('{job=~"$job", instance=~"$instance"') == len(
            _selectors(promql.parse(target["expr"].replace("$__rate_interval", "5m")))
        ), "a panel follows the choice of job and control plane"
        assert target["datasource"]["uid"] == "${datasource}"


def test_the_legend_names_labels_that_the_series_still_have() -> None:
    for target in (target for panel in PANELS for target in panel["targets"]):
        labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        kept = re.findall(r"\bby \(([^)]*)\)", target["expr"])
        if kept:
            assert labels <= set(re.split(r",\s*", kept[-1])), target
        else:
            names = _selectors(promql.parse(target["expr"].replace("$__rate_interval", "5m")))
            assert labels <= series(names[0])[0].labels | OF_PROMETHEUS, target


def test_the_board_can_be_imported() -> None:
    assert {item["name"] for item in BOARD["templating"]["list"]} == {"datasource", "job", "instance"}
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert problems(rule["expr"]) == []
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
    of, _ = series(_selectors(promql.parse(rule["expr"]))[0])
    assert told <= (set(re.split(r",\s*", kept[-1])) if kept else of.labels | OF_PROMETHEUS)


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"Kuma[A-Za-z]+", name) for name in names)


def test_promtool_agrees_where_it_is() -> None:
    """Elsewhere the same grammar, of the parser above, has to do."""
    if promtool := shutil.which("promtool"):
        done = subprocess.run(
            [promtool, "check", "rules", str(ALERTS)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert ALERTS.name in REFERENCE
