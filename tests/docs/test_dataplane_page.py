"""``docs/reference/dataplane.md``: its example is applied, and each of its messages is what a document is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kuma_core.errors import Severity
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "dataplane.md").read_text(encoding="utf-8")
REFUSED: list[dict[str, Any]] = [
    {"inbound": [("10.0.0.1:80:1", "a"), ("10.0.0.1:80:2", "b")]},
    {"inbound": [("10.0.0.1:80:1", "a"), ("0.0.0.0:80:2", "b")]},
    {"inbound": [("127.0.0.1:80:80", "a")]},
    {"inbound": [("10.0.0.1:80:1", "a")], "outbound": [(":1", "b")]},
    {"inbound": [("224.0.0.1:80:1", "a")]},
    {"inbound": [("255.255.255.255:80:1", "a")]},
    {"inbound": [("10.0.0.1:80:1", "*")]},
]
WARNED: list[dict[str, Any]] = [
    {"inbound": [("0.0.0.0:80:1", "a")]},
    {"inbound": [("10.0.0.1:80:1", "a")], "outbound": [("0.0.0.0:2", "b")]},
    {"inbound": [("010.0.0.1:80:1", "a")]},
    {"inbound": [("10.0.0.1:80:1", "a"), ("10.0.0.1:80:1", "a")]},
    {"inbound": [("10.0.0.1:80:1", "a")], "metrics": 80},
]


def told(case: dict[str, Any], severity: Severity) -> list[str]:
    networking = {
        "inbound": [{"interface": text, "tags": {"service": name}} for text, name in case["inbound"]],
        "outbound": [{"interface": text, "service": name} for text, name in case.get("outbound", ())],
    }
    metrics = {"metrics": {"prometheus": {"port": case["metrics"]}}} if "metrics" in case else {}
    spec, _ = parse_spec(DataplaneSpec, {"networking": networking, **metrics})
    return [item.message for item in spec.violations() if item.severity is severity]


def patterns(heading: str) -> list[str]:
    """The messages of the table with this heading, as patterns; capitals stand for what a document says."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    cells = (line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    found = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    return [re.sub(r"\b(A|B|P|IP|FIELD)\b", r"[\\w.:\\[\\]]+", re.escape(text)) for text in found]


def shown(pattern: str, messages: list[str]) -> bool:
    return any(re.match(pattern.replace("…", ".*"), message) for message in messages)


def test_every_message_is_told_and_every_one_that_is_told_is_there() -> None:
    for heading, cases, severity in (
        ("Message", REFUSED, Severity.ERROR),
        ("Warning", WARNED, Severity.WARNING),
    ):
        messages = [message for case in cases for message in told(case, severity)]
        for pattern in patterns(heading):
            assert shown(pattern, messages), (pattern, messages)
        for message in messages:
            assert any(shown(pattern, [message]) for pattern in patterns(heading)), message


def test_the_example_is_good() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    document = yaml.safe_load(text)
    spec, unknown = parse_spec(DataplaneSpec, {key: document[key] for key in ("networking", "metrics")})
    assert (unknown, list(spec.violations())) == ([], [])
