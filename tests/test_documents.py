"""Reading YAML and JSON: what is taken for what, the bounds, and the sentence for each failure."""

from __future__ import annotations

import builtins
import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.documents import MAX_DEPTH, DocumentError, load_documents, shown, to_json

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def refused(text: str, source: str = "f.yaml") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        load_documents(text, source)
    assert str(caught.value).startswith(f"{source}, line {caught.value.line}, column {caught.value.column}: ")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture(params=["libyaml", "pure Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers that PyYAML may have."""
    if request.param == "pure Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML was built without libyaml")


@given(JSON_VALUES)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    text = json.dumps({"v": value})
    assert load_documents(text, "x") == [json.loads(text)]


@pytest.mark.usefixtures("parser")
def test_several_documents_without_the_empty_ones() -> None:
    text = '---\n# nothing\n---\na: 1\n---\n---\n{"b": [2]}\n---\n~\n---\n- c\n...\n'
    assert load_documents(text, "x") == [{"a": 1}, {"b": [2]}, ["c"]]


@pytest.mark.parametrize("text", ["", "  \n", "# only a comment\n", "---\n---\n", "\ufeff"])
def test_a_text_without_a_document(text: str) -> None:
    assert load_documents(text, "x") == []


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("on", "on"),
        ("No", "No"),
        ("y", "y"),
        ("0755", "0755"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        (".5", ".5"),
        ("+1", "+1"),
        (".inf", ".inf"),
        ("NaN", "NaN"),
        ("1.0.0", "1.0.0"),
        ("=", "="),
        ("0", 0),
        ("-12", -12),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ("18446744073709551615", 18446744073709551615),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"1"', "1"),
        ("'true'", "true"),
        ('""', ""),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!int 3", 3),
        ('!!int "3"', 3),
        ("!!null ''", None),
    ],
)
def test_plain_words_are_what_json_would_make_of_them(plain: str, value: Any) -> None:
    read = load_documents(f"a: {plain}\n", "x")[0]["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.usefixtures("parser")
def test_block_text_comes_as_written() -> None:
    assert load_documents("a: |\n  1\n  2\nb: >-\n  x\n  y\n", "x") == [{"a": "1\n2\n", "b": "x y"}]


@pytest.mark.usefixtures("parser")
def test_anchors_and_merges() -> None:
    text = "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: {<<: [{b: 9}, *x]}\nf: *x\ng: {'<<': 1}\n"
    (value,) = load_documents(text, "x")
    assert value["d"] == {"b": 1, "c": 3}
    assert value["e"] == {"b": 9, "c": 2}
    assert value["f"] == {"b": 1, "c": 2}
    assert value["g"] == {"<<": 1}


def test_surrogate_pairs_of_json_become_one_character() -> None:
    assert load_documents('{"a": "\\ud83d\\ude00"}', "x") == [{"a": "😀"}]
    assert refused('{"a": "\\ud83d"}').line == 1


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: [1,\n", 3, 1, "neither YAML nor JSON"),
        ("a: 1\n\tb: 2", 2, 1, "neither YAML nor JSON"),
        ("- a\nb: c\n", 2, 1, "neither YAML nor JSON"),
        ("a: b: c", 1, 5, "mapping values are not allowed"),
        ("@a", 1, 1, "neither YAML nor JSON"),
        ("a: 1\na: 2\n", 2, 1, 'key "a" occurs twice'),
        ('{"a": {"b": 1,\n  "b": 2}}', 2, 3, 'key "b" occurs twice'),
        ("x: 0\n1: a", 2, 1, "key 1 is not text; put it in quotes"),
        ("true: a", 1, 1, "key true is not text"),
        ("? [a]\n: b", 1, 3, "this one is a list or a mapping"),
        ("? {a: b}\n: b", 1, 3, "this one is a list or a mapping"),
        ("a: &k [1]\n? *k\n: 1", 2, 3, "key *k is not text"),
        ("a: *b", 1, 4, "this alias refers to an anchor that does not come before it"),
        ("a: &b [*b]", 1, 8, "this alias refers to itself"),
        ("a: &b 1\n---\na: *b", 3, 4, "does not come before it"),
        ("a: !!python/object/apply:os.system [x]", 1, 4, "this tag is not understood"),
        ("a: !!python/name:os.system ''", 1, 4, "is not understood"),
        ("a: !!timestamp 2020-01-01", 1, 4, "this tag is not understood"),
        ("a: !!binary aGk=", 1, 4, "this tag is not understood"),
        ("a: !!set {b}", 1, 4, "this tag is not understood"),
        ("a: !!map [b]", 1, 4, "this tag is not understood"),
        ("a: -1e999", 1, 4, "too large"),
        ('{"a":\n 1e999}', 2, 2, "too large"),
        ("a: " + "9" * 5000, 1, 4, "too large"),
        ("<<: 3", 1, 5, '"<<" wants a mapping'),
        ("a: \x00", 1, 4, "character U+0000 is not allowed"),
        ("a: 1\nb: \x1b", 2, 4, "character U+001B is not allowed"),
    ],
)
def test_every_failure_names_source_line_and_column(text: str, line: int, column: int, words: str) -> None:
    error = refused(text)
    assert words in str(error)
    assert (error.line, abs(error.column - column) <= 2) == (line, True)  # the two parsers differ by a step


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 5000])
@pytest.mark.parametrize("pair", ["[]", '{"a":', "- "])
def test_nesting_is_bounded(levels: int, pair: str) -> None:
    text = {"[]": "[" * levels + "]" * levels, '{"a":': '{"a":' * levels + "1" + "}" * levels}
    error = refused(text.get(pair, "- " * levels + "x"))
    assert f"nested deeper than {MAX_DEPTH} levels" in str(error)


