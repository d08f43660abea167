"""Templates: Mustache over the raw text of documents, before YAML is read.

The rules: specification of the command line, 7.3. mstache does the work. What differs from a web page's
Mustache: nothing is escaped, for YAML is not HTML; variables are flat text; there are no partials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kuma_core.errors import KumaError


class TemplateError(KumaError):
    """The template is malformed, or a variable is not set; the message names source and line."""


def render(text: str, variables: Mapping[str, str], source: str, strict: bool) -> str:
    """``text`` with its tags replaced. A variable that is not set is empty, or with ``strict`` an error.

    A section ``{{#name}}…{{/name}}`` stands if the variable is set and not empty, ``{{^name}}`` otherwise;
    asking so is no error under ``strict``. Raises TemplateError.
    """
    if "{{" not in text:
        return text
    import mstache

    try:
        rendered: str = mstache.render(
            text,
            variables,
            getter=_Lookup(text, variables, source, strict),
            escape=_as_it_is,
            resolver=_no_partials(text, source),
        )
    except mstache.TokenException as error:
        message = f"{source}: the template is malformed: {_lower_first(str(error))}"
        raise TemplateError(f"{message}; write {{{{=<< >>=}}}} first if the braces are meant") from None
    return rendered


class _Lookup:
    """How mstache finds the value of a name: in our variables alone, never in attributes of objects."""

    def __init__(self, text: str, variables: Mapping[str, str], source: str, strict: bool) -> None:
        self._text, self._variables, self._source, self._strict = text, variables, source, strict

    def __call__(self, scope: Any, _scopes: Sequence[Any], key: str | bytes, default: Any = None) -> Any:
        key = key if isinstance(key, str) else key.decode()
        if key == ".":
            return scope if isinstance(scope, str) else default
        if key in self._variables:
            return self._variables[key]
        asked_by_section = default is None  # a variable tag hands over a marker instead
        if self._strict and not asked_by_section:
            line = _line_of(self._text, key)
            hint = f"set it with -v {key}=VALUE" if key else "a tag needs a name"
            raise TemplateError(f'{self._source}, line {line}: variable "{key}" is not set; {hint}')
        return default


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
