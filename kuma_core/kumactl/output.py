"""What commands share to print: the ``-o`` flag, YAML and JSON text."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from kuma_core.errors import KumaError
from kuma_core.visible import escaped, hides

FORMATS = ("table", "yaml", "json")

_LOOKS_NUMERIC = re.compile(
    r"[-+]?(0[xob][\da-f_]+|\.?\d[\d_]*(\.[\d_]*)?(e[-+]?\d+)?)|\d{4}-\d\d?-\d\d?.*", re.IGNORECASE
)

_TAG = "{{"
"""Where a tag of a template begins. ``kumactl apply`` takes all text as a template, what we printed too; so the
second brace, which always stands within quotes, is written as its number."""


def output_option(command: Any) -> Any:
    """Decorator: the flag ``-o``/``--output`` as parameter ``output``."""
    return _option(_check, "Output format: table, yaml or json.")(command)


def resources_option(command: Any) -> Any:
    """Decorator: as ``output_option``, for commands that print resources; formats of plugins are taken, too."""
    return _option(_check_all, "Output format: table, yaml, json, or one of a plugin's, such as kubernetes.")(
        command
    )


def _option(check: Callable[[click.Context, click.Parameter, str], str], help: str) -> Any:
    return click.option(
        "-o", "--output", default="table", show_default=True, metavar="FORMAT", callback=check, help=help
    )


def _check(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value not in FORMATS:
        raise KumaError(f'unknown output format "{value}"; use table, yaml or json')
    return value


def _check_all(ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value not in FORMATS:
        _render(ctx, value)
    return value


Render = Callable[[Sequence[Mapping[str, Any]]], str]
"""What makes the text of resources."""


def _render(ctx: click.Context, name: str) -> Render:
    find: Callable[[str], Render] = ctx.find_root().command.formats  # type: ignore[attr-defined]
    return find(name)


def is_of_plugin(output: str) -> bool:
    """Whether a format that was taken is one of a plugin's."""
    return output not in FORMATS


def resources_text(items: Sequence[Mapping[str, Any]], output: str) -> str:
    """Resources in a format of a plugin's, without the last line end. Raises KumaError."""
    return _render(click.get_current_context(), output)(items).removesuffix("\n")


def dump(value: Any, output: str) -> str:
    """``value`` as YAML or JSON text, without the last line end."""
    return (dump_yaml if output == "yaml" else dump_json)(value).removesuffix("\n")


def dump_json(value: Any) -> str:
    """A value as JSON: two spaces, keys sorted, a final newline; what a terminal would obey is escaped."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return escaped(text).replace(_TAG, r"{\u007B") + "\n"


def dump_yaml(value: Any) -> str:
    """A value of JSON as YAML with a final newline.

    Keys are sorted at all levels, the dashes of lists are not indented, and text that another reader could
    take for a number, a date or a boolean is quoted, and so is text with what a terminal would obey. No aliases.
    """
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent_text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
        resolved = dumper.resolve(yaml.ScalarNode, data, (True, False))  # type: ignore[no-untyped-call]
        is_text = resolved == "tag:yaml.org,2002:str" and not _LOOKS_NUMERIC.fullmatch(data)
        is_plain = is_text and not hides(data.replace("\n", "")) and _TAG not in data
        style = ("|" if "\n" in data else None) if is_plain else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, represent_text)
    text: str = yaml.dump(
        value, Dumper=Dumper, allow_unicode=True, width=sys.maxsize, default_flow_style=False
    )
    is_lone = text.endswith("\n...\n")  # a word by itself has this mark behind it; a text's line is indented
    return escaped(text[:-4] if is_lone else text).replace(_TAG, r"{\x7B")