def test_the_deepest_that_is_allowed() -> None:
    assert load_documents("[" * MAX_DEPTH + "]" * MAX_DEPTH, "x")
    assert load_documents("- " * MAX_DEPTH + "x", "x")


@pytest.mark.usefixtures("parser")
def test_nesting_by_aliases_is_bounded_too() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, MAX_DEPTH + 1)]
    assert f"nested deeper than {MAX_DEPTH}" in str(refused("\n".join(lines)))
    assert load_documents("\n".join(lines[: MAX_DEPTH - 2]), "x")


@pytest.mark.usefixtures("parser")
def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a: &a [" + ",".join("x" * 9) + "]"]
    lines += [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    started = time.process_time()
    assert "more than 500000 values" in str(refused("\n".join(lines)))
    assert time.process_time() - started < 1


def test_the_number_of_values_is_bounded() -> None:
    assert "more than 500000 values" in str(refused("[" + "1," * 500_001 + "1]"))


def test_flawless_json_does_not_pay_for_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(name: str, *args: Any) -> Any:
        assert name != "yaml"
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    assert load_documents('\n {"a": 1}', "x") == [{"a": 1}]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("number", ["1e3", "1.0", "-2.5E-1", "0.10", "1E+2"])
@pytest.mark.parametrize("form", ["a: {}\nb: [true, x]\n", '{{"a": {}, "b": [true, "x"]}}'])
def test_numbers_stay_as_they_were_written_for_who_asks(number: str, form: str) -> None:
    (read,) = load_documents(form.format(number), "x", as_written=True)
    assert (read["a"], shown(read["a"])) == (float(number), number)
    assert to_json(read) == f'{{"a": {number}, "b": [true, "x"]}}'
    assert type(load_documents(form.format(number), "x")[0]["a"]) is float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (7, "7"),
        (0.5, "0.5"),
        ("it's", '"it\'s"'),
        ('a "b" \\', '"a \\"b\\" \\\\"'),
        ("caf\u00e9", '"caf\u00e9"'),
        ("\u200b\n", '"\\u200b\\n"'),
        ("x" * 38, f'"{"x" * 38}"'),
        ("x" * 39, f'"{"x" * 39}\u2026'),
        (10**50, "1" + "0" * 39 + "\u2026"),
        ({}, "a mapping"),
        ([1], "a list"),
    ],
)
def test_a_value_is_shown_as_people_write_it(value: object, text: str) -> None:
    assert shown(value) == text


JOINTS = ["", " ", "\n", "\r\n\t", "\n\n"]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("joint", JOINTS)
def test_documents_of_json_may_follow_one_another(joint: str) -> None:
    values = [{"a": "} {"}, [1, {"b": None}], {}, {"a": 2}]
    text = joint.join(map(json.dumps, values))
    assert load_documents(text, "x") == values
    assert load_documents(f"\ufeff\n{text}\n", "x") == values


@pytest.mark.usefixtures("parser")
def test_yaml_may_follow_json_behind_its_mark() -> None:
    text = '{"a": 1}{"b": 2}\n---\nc: 3\n---\n{"d": 4}\n'
    assert load_documents(text, "x") == [{"a": 1}, {"b": 2}, {"c": 3}, {"d": 4}]
    assert load_documents('{"a": 1} # words\n---\nb: 2', "x") == [{"a": 1}, {"b": 2}]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{"a": 1}\n  {"b": 1, "b": 2}', 2, 12, 'key "b" occurs twice'),
        ('{"a": 1}{"b": 1,\n "b": 2}', 2, 2, 'key "b" occurs twice'),
        ('{"a": 1} {"b": 1, "b": 2}', 1, 19, 'key "b" occurs twice'),
        ('{"a": 1}\n{"b": [1}', 2, 9, "neither YAML nor JSON"),
        ('{"a": 1}\n{"b": 1e999}', 2, 7, "too large"),
        ('{"a": 1}\n{"b": "\x1b"}', 2, 8, "U+001B is not allowed"),
        ("{a: 1}\n{b: 2}", 2, 1, "put a line --- between two documents"),
        ('{"a": 1}\nb: 2', 2, 1, "neither YAML nor JSON"),
        ('{"a": 1}\n"b"', 2, 1, "neither YAML nor JSON"),
        ('{"a": 1}: 2', 1, 1, "a list or a mapping"),
    ],
)
def test_what_is_wrong_behind_json_is_told_at_its_place(
    text: str, line: int, column: int, words: str
) -> None:
    error = refused(text)
    assert words in str(error)
    assert (error.line, abs(error.column - column) <= 2) == (line, True)


def test_documents_of_json_are_bounded_together_and_read_in_one_go() -> None:
    started = time.process_time()
    assert len(load_documents("{}" * 100_000, "x")) == 100_000
    assert time.process_time() - started < 10
    assert "more than 500000 values" in str(refused(f"[{'1,' * 250_000}1]" * 2))


TABS = ["a: 1\n\tb: 2", "\ta: 1", "a:\n\t- b", "- a\n-\tb", "\ufeff? \ta", "a: |\n\tx", "a: b\n\t c: d"]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", TABS)
def test_a_tab_is_called_a_tab(text: str) -> None:
    error = refused(text)
    assert error.problem == "this is neither YAML nor JSON: a tab stands here where YAML takes spaces only"
    assert text.lstrip("\ufeff").split("\n")[error.line - 1][error.column - 1] == "\t"


@pytest.mark.usefixtures("parser")
def test_another_character_is_not_called_a_tab() -> None:
    assert "a tab" not in str(refused("\u00e9: `b"))
