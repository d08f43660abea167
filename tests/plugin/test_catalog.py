"""What the kernel takes from plugins and what it refuses, always with the plugin's name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import pytest

from kuma_core import builtin
from kuma_core.errors import ConfigError, PluginError
from kuma_core.plugin.catalog import Catalog, build_catalog
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.plugin.loader import Plugin, State
from kuma_core.sdk import (
    NUMBER,
    TEXT,
    Ends,
    Generator,
    Policy,
    PolicyScope,
    ResourceType,
    Route,
    Setting,
    Spec,
    StoreFactory,
)

CONTEXT: Any = object()


def module(**functions: Callable[..., Any]) -> ModuleType:
    """A plugin module whose functions are marked as hook implementations."""
    made = ModuleType("made")
    for name, function in functions.items():
        setattr(made, name, hookimpl(function))
    return made


def bringing(hook: str, *values: Any) -> ModuleType:
    """A plugin module that returns the values from one hook."""
    if hook in ("routes", "components"):
        return module(**{f"kuma_register_{hook}": lambda context: values})
    return module(**{f"kuma_register_{hook}": lambda: values})


def plugin(name: str, what: object) -> Plugin:
    return Plugin(name, f"acme-{name}", "2.0", State.LOADED, module=what)


def catalog(**plugins: object) -> Catalog:
    return build_catalog(builtin, [plugin(name, what) for name, what in plugins.items()])


def refusal(**plugins: object) -> PluginError:
    with pytest.raises(PluginError) as caught:
        catalog(**plugins).routes(CONTEXT)
    return caught.value


class CardSpec(Spec):
    """A spec for tests."""

    text: str = ""


def kind(name: str, path: str, singular: str = "", aliases: tuple[str, ...] = ()) -> ResourceType:
    return ResourceType(name, path, CardSpec, singular or path.removesuffix("s"), aliases)


def setting(path: str, env: str, aliases: tuple[str, ...] = ()) -> Setting:
    return Setting(path, env, "", TEXT, "For tests.", "Test", aliases=aliases)


def generate(view: object) -> list[Any]:
    return []


def open_nothing(config: object) -> Any:
    raise AssertionError("nothing is opened in phase 1")


class Part:
    """A component for tests."""

    leader_only = False

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, stop: object) -> None:
        """Do nothing."""


# -- what is taken


def test_values_are_frozen_and_remember_their_plugins() -> None:
    made = catalog(
        cards=bringing("resource_types", kind("Card", "cards")),
        shelf=bringing("stores", StoreFactory("shelf", open_nothing)),
        paint=bringing("generators", Generator("paint", 350, generate)),
    )
    assert made.kinds["Card"].path == "cards"
    assert made.kinds.owner("Card") == "cards"
    assert made.kinds.owner("Mesh") == "builtin"
    assert made.store("shelf").name == "shelf"
    names = [item.name for item in made.generators]
    assert names.index("inbound") < names.index("paint") < names.index("outbound")
    assert made.provides["cards"] == ("kind Card",)
    with pytest.raises(TypeError):
        made.stores["other"] = StoreFactory("other", open_nothing)  # type: ignore[index]
    with pytest.raises(AttributeError):
        made.generators = ()  # type: ignore[misc]


def test_any_iterable_will_do() -> None:
    made = catalog(cards=module(kuma_register_resource_types=lambda: iter([kind("Card", "cards")])))
    assert "Card" in made.kinds


def test_the_order_of_plugins_changes_nothing() -> None:
    plugins = {
        "a": bringing("generators", Generator("late", 900, generate)),
        "b": bringing("generators", Generator("early", 10, generate)),
        "c": bringing("resource_types", kind("Card", "cards"), kind("Ace", "aces")),
    }
    pictures = set()
    for order in itertools.permutations(plugins.items()):
        made = catalog(**dict(order))
        pictures.add(
            (
                tuple(item.name for item in made.generators),
                tuple(item.name for item in made.kinds),
                tuple(item.path for item in made.settings),
                tuple(sorted(made.provides.items())),
            )
        )
    assert len(pictures) == 1


def test_plugins_that_are_not_loaded_are_not_asked() -> None:
    blocked = Plugin("cards", "acme-cards", "2.0", State.BLOCKED)
    assert "Card" not in build_catalog(builtin, [blocked]).kinds


def test_each_hook_is_called_once() -> None:
    calls: list[str] = []

    def stores() -> Iterable[StoreFactory]:
        calls.append("stores")
        return []

    made = catalog(a=module(kuma_register_stores=stores))
    made.kinds, made.stores, made.provides  # noqa: B018 - to look is not to call
    assert calls == ["stores"]


# -- two plugins, one word


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        (kind("Card", "cards"), kind("Card", "maps"), '"card"'),
        (kind("Card", "cards"), kind("Map", "cards", "map"), '"cards"'),
        (kind("Card", "cards"), kind("Map", "maps", "card"), '"card"'),
        (kind("Card", "cards", aliases=("tile",)), kind("Map", "maps", aliases=("tile",)), '"tile"'),
        (kind("Card", "cards", aliases=("play-card",)), kind("PlayCard", "x", "y"), '"playcard"'),
    ],
    ids=["name", "path", "singular", "alias", "alias and name"],
)
def test_kinds_that_clash(one: ResourceType, two: ResourceType, what: str) -> None:
    error = refusal(a=bringing("resource_types", one), b=bringing("resource_types", two))
    assert str(error).startswith('plugins "')
    assert '"a"' in str(error)
    assert '"b"' in str(error)
    assert f"both bring the kind {what}; start without it: --plugins no:" in str(error)


CLASHES: list[tuple[str, Any, Any, str]] = [
    ("stores", StoreFactory("shelf", open_nothing), StoreFactory("shelf", open_nothing), 'store "shelf"'),
    ("generators", Generator("paint", 1, generate), Generator("paint", 2, generate), 'generator "paint"'),
    ("generators", Generator("x", 7, generate), Generator("y", 7, generate), 'order of a generator "7"'),
    ("config", setting("x.y", "KUMA_A"), setting("x.y", "KUMA_B"), 'configuration key "x.y"'),
    ("config", setting("x.y", "KUMA_A"), setting("x.z", "KUMA_A"), 'environment variable "KUMA_A"'),
    ("config", setting("x.y", "KUMA_A"), setting("x.z", "KUMA_B", ("KUMA_A",)), 'variable "KUMA_A"'),
    ("routes", Route("/x/{a}", object()), Route("/x/{b}", object()), 'route "x/{}"'),
    ("routes", Route("/x", object()), Route("/x/", object()), 'route "x"'),
]


@pytest.mark.parametrize(("hook", "one", "two", "what"), CLASHES, ids=[clash[3] for clash in CLASHES])
def test_values_that_clash(hook: str, one: Any, two: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "kuma_register_routes", hookimpl(lambda context: []))
    error = refusal(a=bringing(hook, one), b=bringing(hook, two))
    assert str(error).startswith('plugins "a" and "b" both bring the ')
    assert what in str(error)
    assert str(error).endswith("--plugins no:b")
    twice = refusal(a=bringing(hook, one, two))
    assert str(twice).startswith('plugin "a" brings the ')
    assert str(twice).endswith("twice; start without it: --plugins no:a")


def test_components_of_one_name_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "kuma_register_components", hookimpl(lambda context: []))
    made = catalog(a=bringing("components", Part("clock")), b=bringing("components", Part("clock")))
    with pytest.raises(PluginError, match='plugins "a" and "b" both bring the component "clock"'):
        made.components(CONTEXT)


def test_against_the_kernel_it_is_the_plugin_that_is_left_out() -> None:
    for name in ("acme", "zeta"):
        error = refusal(**{name: bringing("resource_types", kind("Mesh", "m3shes"))})
        assert "builtin" in str(error)
        assert str(error).endswith(f"--plugins no:{name}")
        assert error.plugin == name


def test_a_key_inside_another_key_is_refused() -> None:
    error = refusal(
        a=bringing("config", setting("acme.size", "KUMA_A")),
        b=bringing("config", setting("acme.size.unit", "KUMA_B")),
    )
    assert '"acme.size.unit" of plugin "b" lies inside the key "acme.size" of plugin "a"' in str(error)


def test_an_empty_variable_clashes_with_nothing() -> None:
    made = catalog(a=bringing("config", setting("a.x", ""), setting("a.y", "")))
    assert {"a.x", "a.y"} <= {item.path for item in made.settings}


def test_one_module_under_two_names_is_refused() -> None:
    same = module(kuma_register_stores=lambda: [])
    error = refusal(a=same, b=same)
    assert str(error) == (
        'plugin "b" (acme-b 2.0): its module is that of the plugin "a"; start without it: --plugins no:b'
    )


def test_the_name_of_the_kernel_is_taken() -> None:
    assert 'the name "builtin" is taken' in str(refusal(builtin=module()))


# -- mistakes in a plugin


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
def test_a_component_that_lacks_something(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "kuma_register_components", hookimpl(lambda context: []))
    parts = {"name": "clock", "leader_only": False, "run": lambda stop: None}
    del parts[missing]
    made = catalog(acme=bringing("components", type("Clock", (), parts)()))
    with pytest.raises(PluginError, match=r'plugin "acme".*lacks a name, leader_only or run'):
        made.components(CONTEXT)


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


def test_a_hook_of_phase_2_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "kuma_register_routes", hookimpl(lambda context: []))

    def explode(context: object) -> Any:
        raise LookupError("no such shelf")

    error = refusal(acme=module(kuma_register_routes=explode))
    assert 'plugin "acme": kuma_register_routes failed: LookupError: no such shelf' in str(error)


# -- the store


def test_no_store_at_all() -> None:
    with pytest.raises(ConfigError, match=r"no store plugin is loaded.*pip install kuma-store-memory"):
        catalog().store("memory")


def test_a_store_that_is_not_there() -> None:
    made = catalog(
        b=bringing("stores", StoreFactory("shelf", open_nothing)),
        a=bringing("stores", StoreFactory("drawer", open_nothing)),
    )
    with pytest.raises(ConfigError) as caught:
        made.store("postgres")
    assert str(caught.value) == (
        'store.type is "postgres", and no loaded plugin brings that store. Install kuma-store-postgres, '
        "or choose one that is loaded: drawer, shelf"
    )


# -- one test for each hook: what it gives reaches its place (docs/reference/hooks.md has the examples)


def test_hook_kuma_register_config() -> None:
    brought = Setting("acme.size", "KUMA_ACME_SIZE", 3, NUMBER, "How much.", "Acme")
    assert brought in catalog(acme=bringing("config", brought)).settings


def test_hook_kuma_register_resource_types() -> None:
    assert catalog(acme=bringing("resource_types", kind("Card", "cards"))).kinds["Card"].spec is CardSpec


def test_hook_kuma_register_stores() -> None:
    factory = StoreFactory("shelf", open_nothing)
    assert catalog(acme=bringing("stores", factory)).store("shelf") is factory


def test_hook_kuma_register_generators() -> None:
    brought = Generator("paint", 350, generate)
    assert brought in catalog(acme=bringing("generators", brought)).generators


def _only(monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    monkeypatch.setattr(builtin, f"kuma_register_{hook}", hookimpl(lambda context: []))


def policy(kind: str, order: int) -> Policy:
    return Policy(kind, order, PolicyScope.OUTBOUND, lambda spec: Ends(), lambda matches, subject: None)


def test_hook_kuma_register_policies() -> None:
    found = catalog(acme=bringing("policies", policy("Mesh", 2), policy("Dataplane", 1)))
    assert [item.kind for item in found.policies] == ["Dataplane", "Mesh"]
    with pytest.raises(PluginError, match="has no such kind of resources"):
        catalog(acme=bringing("policies", policy("Nothing", 1)))
    with pytest.raises(PluginError, match='order of a policy "1"'):
        catalog(one=bringing("policies", policy("Mesh", 1)), two=bringing("policies", policy("Dataplane", 1)))


def test_hook_kuma_register_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "routes")
    seen: dict[str, Any] = {}
    route = Route("/acme", object())

    def routes(context: Mapping[str, Any]) -> list[Route]:
        seen["context"] = context
        return [route]

    assert catalog(acme=module(kuma_register_routes=routes)).routes(CONTEXT) == (route,)
    assert seen["context"] is CONTEXT


def test_hook_kuma_register_components(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "components")
    part = Part("clock")
    assert catalog(acme=bringing("components", part)).components(CONTEXT) == (part,)
