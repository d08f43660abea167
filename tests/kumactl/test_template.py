"""Mustache as documents need it."""

from __future__ import annotations

import pytest

from kuma_core.kumactl.template import TemplateError, render


def rendered(text: str, strict: bool = False, **variables: str) -> str:
    return render(text, variables, "f.yaml", strict)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{a}} {{{a}}} {{&a}} {{ a }}", "<1> <1> <1> <1>"),
        ("[{{gone}}]", "[]"),
        ("x{{! a comment\nof two lines }}y", "xy"),
        ("{{#a}}yes {{.}}{{/a}}", "yes <1>"),
        ("{{#gone}}yes{{/gone}}{{^gone}}no{{/gone}}", "no"),
        ("{{#empty}}yes{{/empty}}{{^empty}}no{{/empty}}", "no"),
        ("{{#a}}{{b}}{{/a}}", "2"),
        ("a:\n{{#a}}\n- b\n{{/a}}\nc\n", "a:\n- b\nc\n"),
        ("{{=<% %>=}}<%a%> {{a}}", "<1> {{a}}"),
        ("{a: {b: c}}", "{a: {b: c}}"),
        ("{{a.upper}}{{a.__class__}}{{a.0}}", ""),
        ("{{v}}", "{{a}}"),
        ("ü{{a}}ü", "ü<1>ü"),
    ],
)
def test_tags(text: str, result: str) -> None:
    assert rendered(text, a="<1>", b="2", empty="", v="{{a}}") == result


def test_a_variable_may_have_dots_in_its_name() -> None:
    assert render("{{a.b}}", {"a.b": "1"}, "x", True) == "1"


@pytest.mark.parametrize(
    "text", ["1\n{{a", "1\n{{#a}}", "1\n{{/a}}", "1\n{{#a}}{{/b}}", "1\n{{{a}}", "1\n{{=x=}}", "1\n{{"]
)
def test_a_malformed_template_names_source_and_line(text: str) -> None:
    with pytest.raises(TemplateError, match=r"^f\.yaml: the template is malformed: .*line 2"):
        rendered(text, a="1")


def test_strict_lets_sections_ask() -> None:
    text = "{{#a}}{{a}}{{/a}}{{^a}}none{{/a}}"
    assert rendered(text, strict=True) == "none"
    assert rendered(text, strict=True, a="1") == "1"


@pytest.mark.parametrize("tag", ["{{a}}", "{{{a}}}", "{{&a}}", "{{ a }}", "{{& a}}"])
def test_strict_names_the_line(tag: str) -> None:
    with pytest.raises(TemplateError, match=r'^f\.yaml, line 3: variable "a" is not set'):
        rendered(f"x\ny\n{tag}", strict=True)


def test_partials_are_refused() -> None:
    with pytest.raises(TemplateError, match=r'^f\.yaml, line 2: partials such as "{{> other}}"'):
        rendered("x\n{{> other}}\n")


def test_a_variable_that_is_not_set_is_told_once_by_name_and_line() -> None:
    told: list[str] = []
    text = "a: {{a}}\nb: {{gone}}\nc: '{{{gone}}}'\nd: {{&empty}}\n"
    text += "{{#asked}}{{inside}}{{/asked}}{{^asked}}{{b}}{{/asked}}"
    assert render(text, {"a": "1", "empty": ""}, "f.yaml", False, told.append) == "a: 1\nb: \nc: ''\nd: \n"
    assert told == [
        f'f.yaml, line {line}: variable "{name}" is not set, so that nothing stands there; '
        f"set it with -v {name}=VALUE, or have --strict refuse it"
        for name, line in (("gone", 2), ("b", 5))
    ]
