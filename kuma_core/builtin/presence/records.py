"""What was told of whether instances serve: stored for all control planes, and written when it changes alone."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import structlog

from kuma_core.counted import CountedLine
from kuma_core.errors import InvalidResource, NotFound
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Resources
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.presence import PRESENCE, PresenceSpec
from kuma_core.xds.status import MOST_PROXIES

_log = structlog.get_logger("presence")
_serves = CountedLine(_log, "info", "an instance serves", most=MOST_PROXIES)
_leaves = CountedLine(_log, "info", "an instance leaves", most=MOST_PROXIES)


class Records:
    """The stored presences. Safe for use from several threads."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def set(self, mesh: str, name: str, serving: bool, by: str) -> bool:
        """Store whether the instance of a Dataplane serves; whether that is news.

        Raises ``NotFound`` without such a Dataplane: what is left of one would tell of another one of its name.
        """
        dataplane, key = ResourceKey(DATAPLANE, mesh, name), ResourceKey(PRESENCE, mesh, name)
        self._resources.get(dataplane)
        if self.known(mesh, name) is serving:
            return False
        try:
            self._resources.amend(key, lambda before: _told(before, serving, by))
        except InvalidResource:  # its mesh was deleted at the same moment
            raise NotFound(f'there is no Dataplane "{name}" in mesh "{mesh}"') from None
        if self._resources.find(dataplane) is None:
            self.remove(mesh, name)
            raise NotFound(f'there is no Dataplane "{name}" in mesh "{mesh}"')
        tell, proxy = (_serves if serving else _leaves), f"{mesh}.{name}"
        tell(proxy, proxy=proxy, by=by)
        return True

    def known(self, mesh: str, name: str) -> bool | None:
        """What was told last of a Dataplane; ``None`` if nothing ever was."""
        found = self._resources.find(ResourceKey(PRESENCE, mesh, name))
        return found.spec.serving if found else None

    def remove_orphan(self, mesh: str, name: str) -> None:
        """Forget what was told of a Dataplane, unless that is there by now."""
        if self._resources.find(ResourceKey(DATAPLANE, mesh, name)) is None:
            self.remove(mesh, name)

    def remove(self, mesh: str, name: str) -> None:
        """Forget what was told of a Dataplane that is gone."""
        with suppress(NotFound):
            self._resources.delete(ResourceKey(PRESENCE, mesh, name))


def _told(before: PresenceSpec | None, serving: bool, by: str) -> PresenceSpec:
    """The record: who told the same at the same moment keeps the time."""
    if before is not None and before.serving == serving:
        return before
    return PresenceSpec(serving=serving, since=datetime.now(UTC), by=by)
