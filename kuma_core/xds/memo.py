"""Sealed resources by what they were made from: nobody builds again what any proxy has already."""

from __future__ import annotations

from weakref import WeakValueDictionary

from kuma_core.xds.contract import Draft
from kuma_core.xds.drafts import Live
from kuma_core.xds.seal import Sealed, seal


def _live(draft: Draft) -> Live:
    """Build a draft and let the policies edit it, in order."""
    live: Live = draft.build(draft.inputs)
    for edit in draft.edits:
        try:
            edit.apply(live, edit.conf)
        except Exception as error:
            raise RuntimeError(f"policy {edit.kind}: {type(error).__name__}: {error}") from error
    return live


class Memo:
    """Remembers a sealed resource for as long as a snapshot holds it. For one thread."""

    def __init__(self) -> None:
        self._sealed: WeakValueDictionary[Draft, Sealed] = WeakValueDictionary()
        self.misses = 0

    def seal(self, draft: Draft) -> Sealed:
        """The sealed resource of a draft; built only if none of equal inputs is in use."""
        found = self._sealed.get(draft)
        if found is None:
            self.misses += 1
            found = seal(draft.type_url, draft.name, _live(draft))
            self._sealed[draft] = found
        return found

    def __len__(self) -> int:
        return len(self._sealed)
