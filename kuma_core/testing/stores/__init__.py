"""The contract of a store, as tests. A store plugin passes them by subclassing ``StoreSuite`` in a few lines.

::

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            with open_my_empty_store() as store:
                yield store

A backend that takes fewer names, or is slower, has its subclass say so: see ``StoreParts``. Nothing here knows any
particular store; what is checked is ``kuma_core.resources.contract``.
"""

from kuma_core.testing.stores.counting import Counting
from kuma_core.testing.stores.outages import Outages
from kuma_core.testing.stores.tools import RESYNC, WRITERS, Watching, at_once, content, key, watching
from kuma_core.testing.stores.verbs import Verbs
from kuma_core.testing.stores.watches import Watches


class StoreSuite(Verbs, Watches, Counting, Outages):
    """What every store promises. Subclasses define the fixture ``store``; it gives an empty, open store."""


__all__ = ["RESYNC", "WRITERS", "StoreSuite", "Watching", "at_once", "content", "key", "watching"]
