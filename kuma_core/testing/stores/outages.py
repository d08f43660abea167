"""What a store does while its backend is lost, and after that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from kuma_core.errors import StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Change, Op, Store
from kuma_core.testing.stores.parts import StoreParts
from kuma_core.testing.stores.tools import RESYNC, available, content, watching
from kuma_core.testing.waiting import eventually


class Outages(StoreParts):
    """The loss of the backend."""

    # -- the backend is lost

    def test_every_verb_is_unavailable_in_an_outage_and_works_after_it(
        self, store: Store, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Nothing that was acknowledged is lost, and nobody has to open the store again."""
        kept = store.create(self.key("kept"), "{}")
        verbs: list[Callable[[], object]] = [
            lambda: store.get(kept.key),
            lambda: store.list(self.THING),
            lambda: store.create(self.key("new"), "{}"),
            lambda: store.update(kept.key, '{"n":1}', kept.version),
            lambda: store.delete(kept.key),
            lambda: store.watch(lambda change: None, Stop()),
        ]
        with outage():
            for verb in verbs:
                with pytest.raises(StoreUnavailable):
                    verb()
        assert eventually(lambda: available(lambda: store.list(self.THING)), 30) == [kept]
        assert content(store.update(kept.key, '{"n":2}', kept.version).document) == {"n": 2}

    def test_a_watch_raises_when_the_backend_is_lost_and_begins_anew(
        self, store: Store, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        with watching(store) as watch:
            with outage():
                watch.thread.join(timeout=30)
            assert isinstance(watch.failure, StoreUnavailable)
        eventually(lambda: available(lambda: [store.list(self.THING)]), 30)
        with watching(store) as again:
            store.create(self.key("after"), "{}")
            again.wait_for(Change(Op.PUT, self.key("after")))
        assert again.changes[0] == RESYNC
