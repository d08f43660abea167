"""Which plugins are found, which are wanted, and what becomes of each."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from kuma_core import __version__
from kuma_core.errors import ConfigError, PluginError
from kuma_core.plugin.loader import Installed, State, discover, load, parse_selection, refuse_unusable


def installed(
    name: str, load: Callable[[], object] | None = None, *requires: str, distribution: str = ""
) -> Installed:
    module = ModuleType(name)
    return Installed(name, distribution or f"kuma-{name}", "1.2", requires, load or (lambda: module))


def raising(error: BaseException) -> Callable[[], object]:
    def load() -> object:
        raise error

    return load


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, {"a", "b", "store_x"}),
        ("", set()),
        ("   ", set()),
        ("a", {"a"}),
        ("a,b", {"a", "b"}),
        (" a , b ", {"a", "b"}),
        ("a,a", {"a"}),
        ("store-x", {"store_x"}),
        ("no:a", {"b", "store_x"}),
        ("no:a,no:b", {"store_x"}),
        ("no:store-x", {"a", "b"}),
        ("no:unheard-of", {"a", "b", "store_x"}),
    ],
)
def test_the_grammar_of_a_selection(text: str | None, wanted: set[str]) -> None:
    plugins = load([installed("a"), installed("b"), installed("store_x")], parse_selection(text))
    assert {plugin.name for plugin in plugins if plugin.state is State.LOADED} == wanted
    assert {plugin.name for plugin in plugins if plugin.state is State.BLOCKED} == {
        "a",
        "b",
        "store_x",
    } - wanted


@pytest.mark.parametrize("text", ["a,no:b", "no:a,b"])
def test_both_forms_at_once_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf'--plugins "{text}": name either'):
        parse_selection(text)


@pytest.mark.parametrize("text", ["a,", ",a", ",", "a,,b", "no:", "no:a,no:"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="a plugin name is empty"):
        parse_selection(text)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load([installed("a"), installed("b")], parse_selection("a,c"))
    assert 'plugin "c" is not installed here. Installed plugins: a, b.' in str(caught.value)
    with pytest.raises(ConfigError, match="Installed plugins: none"):
        load([], parse_selection("c"))


@pytest.mark.parametrize(
    "error",
    [
        ImportError("no module named envy"),
        SyntaxError("invalid syntax"),
        ZeroDivisionError("x"),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_plugin_that_cannot_be_imported_is_broken_and_alone_in_it(error: BaseException) -> None:
    good, bad = load([installed("good"), installed("ugly", raising(error))], parse_selection(None))
    assert (good.state, bad.state) == (State.LOADED, State.BROKEN)
    assert bad.module is None
    assert type(error).__name__ in bad.problem
    with pytest.raises(PluginError) as caught:
        refuse_unusable([good, bad])
    assert caught.value.plugin == "ugly"
    assert str(caught.value).startswith('plugin "ugly" (kuma-ugly 1.2) cannot be imported: ')
    assert str(caught.value).endswith("Repair or upgrade it, or start without it: --plugins no:ugly")


def test_a_blocked_plugin_is_not_imported() -> None:
    plugins = load([installed("ugly", raising(AssertionError("imported")))], parse_selection("no:ugly"))
    assert plugins[0].state is State.BLOCKED
    refuse_unusable(plugins)


@pytest.mark.parametrize(
    ("requirement", "state"),
    [
        (f"kuma-core == {__version__}", State.LOADED),
        (f"Kuma_Core >= {__version__}", State.LOADED),
        ("kuma-core", State.LOADED),
        ("kuma-core >= 99", State.INCOMPATIBLE),
        ("kuma.core < 0.0.1", State.INCOMPATIBLE),
        ("kuma-core-extras >= 99", State.LOADED),
        ("kuma-core ~= 0.0.1; python_version > '3'", State.INCOMPATIBLE),
        ("?!", State.LOADED),
    ],
)
def test_a_plugin_for_another_kernel_is_never_imported(requirement: str, state: State) -> None:
    (plugin,) = load([installed("a", None, "click >= 8", requirement)], parse_selection(None))
    assert plugin.state is state
    if state is State.INCOMPATIBLE:
        assert plugin.module is None
        with pytest.raises(PluginError, match=rf"this is kuma-core {__version__}.*--plugins no:a"):
            refuse_unusable([plugin])


def test_two_distributions_with_one_plugin_name_are_refused() -> None:
    twins = [installed("a", distribution="kuma-a"), installed("a", distribution="acme-a")]
    with pytest.raises(PluginError, match='kuma-a and acme-a both bring a plugin named "a"; uninstall one'):
        load(twins, parse_selection(None))


def test_what_is_installed_here_is_found_in_the_order_of_names() -> None:
    found = discover()
    assert "store_memory" in [item.name for item in found]
    assert [item.name for item in found] == sorted(item.name for item in found)
    assert all(item.version and item.distribution for item in found)
