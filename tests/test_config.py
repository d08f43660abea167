"""Configuration: sources, types, rules, and what is shown of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.config import (
    DURATION,
    FLAG,
    MASK,
    NUMBER,
    TEXT,
    TEXTS,
    Config,
    Setting,
    ValueType,
    build_config,
)
from kuma_core.errors import ConfigError


def setting(path: str, type_: ValueType, default: Any, **more: Any) -> Setting:
    env = "KUMA_" + path.upper().replace(".", "_")
    return Setting(path, env, default, type_, "For tests.", "Shop", **more)


SHOP = (
    setting("shop.name", TEXT, "corner"),
    setting("shop.port", NUMBER, 80, check=lambda value: None if value > 0 else "Port must be positive"),
    setting("shop.open", FLAG, False),
    setting("shop.goods", TEXTS, ("tea",)),
    setting("shop.patience", DURATION, 5_000_000_000),
    setting("shop.safe.code", TEXT, "0000", secret=True, aliases=("SAFE", "OLD_SAFE")),
)


def built(document: Mapping[str, Any] | None = None, **environ: str) -> Config:
    return build_config(SHOP, document or {}, "shop.yaml", environ)


def refusal(document: Mapping[str, Any] | None = None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        built(document, **environ)
    return str(caught.value)


# -- sources


def test_defaults() -> None:
    config = built()
    assert (config.text("shop.name"), config.number("shop.port"), config.flag("shop.open")) == (
        "corner",
        80,
        False,
    )
    assert config.texts("shop.goods") == ("tea",)
    assert config.seconds("shop.patience") == 5.0
    assert set(config.sources.values()) == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default() -> None:
    config = built({"shop": {"name": "file", "port": 1}}, KUMA_SHOP_NAME="environment")
    assert (config.text("shop.name"), config.sources["shop.name"]) == ("environment", "KUMA_SHOP_NAME")
    assert (config.number("shop.port"), config.sources["shop.port"]) == (1, "shop.yaml")
    assert config.sources["shop.open"] == "default"


def test_the_file_is_merged_key_by_key() -> None:
    config = built({"shop": {"safe": {}, "open": True}})
    assert config.flag("shop.open") is True
    assert config.text("shop.safe.code") == "0000"


@pytest.mark.parametrize("document", [{"shop": None}, {"shop": {"safe": None}}, {}])
def test_an_empty_section_changes_nothing(document: dict[str, Any]) -> None:
    config = built(document)
    assert config.as_document() == built().as_document()
    assert config.warnings == ()


def test_aliases_stand_in_in_their_order() -> None:
    assert built(OLD_SAFE="3").text("shop.safe.code") == "3"
    assert built(OLD_SAFE="3", SAFE="2").text("shop.safe.code") == "2"
    config = built(OLD_SAFE="3", SAFE="2", KUMA_SHOP_SAFE_CODE="1")
    assert (config.text("shop.safe.code"), config.sources["shop.safe.code"]) == ("1", "KUMA_SHOP_SAFE_CODE")


def test_unknown_keys_are_ignored_and_told() -> None:
    config = built({"shop": {"nmae": "x", "safe": {"colour": 1}}, "shed": {"key": {"deep": []}}})
    assert config.as_document() == built().as_document()
    paths = ("shop.nmae", "shop.safe.colour", "shed")
    assert len(config.warnings) == len(paths)
    for path, warning in zip(paths, config.warnings, strict=True):
        assert warning.startswith(f'shop.yaml: unknown configuration key "{path}" is ignored')


@pytest.mark.parametrize(
    ("value", "shown"), [(5, "a number"), ("x", "text"), ([], "a list"), (True, "true or")]
)
def test_a_section_that_is_none(value: Any, shown: str) -> None:
    said = refusal({"shop": {"safe": value}})
    assert said.startswith("Invalid configuration: shop.safe (from shop.yaml): expected a section")
    assert shown in said


def test_unknown_variables_are_nobodys_business() -> None:
    assert built(KUMA_SHOP_NMAE="x", PATH="/bin").warnings == ()


# -- types


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("shop.name", "", ""),
        ("shop.name", " spaces kept ", " spaces kept "),
        ("shop.port", "8080", 8080),
        ("shop.port", "0x1F", 31),
        ("shop.port", "010", 8),
        ("shop.port", "+7", 7),
        *((("shop.open"), text, True) for text in ("1", "t", "T", "TRUE", "true", "True")),
        *((("shop.open"), text, False) for text in ("0", "f", "F", "FALSE", "false", "False")),
        ("shop.goods", "", ()),
        ("shop.goods", "tea", ("tea",)),
        ("shop.goods", "tea, salt,", ("tea", " salt", "")),
        ("shop.patience", "1m30s", 90_000_000_000),
        ("shop.patience", "0", 0),
    ],
)
def test_values_from_the_environment(path: str, text: str, value: Any) -> None:
    name = next(item.env for item in SHOP if item.path == path)
    config = built(**{name: text})
    assert config._values[path] == value
    assert config.sources[path] == name


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("KUMA_SHOP_PORT", "", "expected a whole number, got"),
        ("KUMA_SHOP_PORT", "eighty", 'expected a whole number, got "eighty"'),
        ("KUMA_SHOP_PORT", "08", 'expected a whole number, got "08"'),
        ("KUMA_SHOP_PORT", "1.5", "expected a whole number"),
        ("KUMA_SHOP_PORT", "9" * 5000, "expected a whole number"),
        ("KUMA_SHOP_OPEN", "", "expected true or false, got"),
        ("KUMA_SHOP_OPEN", "yes", 'expected true or false, got "yes"'),
        ("KUMA_SHOP_OPEN", "tRUE", "expected true or false"),
        ("KUMA_SHOP_PATIENCE", "", "is not a duration"),
        ("KUMA_SHOP_PATIENCE", "5", "is not a duration"),
        ("KUMA_SHOP_PATIENCE", "5 s", "is not a duration"),
    ],
)
def test_values_of_the_environment_that_cannot_be_read(name: str, text: str, expected: str) -> None:
    said = refusal(**{name: text})
    assert said.startswith("Invalid configuration: Shop validation failed: shop.")
    assert f"(from {name}): " in said
    assert expected in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("name", "x", "x"),
        ("name", None, ""),
        ("port", 8080, 8080),
        ("open", True, True),
        ("goods", [], ()),
        ("goods", ["a", "b,c"], ("a", "b,c")),
        ("patience", "500ms", 500_000_000),
    ],
)
def test_values_from_the_file(key: str, value: Any, read: Any) -> None:
    assert built({"shop": {key: value}})._values[f"shop.{key}"] == read


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", 5, "expected text, got a number"),
        ("name", [], "expected text, got a list"),
        ("port", "80", "expected a whole number, got text"),
        ("port", True, "expected a whole number, got true or false"),
        ("port", 80.5, "expected a whole number, got a fraction"),
        ("port", None, "expected a whole number, got null"),
        ("open", "true", "expected true or false, got text"),
        ("open", 1, "expected true or false, got a number"),
        ("goods", "tea", "expected a list of texts, got text"),
        ("goods", ["tea", 3], "expected text, got a number"),
        ("patience", 5, "expected a duration such as 500ms or 1m30s, got a number"),
        ("patience", {}, "expected a duration such as 500ms or 1m30s, got a mapping"),
    ],
)
def test_values_of_the_file_that_cannot_be_read(key: str, value: Any, expected: str) -> None:
    said = refusal({"shop": {key: value}})
    assert said == f"Invalid configuration: Shop validation failed: shop.{key} (from shop.yaml): {expected}"


@given(st.text(max_size=30))
def test_no_text_of_a_variable_does_more_than_to_be_refused(text: str) -> None:
    for item in SETTINGS:
        sentence = _refusal_of_text(item, text)
        assert sentence is None or sentence.strip()


def _refusal_of_text(item: Setting, text: str) -> str | None:
    try:
        value = item.type.from_text(text)
    except ValueError as error:
        return str(error)
    return item.check(value) if item.check else None


# -- rules


def test_a_broken_rule_names_key_value_and_source() -> None:
    assert refusal(KUMA_SHOP_PORT="-1") == (
        "Invalid configuration: Shop validation failed: Port must be positive "
        "(shop.port is -1, from KUMA_SHOP_PORT)"
    )


def test_the_first_failure_counts() -> None:
    said = refusal({"shop": {"name": 5, "port": "x"}})
    assert "shop.name" in said
    assert "shop.port" not in said


# -- what is shown


def test_a_secret_is_masked_wherever_it_could_show() -> None:
    config = built(SAFE="hush")
    assert config.text("shop.safe.code") == "hush"
    assert config.as_document()["shop"]["safe"] == {"code": MASK}
    secret = setting("shop.secret", TEXT, "x", secret=True, check=lambda value: "is too short")
    with pytest.raises(ConfigError) as caught:
        build_config([secret], {"shop": {"secret": "hush"}}, "f", {})
    assert "hush" not in str(caught.value)
    assert MASK in str(caught.value)


def test_the_document_has_the_shape_of_the_file() -> None:
    config = built({"shop": {"patience": "90s"}})
    assert config.as_document() == {
        "shop": {
            "name": "corner",
            "port": 80,
            "open": False,
            "goods": ["tea"],
            "patience": "1m30s",
            "safe": {"code": MASK},
        }
    }


def test_the_whole_configuration_can_be_shown_and_read_again() -> None:
    config = build_config(SETTINGS, {}, "none", {})
    document = json.loads(json.dumps(config.as_document()))
    again = build_config(SETTINGS, document, "file", {"KUMA_STORE_POSTGRES_PASSWORD": "kuma"})
    assert again.warnings == ()
    assert again._values == config._values


def test_changes_give_another_configuration() -> None:
    config = built()
    other = config.changed({"shop.port": 81}, "autoconfiguration", ["mind the step"])
    assert (config.number("shop.port"), other.number("shop.port")) == (80, 81)
    assert other.sources["shop.port"] == "autoconfiguration"
    assert (config.warnings, other.warnings) == ((), ("mind the step",))
