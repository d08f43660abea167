"""One test for each hook: what it gives reaches its place (docs/reference/hooks.md has the examples)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kuma_core.errors import PluginError
from kuma_core.sdk import NUMBER, Ends, Generator, Policy, PolicyScope, Route, Setting, StoreFactory

from .support import CONTEXT, CardSpec, Part, bringing, catalog, generate, kind, module, open_nothing, opened


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
    found = catalog(acme=bringing("generators", brought)).generators
    assert ("paint", 350, "acme") in [(item.name, item.order, item.plugin) for item in found]


def policy(kind: str, order: int) -> Policy:
    return Policy(kind, order, PolicyScope.OUTBOUND, lambda spec: Ends(), lambda matches, subject: None)


def test_hook_kuma_register_policies() -> None:
    found = catalog(acme=bringing("policies", policy("Mesh", 2), policy("Dataplane", 1)))
    assert [item.kind for item in found.policies] == ["Dataplane", "Mesh"]
    with pytest.raises(PluginError, match="has no such kind of resources"):
        catalog(acme=bringing("policies", policy("Nothing", 1)))
    with pytest.raises(PluginError, match='order of a policy "1"'):
        catalog(one=bringing("policies", policy("Mesh", 1)), two=bringing("policies", policy("Dataplane", 1)))


def test_hook_kuma_register_routes() -> None:
    seen: dict[str, Any] = {}
    route = Route("/acme", object())

    def routes(context: Mapping[str, Any]) -> list[Route]:
        seen["context"] = context
        return [route]

    assert opened(acme=module(kuma_register_routes=routes)).routes == (route,)
    assert seen["context"].config is CONTEXT.config


def test_hook_kuma_register_components() -> None:
    part = Part("clock")
    assert opened(acme=bringing("components", part)).components == (part,)
