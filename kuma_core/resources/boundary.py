"""The one door between the kernel and the plugin of its store.

What a store raises beside a ``KumaError`` becomes a ``StoreFailed`` that names its plugin; whoever handles an outage so
handles a broken store, too. Calls wait for a store that hangs only as ``calls`` allows. What a part of the leader
writes is fenced and marked here, so that no part can forget it; see ``fencing``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import structlog

from kuma_core.config import Config
from kuma_core.errors import Conflict, KumaError, StoreFailed, StoreTakesNoWrites, StoreUnavailable
from kuma_core.kinds import Kinds
from kuma_core.lifecycle import Stop
from kuma_core.log_levels import IN_FORCE
from kuma_core.model import ResourceKey
from kuma_core.resources.calls import Calls
from kuma_core.resources.contract import (
    CountedStore,
    ExactStore,
    LearningStore,
    Publish,
    QuietStore,
    Record,
    Store,
    StoreFactory,
    TellingStore,
)
from kuma_core.resources.fencing import ACTING, marked, require_not_newer
from kuma_core.resources.store_times import ANSWERED, FAILED, StoreTimes

COMPONENT = "store"
_log = structlog.get_logger(COMPONENT)

Records = list[Record]


@contextmanager
def opened_store(
    factory: StoreFactory,
    plugin: str,
    config: Config,
    kinds: Kinds,
    times: StoreTimes | None = None,
) -> Iterator[Store]:
    """The store of a plugin, as the kernel uses it, until the end of the block, for these kinds.

    Calls are counted in ``times``. Raises ``KumaError``.
    """
    with ExitStack() as stack:
        with explained(plugin, factory.name, "open"):
            store = stack.enter_context(factory.open(config))
            if isinstance(store, LearningStore):
                store.learn_kinds(kinds)
            if isinstance(store, QuietStore):
                store.leave_untold([kind.name for kind in kinds if not kind.watched])
        try:
            yield guarded(store, plugin, factory.name, times)
        finally:
            with explained(plugin, factory.name, "close"):
                stack.close()


@contextmanager
def explained(plugin: str, store: str, verb: str) -> Iterator[None]:
    """Let errors of ours through, and have every other one name the plugin, the store and the verb."""
    try:
        yield
    except BaseException as error:
        known = _known(error, plugin, store, verb)
        if known is error:
            raise
        raise known from error


def _known(error: BaseException, plugin: str, store: str, verb: str) -> BaseException:
    """The error as the kernel handles it; the traceback of what no store should raise is for who debugs it."""
    if isinstance(error, KumaError | KeyboardInterrupt):
        return error
    _log.debug("the plugin of the store failed", plugin=plugin, verb=verb, exc_info=error)
    what = f"{type(error).__name__}: {error}"
    return StoreFailed(f'plugin "{plugin}": {verb} of the store "{store}" failed: {what}', plugin)


def guarded(store: Store, plugin: str, name: str, times: StoreTimes | None = None) -> Store:
    """The store behind the boundary; ``name`` is what ``store.type`` calls it."""
    kind = _KINDS[isinstance(store, CountedStore), isinstance(store, TellingStore)]
    return kind(store, plugin, name, times or StoreTimes())


class GuardedStore:
    """A store behind the boundary; see ``Store`` for what each verb does."""

    def __init__(self, store: Store, plugin: str, name: str, times: StoreTimes) -> None:
        self._store, self._plugin, self._name, self._times = store, plugin, name, times
        self._calls = Calls()

    def get(self, key: ResourceKey) -> Record:
        """The record of that key."""
        record: Record = self._call("get", key)
        require_not_newer(record)
        return record

    def list(self, type: str, mesh: str | None = None) -> list[Record]:
        """All records of a type, sorted by mesh and name."""
        records: Records = self._call("list", type, mesh)
        require_not_newer(*records)
        return records

    def create(self, key: ResourceKey, document: str) -> Record:
        """Store a new record."""
        record: Record = self._write("create", key, _fenced(document))
        return record

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        """Replace a record of a known version."""
        record: Record = self._write("update", key, _fenced(document), version)
        return record

    def delete(self, key: ResourceKey) -> None:
        """Remove a record."""
        _fenced("")
        self._write("delete", key)

    def delete_exactly(self, key: ResourceKey, version: str) -> None:
        """Remove a record of a known version; a store that cannot do that in one step is asked before."""
        _fenced("")
        if isinstance(self._store, ExactStore):
            self._write("delete_exactly", key, version)
        elif self.get(key).version == version:
            self._write("delete", key)
        else:
            raise Conflict(f"the resource {key} was changed by somebody else")

    def watch(self, publish: Publish, stop: Stop) -> None:
        """Publish changes until ``stop`` is set. It waits for as long as nothing changes, and so is no call."""
        with explained(self._plugin, self._name, "watch"):
            self._store.watch(publish, stop)

    def _write(self, verb: str, key: ResourceKey, *arguments: object) -> Any:
        """A call that the watch tells of."""
        self._times.begun(key)
        try:
            return self._call(verb, key, *arguments)
        except BaseException:
            self._times.withdrawn(key)
            raise

    def _call(self, verb: str, *arguments: object) -> Any:
        """What the store answers; to look the verb up is a call into the plugin, too."""
        number, began = self._calls.begin(), time.monotonic()
        try:
            answer = getattr(self._store, verb)(*arguments)
        except BaseException as error:
            known = _known(error, self._plugin, self._name, verb)
            self._times.calls.observe(time.monotonic() - began, verb, self._note(number, known))
            if known is error:
                raise
            raise known from error
        self._calls.answered(number)
        seconds = time.monotonic() - began
        self._times.calls.observe(seconds, verb, ANSWERED)
        if IN_FORCE.is_debugging(COMPONENT):
            ms = round(seconds * 1000, 1)
            _log.debug("the store answered", verb=verb, of=str(arguments[0]) if arguments else "", ms=ms)
        return answer

    def _note(self, number: int, error: BaseException) -> str:
        """A store that refuses has answered; one that cannot be reached, or breaks, has not."""
        if not isinstance(error, StoreUnavailable) or isinstance(error, StoreTakesNoWrites):
            self._calls.answered(number)
            return ANSWERED
        if self._calls.failed(number):
            _log.warning("the store hangs; nobody waits for it until it answers", problem=str(error))
        return FAILED


class _CountedGuarded(GuardedStore):
    """One that tells whether anything was written."""

    def counter(self) -> str:
        """A word that changes with every write that watchers hear of."""
        count: str = self._call("counter")
        return count


class _TellingGuarded(GuardedStore):
    """One that tells of a few writes which it is silent about as a rule."""

    def tell(self, key: ResourceKey) -> None:
        """Publish a ``PUT`` of that key; nothing is written, so there is nothing to be fenced."""
        self._call("tell", key)


class _CountedTellingGuarded(_CountedGuarded, _TellingGuarded):
    """One that does both."""


_KINDS = {
    (False, False): GuardedStore,
    (True, False): _CountedGuarded,
    (False, True): _TellingGuarded,
    (True, True): _CountedTellingGuarded,
}
"""What guards a store, by whether it counts and whether it tells: what it cannot do, nobody may take it to do."""


def _fenced(document: str) -> str:
    """The document as it may be written: as it is, or marked with the term if a part of the leader writes it."""
    mandate = ACTING.get()
    if mandate is None:
        return document
    mandate.confirm()
    return marked(document, mandate.term)
