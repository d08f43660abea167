"""When others may call this proxy: told once it serves, and taken back before it ends.

On a machine kuma-dp tells the control plane both. In a Pod the controller knows better, for it sees the application's
probes, and that the Pod is deleted; there kuma-dp only waits until all others have taken that.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat

from kuma_core.dataplane import admin_api, serving_door
from kuma_core.dataplane.connection import ADMIN_ADDRESS
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.serving_door import ANSWER_SECONDS, Door, Heard, NotHeard
from kuma_core.dataplane.settings import Settings

LOOKS = (*(0.05 * 1.2**count for count in range(16)), 1.0)
"""Seconds before Envoy is asked again whether it is ready."""
AGAIN = (0.2, 0.4, 0.8, 1.6, 3.0, 6.0, 12.0, 30.0)
"""Seconds before the control plane is told again that this proxy serves."""
MISSING_SECONDS = 3.0
"""Where its Dataplane is not there at most so many: a store in memory may be filled anew at any moment."""
QUESTIONS = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Seconds before the control plane is asked again whether a Pod leaves. The last of all these counts on."""
HOOK_SECONDS = 10.0
"""How long a container that is to end waits for the news that its Pod leaves: it may be the container alone."""
AWAY_SECONDS = 20.0
"""How long it waits for a control plane that does not answer: another one may be starting."""
BACK_SECONDS = 6.0
"""How long others may take to find a control plane again that was away: Envoy tries every 5 seconds. Only then do its
answers speak of all of them."""
QUIET_SECONDS = 2.0
"""How long a container that is to end waits at most for connections to inbounds: what others began ends well, and those
that keep theirs open for long do not hold it up."""
QUIET_LOOKS, LOOK_SECONDS = 2, 0.1
"""How often in a row nobody is connected, and the seconds between. An Envoy acknowledges its endpoints a moment before
each of its threads goes by them."""
UNHEARD_SECONDS = 5.0
"""How long it may take to be heard until somebody should look."""
JOIN_SECONDS = 1.0

_STATE = (
    "/stats?filter=^listener_manager\\.(total_listeners_warming|lds\\.update_(attempt|success|rejected))$"
)
_OPEN = "/stats?type=Gauges&usedonly&filter=^listener\\..*\\.downstream_cx_active$"
_NUMBER = re.compile(rb"^listener_manager\.([a-z_.]+): (\d+)", re.MULTILINE)
_CONNECTIONS = re.compile(rb"^listener\.(.+)\.downstream_cx_active: (\d+)", re.MULTILINE)
_INBOUND = re.compile(rb"^inbound:(.+?:\d+)::", re.MULTILINE)
_LARGEST = 4 * 1024 * 1024  # some 10 000 listeners


def is_ready(address_file: str) -> bool:
    """Whether Envoy takes connections for all that its control plane had it listen for, the certificates included."""
    if admin_api.ask(address_file, "/ready") is None:
        return False
    found = admin_api.counted(admin_api.ask(address_file, _STATE), _NUMBER)
    if found is None or found.get("total_listeners_warming"):
        return False
    if found.get("lds.update_success") or not found.get("lds.update_attempt"):
        return True
    return bool(found.get("lds.update_rejected")) and bool(_inbounds(address_file))


def open_connections(address_file: str) -> int:
    """How many connections others have to the inbounds of this proxy; 0 if Envoy does not say."""
    inbounds = _inbounds(address_file)
    found = admin_api.counted(admin_api.ask(address_file, _OPEN, limit=_LARGEST), _CONNECTIONS) or {}
    return sum(count for listener, count in found.items() if listener in inbounds)


def _inbounds(address_file: str) -> set[str]:
    """The inbound listeners, as statistics call them."""
    listed = admin_api.ask(address_file, "/listeners", limit=_LARGEST) or b""
    return {place.decode().replace(":", "_") for place in _INBOUND.findall(listed)}


