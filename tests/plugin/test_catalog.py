"""What the kernel takes from plugins and what it refuses, always with the plugin's name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from kuma_core.builtin import FEATURES
from kuma_core.errors import ConfigError, PluginError
from kuma_core.plugin.catalog import build_catalog
from kuma_core.plugin.loader import Plugin, State
from kuma_core.plugin.registration import way_out
from kuma_core.sdk import Generator, ResourceType, Route, Spec, StoreFactory

from .support import Part, bringing, catalog, generate, kind, module, open_nothing, opened, refusal, setting

# -- what is taken


def test_values_are_frozen_and_remember_their_plugins() -> None:
    made = catalog(
        cards=bringing("resource_types", kind("Card", "cards")),
        shelf=bringing("stores", StoreFactory("shelf", open_nothing)),
        paint=bringing("generators", Generator("paint", 350, generate)),
    )
    assert made.kinds["Card"].path == "cards"
    assert made.kinds.owner("Card") == "cards"
    assert made.kinds.owner("Mesh") == "builtin.mesh"
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
    assert "Card" not in build_catalog(FEATURES, [blocked]).kinds


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


class CardSpec(Spec):
    """Two fields that cannot be kept, one of them below another."""

    colours: set[str] = set()
    pages: dict[str, tuple[bytes, ...]] = {}


def test_a_kind_whose_fields_cannot_be_kept_is_refused_with_their_names() -> None:
    error = refusal(a=bringing("resource_types", ResourceType("Card", "cards", CardSpec, "card")))
    assert str(error) == (
        'plugin "a": resources of the kind "Card" could not be kept as written: '
        "colours: the type set[str] is not supported; use tuple[X, ...]; "
        "pages: the type bytes is not supported; use str, with a text in base64. "
        "Repair it, or start without it: --plugins no:a"
    )
    assert (error.plugin, error.hook) == ("a", "kuma_register_resource_types")


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
def test_values_that_clash(hook: str, one: Any, two: Any, what: str) -> None:
    error = refusal(a=bringing(hook, one), b=bringing(hook, two))
    assert str(error).startswith('plugins "a" and "b" both bring the ')
    assert what in str(error)
    assert str(error).endswith("--plugins no:b")
    twice = refusal(a=bringing(hook, one, two))
    assert str(twice).startswith('plugin "a" brings the ')
    assert str(twice).endswith("twice; start without it: --plugins no:a")


def test_components_of_one_name_clash() -> None:
    with pytest.raises(PluginError, match='plugins "a" and "b" both bring the component "clock"'):
        opened(a=bringing("components", Part("clock")), b=bringing("components", Part("clock")))


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


def test_a_part_of_the_kernel_is_never_what_is_left_out() -> None:
    inside = refusal(acme=bringing("config", setting("apiServer", "KUMA_A")))
    assert 'lies inside the key "apiServer" of plugin "acme"; start without it: --plugins no:acme' in str(
        inside
    )
    assert inside.plugin == "acme"
    for name in ("builtin", "builtin.tokens"):
        assert way_out(name) == "install the kernel anew: pip install '.[cp]' in a checkout"
    assert way_out("builtinx", "the other") == "start without the other: --plugins no:builtinx"


def test_the_name_of_the_kernel_is_taken() -> None:
    """The flag leaves out an installed plugin of that name, and nothing of the kernel."""
    said = str(refusal(builtin=module()))
    assert said.endswith('the name "builtin" is taken; start without it: --plugins no:builtin')


# -- the store


def test_no_store_at_all() -> None:
    with pytest.raises(
        ConfigError,
        match=r"no store plugin is loaded.*: pip install '\./plugins/store_memory\[cp\]' in a checkout \(or",
    ):
        catalog().store("memory")


def test_a_store_that_is_not_there() -> None:
    made = catalog(
        b=bringing("stores", StoreFactory("shelf", open_nothing)),
        a=bringing("stores", StoreFactory("drawer", open_nothing)),
    )
    with pytest.raises(ConfigError) as caught:
        made.store("postgres")
    assert str(caught.value) == (
        'store.type is "postgres", and no loaded plugin brings that store. Install kuma-store-postgres '
        "(pip install './plugins/store_postgres[cp]' in a checkout), "
        "or choose one that is loaded: drawer, shelf"
    )
