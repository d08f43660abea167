"""Mistakes in a plugin: each is told with the plugin's name and the way out."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from kuma_core.errors import PluginError
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import StoreFactory

from .support import bringing, module, open_nothing, opened, refusal


def bad(what: str) -> ModuleType:
    made = ModuleType("bad")
    if what == "unknown hook":
        made.kuma_register_shops = hookimpl(lambda: [])  # type: ignore[attr-defined]
    elif what == "no decorator":
        made.kuma_register_stores = lambda: []  # type: ignore[attr-defined]
    elif what == "unknown argument":
        made.kuma_register_stores = hookimpl(lambda config: [])  # type: ignore[attr-defined]
    elif what == "default argument":
        made.kuma_register_routes = hookimpl(lambda context=None: [])  # type: ignore[attr-defined]
    elif what == "keyword-only argument":
        made.kuma_register_routes = hookimpl(_keyword_only)  # type: ignore[attr-defined]
    elif what == "coroutine":
        made.kuma_register_stores = hookimpl(_coroutine)  # type: ignore[attr-defined]
    elif what == "wrapper":
        made.kuma_register_stores = hookimpl(wrapper=True)(_wrapper)  # type: ignore[attr-defined]
    elif what == "wrapper of another name":
        made.my_stores = hookimpl(wrapper=True, specname="kuma_register_stores")(_wrapper)  # type: ignore[attr-defined]
    return made


def _keyword_only(*, context: object) -> list[Any]:
    return []


async def _coroutine() -> list[Any]:
    return []


def _wrapper() -> Any:
    return (yield)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("unknown hook", "kuma_register_shops"),
        ("no decorator", "kuma_register_stores lacks the @hookimpl decorator"),
        ("unknown argument", "config"),
        ("default argument", 'parameter "context" of kuma_register_routes may have no default'),
        ("keyword-only argument", "kuma_register_routes"),
        ("coroutine", "kuma_register_stores must be a plain function, not a coroutine"),
        ("wrapper", "kuma_register_stores may not be a hook wrapper"),
        ("wrapper of another name", "kuma_register_stores may not be a hook wrapper"),
    ],
)
def test_a_hook_that_is_written_wrongly(what: str, sentence: str) -> None:
    error = refusal(acme=bad(what))
    assert str(error).startswith('plugin "acme" (acme-acme 2.0): ')
    assert sentence in str(error)
    assert "\n" not in str(error)
    assert error.plugin == "acme"


@pytest.mark.parametrize("hook", ["config", "resource_types", "stores", "generators", "routes"])
def test_a_value_of_the_wrong_type(hook: str) -> None:
    error = refusal(acme=bringing(hook, "nonsense"))
    assert str(error).startswith(f"plugin \"acme\": kuma_register_{hook} returned 'nonsense', which is no ")
    assert error.hook == f"kuma_register_{hook}"


@pytest.mark.parametrize("missing", ["name", "leader_only", "run"])
def test_a_component_that_lacks_something(missing: str) -> None:
    parts = {"name": "clock", "leader_only": False, "run": lambda stop: None}
    del parts[missing]
    brought = bringing("components", type("Clock", (), parts)())
    with pytest.raises(PluginError, match=r'plugin "acme".*lacks a name, leader_only or run'):
        opened(acme=brought)


@pytest.mark.parametrize("hook", ["stores", "config", "generators", "resource_types"])
def test_a_hook_that_raises(hook: str) -> None:
    def explode() -> Any:
        raise LookupError("no such shelf")

    error = refusal(acme=module(**{f"kuma_register_{hook}": explode}))
    assert str(error) == (
        f'plugin "acme": kuma_register_{hook} failed: LookupError: no such shelf. '
        "Repair it, or start without it: --plugins no:acme"
    )
    assert isinstance(error.__cause__, LookupError)


def test_a_hook_that_raises_in_the_middle_of_its_answer() -> None:
    def some() -> Any:
        yield StoreFactory("shelf", open_nothing)
        raise OSError("disk on fire")

    assert "kuma_register_stores failed: OSError: disk on fire" in str(
        refusal(acme=module(kuma_register_stores=some))
    )


def test_a_hook_that_returns_nothing() -> None:
    assert 'plugin "acme": kuma_register_stores failed: TypeError' in str(
        refusal(acme=module(kuma_register_stores=lambda: None))
    )


def test_a_hook_of_phase_2_that_raises() -> None:
    def explode(context: object) -> Any:
        raise LookupError("no such shelf")

    error = refusal(acme=module(kuma_register_routes=explode))
    assert 'plugin "acme": kuma_register_routes failed: LookupError: no such shelf' in str(error)
