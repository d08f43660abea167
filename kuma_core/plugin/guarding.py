"""Puts what plugins registered behind the boundary: whoever calls it, for a proxy or for ``explain``, passes it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from kuma_core.plugin.boundary import Boundary, Endless, PluginBarred, bounded, makes
from kuma_core.plugin.registration import is_builtin
from kuma_core.policy.contract import Ends, Policy, Scope
from kuma_core.xds.contract import Draft, Generator, ProxyView
from kuma_core.xds.proxy import Proxy

MOST_DRAFTS = 50_000
"""How many drafts a generator may give for one proxy: some 15 000 services' worth."""
REMEMBERED_BUILDS = 256
"""How many ``build`` functions of a plugin are remembered behind the boundary; they are functions of a module."""

REMEMBERED_PROXIES = 20_000
"""For how many proxies a generator's last drafts are remembered; resources keep them alive anyway."""

DraftGuard = Callable[[Any], Draft]
"""Checks what is to be a draft of a plugin, and puts its ``build`` behind the boundary."""


def guarded_generator(generator: Generator, boundary: Boundary) -> Generator:
    """The generator behind the boundary; those of the kernel are part of it, and stay as they are."""
    if is_builtin(generator.plugin):
        return generator
    what = f'generator "{generator.name}"'
    guard_draft = _draft_guard(generator.plugin, what, boundary)

    def take(found: Iterable[Any]) -> list[Draft]:
        return [guard_draft(draft) for draft in bounded(found, MOST_DRAFTS)]

    guarded = boundary.guard(generator.plugin, what, generator.generate, take)
    return replace(generator, generate=_Remembering(guarded))


def guarded_policy(policy: Policy, boundary: Boundary) -> Policy:
    """The policy with all of its functions behind the boundary."""
    if is_builtin(policy.plugin):
        return policy
    plugin, kind, guard = policy.plugin, policy.kind, boundary.guard
    apply = policy.apply
    if apply is not None and policy.scope is Scope.PROXY:
        apply = _checked_apply(apply, _draft_guard(plugin, f"a draft of {kind}", boundary))
    return replace(
        policy,
        ends=guard(plugin, f"ends of {kind}", policy.ends, _ends),
        resolve=guard(plugin, f"resolve of {kind}", policy.resolve, _hashable),
        apply=guard(plugin, f"apply of {kind}", apply) if apply else None,
        prepare=guard(plugin, f"prepare of {kind}", policy.prepare, _work) if policy.prepare else None,
        admits=guard(plugin, f"admits of {kind}", policy.admits, _names) if policy.admits else None,
    )


class _Remembering:
    """A generator that, while its plugin is in quarantine, gives what it gave last for a proxy.

    It runs for the proxies of every mesh, and none of them is to stand still for it. One for which it never gave
    anything gets nothing of it.
    """

    def __init__(self, guarded: Callable[[ProxyView], list[Draft]]) -> None:
        self._guarded = guarded
        self._last: dict[Proxy, list[Draft]] = {}

    def __call__(self, view: ProxyView) -> list[Draft]:
        try:
            drafts = self._guarded(view)
        except PluginBarred as error:
            view.warn(f"{error.what} adds nothing new: {error}")
            return self._last.get(view.proxy, [])
        if makes():  # what a dry run imagines counts for nobody
            self._remember(view.proxy, drafts)
        return drafts

    def _remember(self, proxy: Proxy, drafts: list[Draft]) -> None:
        if proxy not in self._last and len(self._last) >= REMEMBERED_PROXIES:
            del self._last[next(iter(self._last))]
        self._last[proxy] = drafts


def _draft_guard(plugin: str, what: str, boundary: Boundary) -> DraftGuard:
    @lru_cache(REMEMBERED_BUILDS)
    def guarded_build(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return boundary.guard(plugin, f"build of {what}", build)

    def guard_draft(draft: Any) -> Draft:
        if not isinstance(draft, Draft):
            raise TypeError(f"it gave {_shown(draft)}, which is no Draft")
        if not (isinstance(draft.type_url, str) and isinstance(draft.name, str)):
            raise TypeError("the type URL and the name of a Draft are texts")
        if draft.encoded is not None and not isinstance(draft.encoded, bytes):
            raise TypeError("what is encoded in a Draft is bytes")
        guarded = replace(draft, build=guarded_build(draft.build))
        hash(guarded)  # proxies share by it, and it may be the plugin's code, too
        return guarded

    return guard_draft


def _checked_apply(apply: Callable[[Any, Any], None], guard_draft: DraftGuard) -> Callable[[Any, Any], None]:
    """What edits all drafts of a proxy, and may have put anything among them."""

    def checked(drafts: dict[Any, Any], conf: Any) -> None:
        before = dict(drafts)
        apply(drafts, conf)
        if len(drafts) > len(before) + MOST_DRAFTS:
            raise Endless(f"it added more than {MOST_DRAFTS} drafts")
        for key, draft in list(drafts.items()):
            if before.get(key) is not draft:
                drafts[key] = guard_draft(draft)

    return checked


def _hashable(found: Hashable | None) -> Hashable | None:
    """What ``resolve`` returned. Proxies share by it, so it has to have a hash, which may be the plugin's code, too."""
    hash(found)
    return found


def _work(found: Any) -> Callable[[], object] | None:
    """What ``prepare`` returned. The kernel calls it where no proxy waits for it, and it may take its time."""
    if found is not None and not callable(found):
        raise TypeError(f"it returned {_shown(found)}, which is no function")
    work: Callable[[], object] | None = found
    return work


def _names(found: Any) -> tuple[str, ...]:
    """What ``admits`` returned."""
    if type(found) is not tuple or not all(type(name) is str for name in found):
        raise TypeError(f"it returned {_shown(found)}, which is no tuple of names")
    names: tuple[str, ...] = found
    return names


def _ends(found: Any) -> Ends:
    """What ``ends`` returned. An index is made of it, so all of it is looked at."""
    if not isinstance(found, Ends):
        raise TypeError(f"it returned {_shown(found)}, which is no Ends")
    for selectors in (found.sources, found.destinations):
        if not isinstance(selectors, tuple) or not all(_is_tag_pairs(selector) for selector in selectors):
            raise TypeError("the selectors of Ends are tuples of tuples of pairs of text")
    return found


def _is_tag_pairs(selector: Any) -> bool:
    return isinstance(selector, tuple) and all(
        type(pair) is tuple and len(pair) == 2 and type(pair[0]) is str and type(pair[1]) is str
        for pair in selector
    )


def _shown(value: Any) -> str:
    return f"a value of the type {type(value).__name__}"
