"""Templates: Mustache over the raw text of documents, before YAML is read.

mstache does the work. What differs from a web page's Mustache: nothing is
escaped, for YAML is not HTML; variables are flat text; there are no partials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kuma_core import packages
from kuma_core.errors import KumaError


class TemplateError(KumaError):
    """The template is malformed, or a variable is not set; the message names source and line."""


def render(
    text: str,
    variables: Mapping[str, str],
    source: str,
    strict: bool,
    warn: Callable[[str], None] = lambda _text: None,
) -> str:
    """``text`` with its tags replaced. A variable that is not set is empty, or with ``strict`` an error.

    ``warn`` is told of each variable that is empty so. A section ``{{#name}}…{{/name}}`` stands if the variable is
    set and not empty, ``{{^name}}`` otherwise; asking so is neither told nor refused. Raises TemplateError.
    """
    if "{{" not in text:
        return text
    try:
        import mstache
    except ImportError:
        raise TemplateError(
            f"{source}: a template ({{{{ stands in it) needs the library mstache: "
            f"{packages.pip_install('kuma-core', 'kumactl')}"
        ) from None

    lookup = _Lookup(text, variables, source, strict)
    try:
        rendered: str = mstache.render(
            text,
            variables,
            getter=lookup,
            escape=_as_it_is,
            resolver=_no_partials(text, source),
        )
    except mstache.TokenException as error:
        message = f"{source}: the template is malformed: {_lower_first(str(error))}"
        raise TemplateError(f"{message}; write {{{{=<< >>=}}}} first if the braces are meant") from None
    for name in lookup.unset:
        warn(
            f"{lookup.problem(name)}, so that nothing stands there; {_hint(name)}, or have --strict refuse it"
        )
    return rendered


def refuse_added(
    text: str, variables: Mapping[str, str], source: str, count: Callable[[str], int | None]
) -> None:
    """Raise TemplateError if values make more documents of the template ``text`` than it has by itself.

    ``count`` tells how many documents are in a text, None for one that cannot be read. What the template has by
    itself is seen by putting a harmless word in the place of each value; where that cannot be read, because a
    value is a part of the structure, the marks between documents are counted.
    """
    if not variables or "{{" not in text:
        return
    harmless = {name: "0" if value else "" for name, value in variables.items()}

    def documents(values: Mapping[str, str]) -> int:
        rendered = render(text, values, source, strict=False)
        found = count(rendered)
        return len(_MARK.findall(rendered)) + 1 if found is None else found

    own = documents(harmless)
    if documents(variables) <= own:
        return
    guilty = [name for name in variables if documents({**harmless, name: variables[name]}) > own]
    names = ", ".join(f'"{name}"' for name in guilty or variables)
    raise TemplateError(
        f"{source}: with the value of {names} there are more documents than the template has; a variable sets a "
        "value, and adds no document: look at its line ends, quotes and brackets"
    )


_LINE_END = "\r\n\x85\u2028\u2029"
_MARK = re.compile(rf"(?:\A|[{_LINE_END}])(?:---|\.\.\.)(?=[ \t{_LINE_END}]|\Z)")
"""What stands between two documents of YAML."""


class _Lookup:
    """How mstache finds the value of a name: in our variables alone, never in attributes of objects."""

    def __init__(self, text: str, variables: Mapping[str, str], source: str, strict: bool) -> None:
        self._text, self._variables, self._source, self._strict = text, variables, source, strict
        self.unset: dict[str, None] = {}
        """The names that were asked for and are not set, in order."""

    def __call__(self, scope: Any, _scopes: Sequence[Any], key: str | bytes, default: Any = None) -> Any:
        key = key if isinstance(key, str) else key.decode()
        if key == ".":
            return scope if isinstance(scope, str) else default
        if key in self._variables:
            return self._variables[key]
        asked_by_section = default is None  # a variable tag hands over a marker instead
        if self._strict and not asked_by_section:
            raise TemplateError(f"{self.problem(key)}; {_hint(key)}")
        if not asked_by_section:
            self.unset[key] = None
        return default

    def problem(self, key: str) -> str:
        """Where a variable is missing."""
        return f'{self._source}, line {_line_of(self._text, key)}: variable "{key}" is not set'


def _hint(key: str) -> str:
    return f"set it with -v {key}=VALUE" if key else "a tag needs a name"


def _as_it_is(value: bytes) -> bytes:
    return value


def _no_partials(text: str, source: str) -> Any:
    def refuse(name: str) -> str:
        line = text.count("\n", 0, max(text.find("{{>"), 0)) + 1
        raise TemplateError(f'{source}, line {line}: partials such as "{{{{> {name}}}}}" are not supported')

    return refuse


def _line_of(text: str, key: str) -> int:
    match = re.search(r"\{\{[{&]?\s*" + re.escape(key) + r"\s*\}\}", text)
    return text.count("\n", 0, match.start()) + 1 if match else 1


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
