"""The configuration as YAML with comments, in the shape of the file that ``kuma-cp`` reads."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kuma_core.config import Config, Setting
from kuma_core.visible import escaped

WIDTH = 100
"""The longest line of a comment."""

HEADER = """\
# The configuration of kuma-cp with every default, written by `kuma-cp config defaults`.
# It is read only if it is named: kuma-cp run -c kuma-cp.conf
# Above each key is the environment variable that means the same and wins.
"""

Tree = dict[str, Any]
"""Settings by the steps of their paths."""


def defaults(settings: Iterable[Setting]) -> str:
    """A whole file with the default of every setting, each with its help and its environment variables."""
    lines = _lines(_tree(settings), 0, lambda setting: setting.type.show(setting.default), _explained)
    return HEADER + "".join(f"{line}\n" for line in lines)


def with_sources(config: Config) -> str:
    """The effective values, each with a comment that says where it came from, and without secrets."""
    lines = _lines(_tree(config.settings), 0, config.shown, None, lambda s: config.sources[s.path])
    return "".join(f"{line}\n" for line in lines)


def to_yaml(value: Any) -> str:
    """A value of JSON as YAML, keys in their order, with a final newline."""
    return _dumped(value, sort_keys=False)


def _dumped(value: Any, **style: Any) -> str:
    """As YAML, with letters of all languages, unless there is among them what a terminal would obey."""
    import yaml

    text = str(yaml.safe_dump(value, allow_unicode=True, width=sys.maxsize, **style))
    if escaped(text) == text:
        return text
    return str(yaml.safe_dump(value, allow_unicode=False, width=sys.maxsize, **style))


def _tree(settings: Iterable[Setting]) -> Tree:
    tree: Tree = {}
    for setting in settings:
        *sections, key = setting.path.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = setting
    return tree


def _lines(
    tree: Tree,
    level: int,
    shown: Callable[[Setting], Any],
    above: Callable[[Setting], Iterable[str]] | None = None,
    behind: Callable[[Setting], str] | None = None,
) -> Iterator[str]:
    """The lines of a mapping; ``above`` gives comments to put before a key, ``behind`` one to put after it."""
    indent = "  " * level
    for key, member in tree.items():
        if above and not level:
            yield ""
        if isinstance(member, dict):
            yield f"{indent}{key}:"
            yield from _lines(member, level + 1, shown, above, behind)
            continue
        for comment in above(member) if above else ():
            yield from _comment(comment, f"{indent}# ")
        first, *rest = _scalar(shown(member))
        yield f"{indent}{key}: {first}" + (f"  # {behind(member)}" if behind else "")
        yield from (f"{indent}  {line}" for line in rest)


def _comment(text: str, start: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _explained(setting: Setting) -> list[str]:
    return [setting.help, f"ENV: {', '.join((setting.env, *setting.aliases))}"]


def _scalar(value: Any) -> list[str]:
    """The lines of a value: one, or a block for text of several lines."""
    if isinstance(value, str) and value.endswith("\n") and value.strip() and escaped(value) == value:
        return ["|", *value.removesuffix("\n").split("\n")]
    text = _dumped(value, default_flow_style=True)
    return [text.removesuffix("\n...\n").strip()]
