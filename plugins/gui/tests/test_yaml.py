"""The YAML that pages show is what `kumactl apply` reads: PyYAML gets back the same data."""

from __future__ import annotations

import json

import yaml

from plugins.gui import build_web

ODD = [
    "", " ", "a b", " a", "a ", "~", "null", "yes", "No", "on", "true", "1", "1.5", "1e3", "0x10", "0o7", "1_000",
    "1:30", "\x85", "\x7f", "\ufeff",
    "2020-01-01", "2020-01-01T00:00:00Z", "12:34:56", ".5", ".inf", "-.inf", ".nan", "-", "- a", "-1", "?", "? a", ":",
    "a: b", "a:b", "a:", "a #b", "a#b", "#a", "&a", "*", "*a", "!a", "|", ">", "%a", "@a", "`a", "{a}", "[a]", "a,b",
    "'a'",
    '"a"', "a\\b", "a\nb", "a\tb", "\u2028", "\x1b[31m", "é", "🐻", "=", "<<", "...", "---", "10.1.0.4:9000:8080",
    ":10000",
    "127.0.0.1", "::1", "service", "kuma.io/service", "http://x.example/a?b=c", "<b>x</b>",
]  # fmt: skip
SHAPES = [
    {},
    [],
    {"a": {}, "b": [], "c": None, "d": True, "e": 0, "f": -1.5},
    [[1, [2, [3]]], {"a": [{"b": {"c": []}}]}, [], {}],
    {"networking": {"inbound": [{"interface": "10.1.0.4:9000:8080", "tags": {"service": "web", "*": "*"}}]}},
    {text: text for text in ODD},
    list(ODD),
    [{text: [text]} for text in ODD],
]


def test_what_pages_show_is_read_as_it_was() -> None:
    script = (
        "import { toYaml } from './src/parts/to-yaml.ts';"
        f"console.log(JSON.stringify({json.dumps(SHAPES)}.map(toYaml)));"
    )
    words = ("--experimental-strip-types", "--no-warnings", "--input-type=module", "-e", script)
    shown = json.loads(build_web.any_node().output(*words))
    assert [yaml.safe_load(text) for text in shown] == SHAPES
    assert shown[4].startswith('networking:\n  inbound:\n  - interface: "10.1.0.4:9000:8080"\n')
