"""The control planes that run over one store: each keeps a record of itself alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kuma_core import __version__
from kuma_core.builtin.cluster.kinds import INSTANCE
from kuma_core.builtin.cluster.specs import InstanceSpec
from kuma_core.errors import KumaError, NotFound
from kuma_core.resources.contract import Resources, Result

LONGEST_SILENCE_SECONDS = 15.0
"""After how long without an answer a store counts as one that cannot be reached: three beats."""


class Instances:
    """This instance's own record, and what the others say of themselves. Safe for use from several threads."""

    def __init__(self, resources: Resources, own_id: str) -> None:
        self.own_id = own_id
        self._resources = resources
        self._key = INSTANCE.key("", own_id)
        self._guard = threading.Lock()
        self._notes: dict[str, dict[str, str]] = {}
        self._problem = ""
        self._answered = time.monotonic()

    def beat(self) -> bool:
        """Say that this instance lives; whether its record was there. Raises ``StoreUnavailable``."""
        with self._guard:
            notes = {topic: dict(noted) for topic, noted in self._notes.items()}

        def beaten(spec: Any) -> InstanceSpec:
            return InstanceSpec(beats=spec.beats + 1 if spec else 1, version=__version__, notes=notes)

        try:
            written = self._resources.amend(self._key, beaten)
        except KumaError as error:
            self._problem = str(error)
            raise
        self._problem, self._answered = "", time.monotonic()
        return written.result is not Result.CREATED

    def store_problem(self) -> str:
        """Why the store did not take the last beat; empty if it did. A store that hangs does not answer at all."""
        silence = time.monotonic() - self._answered
        if self._problem or silence < LONGEST_SILENCE_SECONDS:
            return self._problem
        return f"it has not answered for {silence:.0f} s"

    def note(self, topic: str, key: str, value: str) -> None:
        """Have the others know something of this instance; ``""`` forgets it."""
        with self._guard:
            noted = {known: said for known, said in self._notes.get(topic, {}).items() if known != key}
            noted |= {key: value} if value else {}
            changed = noted != self._notes.get(topic, {})
            self._notes[topic] = noted
            if not noted:
                del self._notes[topic]
        if changed:
            self.beat()

    def leave(self) -> None:
        """Remove this instance's record: it ends in an orderly way."""
        self.remove(self.own_id)

    def remove(self, instance: str) -> None:
        """Remove the record of an instance, if it is there."""
        with suppress(NotFound):
            self._resources.delete(INSTANCE.key("", instance))

    def all(self) -> Mapping[str, InstanceSpec]:
        """The records that are there, by instance id; one of a killed instance stays until it expires."""
        return {resource.name: resource.spec for resource in self._resources.list(INSTANCE.name)}
