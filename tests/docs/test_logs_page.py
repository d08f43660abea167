"""``docs/reference/logs.md`` has every line that a control plane writes at ``info`` and above, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kuma_core.log_levels import LEVELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "logs.md").read_text(encoding="utf-8")
OTHER_PROGRAMS = ("dataplane", "kumactl", "testing")
"""Beside them, kuma-injector has a page of its own."""
METHODS = {"info", "warning", "error", "critical", "exception"}
SPOKEN_ELSEWHERE = {
    "kuma_core/runtime/process.py": {("warning", "…")},
    "kuma_core/builtin/rotation/observer.py": {
        ("warning", "a rotation waits for these proxies"),
        ("warning", "a stage of a rotation ended without these proxies"),
    },
}
"""Where a line is a variable: what it may hold."""
OF_THE_QUEUE = ("warning", "… lines were lost here: …")

Line = tuple[str, str]
"""Level and message."""


def sources() -> Iterator[Path]:
    kernel = (path for path in (ROOT / "kuma_core").rglob("*.py") if path.parts[-2] not in OTHER_PROGRAMS)
    yield from sorted(kernel)
    of_plugins = (ROOT / "plugins").glob("*/kuma_*/**/*.py")
    yield from sorted(path for path in of_plugins if "kuma_injector_k8s" not in path.parts)


def words(node: ast.expr) -> str | None:
    """What is certain of a message; ``None`` for a variable."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(words(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return f"{words(node.left) or '…'}{words(node.right) or '…'}"
    return None


def is_log(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("log", "_log")


def told(call: ast.Call) -> tuple[str, ast.expr] | None:
    """Level and message of a call that logs."""
    function = call.func
    if (
        isinstance(function, ast.Attribute)
        and function.attr in METHODS
        and is_log(function.value)
        and call.args
    ):
        return function.attr, call.args[0]
    if isinstance(function, ast.Name) and function.id == "CountedLine":
        level = words(call.args[1])
        assert level in LEVELS
        return level, call.args[2]
    return None


def lines_of(path: Path) -> Iterator[Line]:
    place = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found = told(node) if isinstance(node, ast.Call) else None
        if found:
            level, message = found[0], words(found[1])
            if message is None:
                assert place in SPOKEN_ELSEWHERE, f"{place}:{node.lineno}: the message of a line is a literal"
                yield from SPOKEN_ELSEWHERE[place]
            elif level != "debug":
                yield level, message


def rows() -> Iterator[list[str]]:
    table = PAGE.partition("\n## Lines\n")[2]
    for row in re.findall(r"^\| `.*$", table, re.M):
        yield [cell.strip() for cell in row.strip("|").split(" | ")]


def test_every_line_has_a_row_and_every_row_a_line() -> None:
    written = {line for path in sources() for line in lines_of(path)} | {OF_THE_QUEUE}
    documented = {(level, message) for _, level, message, *_ in rows()}
    assert written - documented == set(), "lines without a row in docs/reference/logs.md"
    assert documented - written == set(), "rows of lines that nobody writes"


def test_what_is_wrong_has_something_to_do() -> None:
    assert [
        row for row in rows() if row[1] in ("warning", "error") and len(row[3].strip("|").strip()) < 10
    ] == []


def test_every_component_of_a_row_is_explained() -> None:
    components = PAGE.partition("\n## Components\n")[2].partition("\n## Lines\n")[0]
    named = {name for row in rows() for name in re.findall(r"`([^`]+)`", row[0])}
    assert {name for name in named if f"`{name}`" not in components} == {"log"}


def test_every_logger_of_the_code_is_explained() -> None:
    components = PAGE.partition("\n## Components\n")[2].partition("\n## Lines\n")[0]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    loggers = set(re.findall(r'get_logger\("([^"]+)"\)', text)) | set(
        re.findall(r'^COMPONENT = "(.*)"$', text, re.M)
    )
    assert len(loggers) > 25
    assert {name for name in loggers if f"`{name}`" not in components} == set()
