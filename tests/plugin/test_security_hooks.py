"""Certificate authorities, admin routes and admission: what is taken, what is refused, and by whose fault."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin import FEATURES
from kuma_core.ca.authorities import OpenedAuthorities, open_authorities
from kuma_core.config import Config
from kuma_core.errors import PluginError, Severity, StoreUnavailable, Violation
from kuma_core.lifecycle import Stop
from kuma_core.model import Resource, ResourceKey
from kuma_core.plugin.catalog import Catalog, build_catalog
from kuma_core.plugin.hookspecs import hookimpl, of_kinds
from kuma_core.plugin.loader import Plugin, State
from kuma_core.sdk import CaProviderFactory, Route
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import running_platform

ANY: Any = object()
CARD = Resource(ResourceKey("Card", "default", "a"), None)


def module(**functions: Callable[..., Any]) -> ModuleType:
    made = ModuleType("made")
    for name, function in functions.items():
        setattr(made, name, hookimpl(function))
    return made


def catalog(**plugins: ModuleType) -> Catalog:
    loaded = [
        Plugin(name, f"acme-{name}", "2.0", State.LOADED, module=what) for name, what in plugins.items()
    ]
    return build_catalog(FEATURES, loaded)


class FakeCa:
    """An authority that is good for nothing; ``fails`` is raised by every method."""

    def __init__(self, fails: Exception | None = None, *violations: Violation) -> None:
        self.fails, self.violations = fails, violations
        self.ensured: list[str] = []

    def _maybe(self) -> None:
        if self.fails:
            raise self.fails

    def validate(self, mesh: str, conf: Any) -> Any:
        self._maybe()
        return self.violations

    def ensure(self, mesh: str) -> None:
        self._maybe()
        self.ensured.append(mesh)

    def trust_anchors(self, mesh: str) -> list[str]:
        self._maybe()
        return ["anchor"]

    def issue(self, mesh: str, public_key: str, uris: Any, ttl: timedelta) -> str:
        self._maybe()
        return "chain"


def bringing(name: str, provider: Any, open_error: Exception | None = None) -> ModuleType:
    def opened(config: Config, secrets: Any) -> Any:
        if open_error:
            raise open_error
        return provider

    return module(kuma_register_ca_providers=lambda: [CaProviderFactory(name, opened)])


def authorities(**plugins: ModuleType) -> OpenedAuthorities:
    return open_authorities(catalog(**plugins).ca_providers, Config([], {}, {}), ANY)


# -- kuma_register_ca_providers


def test_hook_kuma_register_ca_providers() -> None:
    made = catalog(vault=bringing("vault", FakeCa()))
    assert list(made.ca_providers) == ["vault"]
    assert made.provides["vault"] == ("ca provider vault",)
    opened = open_authorities(made.ca_providers, Config([], {}, {}), ANY)["vault"]
    assert opened.trust_anchors("shop") == ("anchor",)
    assert opened.issue("shop", "key", ["uri"], timedelta(hours=1)) == "chain"


def test_two_plugins_may_not_bring_one_authority() -> None:
    with pytest.raises(PluginError, match='"one" and "two" both bring the certificate authority "vault"'):
        catalog(one=bringing("vault", FakeCa()), two=bringing("vault", FakeCa()))


def test_an_authority_that_cannot_be_opened_is_told_with_its_plugin() -> None:
    with pytest.raises(PluginError) as caught:
        authorities(acme=bringing("vault", FakeCa(), OSError("no such host")))
    assert caught.value.plugin == "acme"
    for part in ('plugin "acme"', '"vault" cannot be opened', "no such host", "--plugins no:acme"):
        assert part in str(caught.value)


CALLS: list[Callable[[Any], Any]] = [
    lambda authority: authority.validate("shop", {}),
    lambda authority: authority.ensure("shop"),
    lambda authority: authority.trust_anchors("shop"),
    lambda authority: authority.issue("shop", "key", ["uri"], timedelta(hours=1)),
]


@pytest.mark.parametrize("call", CALLS)
def test_whatever_an_authority_raises_is_told_with_its_plugin(call: Callable[[Any], Any]) -> None:
    authority = authorities(acme=bringing("vault", FakeCa(ValueError("sealed"))))["vault"]
    with pytest.raises(PluginError, match=r'plugin "acme": .*"vault" failed: ValueError: sealed'):
        call(authority)


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_is_away_is_not_the_authoritys_fault(call: Callable[[Any], Any]) -> None:
    authority = authorities(acme=bringing("vault", FakeCa(StoreUnavailable("away"))))["vault"]
    with pytest.raises(StoreUnavailable):
        call(authority)


def test_an_authority_may_watch_and_is_attached_again() -> None:
    seen, twice, stop = [], threading.Event(), Stop()

    class Watched(FakeCa):
        def watch(self, changed: Callable[[str], None], stop: Stop) -> None:
            changed("shop")
            stop.wait(10)

    def changed(name: str) -> None:
        seen.append(name)
        twice.set()

    opened = authorities(acme=bringing("vault", Watched()), other=bringing("plain", FakeCa()))
    opened.listen(changed)
    thread = threading.Thread(target=opened.watch, args=(stop,))
    thread.start()
    assert twice.wait(10)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert seen == ["shop"]


# -- kuma_register_admin_routes


def test_hook_kuma_register_admin_routes() -> None:
    class Page:
        def on_get(self, req: Any, resp: Any) -> None:
            resp.media = {"hello": "operator"}

    plugin = module(kuma_register_admin_routes=lambda context: [Route("/acme", Page())])
    with running_platform([kuma_store_memory, plugin]) as cp:
        assert cp.request("GET", "/acme", port=cp.admin).body == {"hello": "operator"}
        assert cp.get("/acme").status == 404


def test_an_admin_route_of_the_kernel_is_not_replaced() -> None:
    plugin = module(kuma_register_admin_routes=lambda context: [Route("/tokens", object())])
    with (
        pytest.raises(PluginError, match=r'"builtin\.tokens" and "made" both bring the admin route "tokens"'),
        running_platform([kuma_store_memory, plugin]),
    ):
        raise AssertionError("it started")


# -- kuma_admit


def admitting(answer: Callable[..., Any]) -> ModuleType:
    return module(kuma_admit=answer)


def test_hook_kuma_admit() -> None:
    loud = Violation("text", "is loud", Severity.WARNING)
    no = Violation("text", "is forbidden")

    def b(previous: Any, resource: Any) -> list[Violation]:
        return [no] if previous is None else []

    admission = catalog(b=admitting(b), a=admitting(lambda resources: [loud])).admission(
        OpenedAuthorities({})
    )
    assert admission(CARD, None, ANY) == [loud, no]
    assert admission(None, CARD, ANY) == [loud]


def test_who_says_of_which_kinds_is_asked_about_no_other() -> None:
    """Nor does a write of another kind wait for the plugin, in quarantine or not."""
    no = Violation("text", "is forbidden")
    about = {kind: of_kinds(kind)(lambda: [no]) for kind in (CARD.key.type, "Mesh")}
    for kind, found in ((CARD.key.type, [no]), ("Mesh", [])):
        made = catalog(acme=admitting(about[kind]))
        assert made.admission(OpenedAuthorities({}))(CARD, None, ANY) == found
        assert made.admission(OpenedAuthorities({}))(None, CARD, ANY) == found
    made.boundary.quarantine.bar("acme", "it was bad")
    assert made.admission(OpenedAuthorities({}))(CARD, None, ANY) == []


def test_admission_is_shown_among_what_a_plugin_brings() -> None:
    assert catalog(acme=admitting(lambda: [])).provides["acme"] == ("admission",)


def test_an_admission_without_the_decorator_is_refused() -> None:
    plugin = ModuleType("made")
    plugin.__dict__["kuma_admit"] = lambda resource: []
    with pytest.raises(PluginError, match="kuma_admit lacks the @hookimpl decorator"):
        catalog(acme=plugin)


def test_what_an_admission_raises_is_told_with_its_plugin() -> None:
    def broken() -> list[Violation]:
        raise ValueError("oops")

    admission = catalog(acme=admitting(broken)).admission(OpenedAuthorities({}))
    with pytest.raises(PluginError, match='plugin "acme": kuma_admit failed: ValueError: oops') as caught:
        admission(CARD, None, ANY)
    assert caught.value.hook == "kuma_admit"


def test_an_answer_that_is_no_violation_is_told_with_its_plugin() -> None:
    admission = catalog(acme=admitting(lambda: ["no"])).admission(OpenedAuthorities({}))
    with pytest.raises(PluginError, match="plugin \"acme\": kuma_admit returned 'no', which is no Violation"):
        admission(CARD, None, ANY)


def test_a_store_that_is_away_is_not_the_admissions_fault() -> None:
    def away() -> list[Violation]:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        catalog(acme=admitting(away)).admission(OpenedAuthorities({}))(CARD, None, ANY)


def test_errors_refuse_and_warnings_are_told_on_put_and_delete() -> None:
    def ask(resource: Any, previous: Any, resources: Any) -> Any:
        name = (resource or previous).name
        if name == "no":
            yield Violation("name", "is taken by somebody important")
        if name == "odd":
            count = len(resources.list("Mesh"))
            yield Violation("name", f"is odd among {count}", Severity.WARNING)

    with running_platform([kuma_store_memory, admitting(ask)]) as cp:
        refused = cp.put("/meshes/no", mesh("no"))
        assert refused.status == 400
        assert refused.body["causes"] == [{"field": "name", "message": "is taken by somebody important"}]
        assert cp.get("/meshes/no").status == 404
        for expected in (201, 200):
            told = cp.put("/meshes/odd", mesh("odd"))
            assert told.status == expected
            assert "is odd among" in told.headers["Warning"]
        deleted = cp.delete("/meshes/odd")
        assert deleted.status == 200
        assert "is odd among 2" in deleted.headers["Warning"]


def test_a_deletion_can_be_refused() -> None:
    def ask(resource: Any, previous: Any) -> Any:
        if resource is None:
            yield Violation("name", "stays")

    with running_platform([kuma_store_memory, admitting(ask)]) as cp:
        tried = cp.delete("/meshes/default?dry-run=xds")
        assert (tried.status, tried.body["causes"]) == (400, [{"field": "name", "message": "stays"}])
        assert cp.delete("/meshes/default").status == 400
        assert cp.get("/meshes/default").status == 200
        assert cp.delete("/meshes/nowhere").status == 404


def test_a_broken_admission_is_a_500_that_hides_nothing_from_the_log() -> None:
    def broken(resource: Any) -> Any:
        if resource and resource.name == "x":
            raise ValueError("oops")
        return []

    with running_platform([kuma_store_memory, admitting(broken)]) as cp:
        assert cp.put("/meshes/x", mesh("x")).status == 500
        assert cp.put("/meshes/y", mesh("y")).status == 201