class Presence:
    """Joins and leaves for one proxy. ``start`` and ``again`` return at once; ``leave`` and ``left`` wait."""

    def __init__(self, door: Door, settings: Settings, address_file: str, log: Log) -> None:
        self._door, self._settings, self._log = door, settings, log
        self._address_file = address_file
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Have the control plane told as soon as Envoy is ready. No process may be started from here on."""
        if not self._settings.is_of_a_pod:
            self._thread = threading.Thread(target=self._join, name="joining", daemon=True)
            self._thread.start()

    def again(self) -> None:
        """Tell it again: the control plane may be another one, or know the Dataplane anew."""
        if self._thread and not self._thread.is_alive() and not self._ending.is_set():
            self.start()

    def leave(self) -> None:
        """Have others call this proxy no more, and wait until nobody is connected, within bounds."""
        self._ending.set()
        if self._thread:
            self._thread.join(JOIN_SECONDS)
        try:
            heard = self._leave()
        except NotHeard as error:
            if not error.is_final:
                self._log.always("WARNING", _LEFT_UNHEARD, problem=str(error))
            return
        if heard.serving is False:
            self._log.info("nobody is to call this proxy any more", pending=heard.pending)
            self._drain()

    def left(self) -> tuple[int, str]:
        """Wait until a Pod leaves and others have taken that; an HTTP code and a sentence for the hook of a container.

        It causes nothing: who may call this may not end a proxy. A container that ends without its Pod is let go.
        """
        try:
            heard = self._wait(HOOK_SECONDS, AWAY_SECONDS)
        except NotHeard as error:
            return 504, f"the control plane did not say whether this Pod leaves: {error}"
        if heard.serving:
            return 200, "this Pod does not leave"
        self._wait_quiet()
        return 200, f"others do not call this Pod; {heard.pending} of them have not taken that yet"

    def ready(self) -> tuple[int, str]:
        """Whether Envoy takes connections for all that its control plane had it listen for; as for ``left``."""
        found = is_ready(self._address_file)
        return (200, "Envoy is ready") if found else (503, "Envoy does not listen for everything yet")

    # -- joining

    def _join(self) -> None:
        if self._is_ready_in_time():
            self._tell()

    def _is_ready_in_time(self) -> bool:
        for pause in _lasting(LOOKS):
            if self._ending.is_set():
                return False
            if is_ready(self._address_file):
                return True
            self._ending.wait(pause)
        raise AssertionError

    def _tell(self) -> None:
        began, is_told = time.monotonic(), False
        for pause in _lasting(AGAIN):
            if self._ending.is_set():
                return
            try:
                self._ask(True)
                self._log.info("others may call this proxy now")
                return
            except NotHeard as error:
                is_missing = error.is_missing
                if error.is_final:
                    self._log.info(
                        "the control plane wants to hear nothing of who serves", problem=str(error)
                    )
                    return
                if not is_told and time.monotonic() - began >= UNHEARD_SECONDS:
                    is_told = True
                    self._log.always("WARNING", _JOINED_UNHEARD, problem=str(error))
            self._ending.wait(min(pause, MISSING_SECONDS) if is_missing else pause)

    # -- leaving

    def _leave(self) -> Heard:
        """On a machine it is said; in a Pod it is waited for. Raises NotHeard."""
        return self._wait(ANSWER_SECONDS, 0.0) if self._settings.is_of_a_pod else self._ask(False)

    def _wait(self, seconds: float, away: float) -> Heard:
        """Ask until the Pod leaves and others have taken that, for so many seconds at most; ``away`` is for a control
        plane that does not answer. Raises NotHeard."""
        began, unheard = time.monotonic(), 0.0
        for pause in _lasting(QUESTIONS):
            try:
                heard, now = self._ask(None), time.monotonic()
                is_back = not unheard or now >= unheard + BACK_SECONDS
                is_known = not (heard.serving or heard.pending) and is_back
                if is_known or now + pause >= max(began + seconds, unheard + BACK_SECONDS):
                    return heard
            except NotHeard as error:
                unheard = time.monotonic()
                if error.is_final or unheard + pause >= began + away:
                    raise
            time.sleep(pause)
        raise AssertionError

    def _wait_quiet(self) -> None:
        """Wait for what others began while they called this Pod: its application may end at once."""
        looks, deadline = 0, time.monotonic() + QUIET_SECONDS
        while looks < QUIET_LOOKS and time.monotonic() < deadline:
            looks = 0 if open_connections(self._address_file) else looks + 1
            time.sleep(LOOK_SECONDS)

    def _drain(self) -> None:
        """Wait for connections to inbounds to end; HTTP is told to close them with its next answer."""
        if not (count := open_connections(self._address_file)):
            return
        seconds = self._settings.drain_seconds
        self._log.info("open connections are waited for", connections=count, seconds=seconds)
        admin_api.ask(self._address_file, "/healthcheck/fail", "POST")
        deadline = time.monotonic() + seconds
        for pause in _lasting(QUESTIONS):
            if not (count := open_connections(self._address_file)) or time.monotonic() >= deadline:
                break
            time.sleep(pause)
        if count:
            self._log.info("connections are still open when the time is over", connections=count)

    def _ask(self, serving: bool | None) -> Heard:
        return self._door.ask(self._settings.mesh, self._settings.name, serving)


_JOINED_UNHEARD = (
    "the control plane was not told that this proxy serves, so nobody calls it; it goes on being told"
)
_LEFT_UNHEARD = (
    "the control plane was not told that this proxy leaves; calls of others may fail until they notice"
)


def _lasting(pauses: Iterable[float]) -> Iterator[float]:
    """The pauses, and then the last of them without end."""
    given = tuple(pauses)
    return chain(given, repeat(given[-1]))


@contextmanager
def presence(private: str, settings: Settings, log: Log) -> Iterator[Presence | None]:
    """What joins and leaves for this proxy; ``None`` if nothing can be told."""
    door = serving_door.arranged(private)
    yield Presence(door, settings, os.path.join(private, ADMIN_ADDRESS), log) if door else None
