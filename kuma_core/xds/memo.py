"""Sealed resources by what they were made from: nobody builds again what any proxy has already."""

from __future__ import annotations

import re
from dataclasses import replace
from weakref import WeakValueDictionary

from kuma_core.errors import KumaError, PluginError
from kuma_core.plugin.boundary import Guarded, PluginFailed, told
from kuma_core.policy.contract import Edit
from kuma_core.xds.contract import Draft
from kuma_core.xds.drafts import Live
from kuma_core.xds.seal import Sealed, seal, seal_encoded


class EditFailed(KumaError):
    """A policy could not edit a draft; the text names its plugin, its kind and its resources."""


def edit_failure(edit: Edit, error: Exception) -> str:
    """What to tell of an edit that failed."""
    return f"{named(edit)}: {_said(error)}"


def _said(error: Exception) -> str:
    """A policy that refuses by ``PluginError`` says by itself why; anything else is a failure of its."""
    if isinstance(error, PluginFailed):
        return error.said
    return str(error) if isinstance(error, PluginError) else told(error)


def named(edit: Edit) -> str:
    """An edit as messages name it: the plugin, the kind and the resources."""
    names = ", ".join(f'"{name}"' for name in edit.names)
    return f"{plugin_of(edit.apply)}policy {edit.kind} {names}".rstrip()


_NAMED = re.compile(r'(?:plugin "[^"]*": )?policy (?P<kind>\S+) (?P<names>".+")')


def policy_named(words: str) -> tuple[str, tuple[str, ...]] | None:
    """The kind and the resources that ``named`` told of; ``None`` for other words, such as those of a generator."""
    found = _NAMED.fullmatch(words)
    return (found["kind"], tuple(found["names"][1:-1].split('", "'))) if found else None


def plugin_of(function: object) -> str:
    """How a message begins that tells of a function: with the plugin, if it is one's."""
    return f'plugin "{function.plugin}": ' if isinstance(function, Guarded) else ""


def _live(draft: Draft) -> Live:
    """Build a draft and let the policies edit it, in order."""
    live: Live = draft.build(draft.inputs)
    if not isinstance(live, Live):
        raise TypeError(
            f"its build returned a value of the type {type(live).__name__}, which is no message of Envoy"
        )
    for edit in draft.edits:
        try:
            edit.apply(live, edit.conf)
        except Exception as error:
            raise EditFailed(edit_failure(edit, error)) from error
    return live


def _sealed(draft: Draft) -> Sealed:
    if draft.encoded is not None and not draft.edits:
        return seal_encoded(draft.type_url, draft.name, draft.encoded)
    return seal(draft.type_url, draft.name, _live(draft))


class Memo:
    """Remembers a sealed resource for as long as a snapshot holds it.

    The reconciler and previews share one. Two threads that need the same at the same time both build it, and equal
    things result; a ``WeakValueDictionary`` takes no harm.
    """

    def __init__(self) -> None:
        self._sealed: WeakValueDictionary[Draft, Sealed] = WeakValueDictionary()
        self.misses = 0

    def seal(self, draft: Draft, owner: str = "") -> Sealed:
        """The sealed resource of a draft; built only if none of equal inputs is in use."""
        found = self._sealed.get(draft)
        if found is None:
            self.misses += 1
            found = replace(_sealed(draft), owner=owner, draft=draft)
            self._sealed[draft] = found
        if (
            found.owner != owner
        ):  # equal drafts of two policies: one set of bytes, and the right name for each
            return replace(found, owner=owner)
        return found

    def __len__(self) -> int:
        return len(self._sealed)
