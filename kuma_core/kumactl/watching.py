"""Follows the events of the control plane, for commands that wait or watch: nobody asks again and again.

A thread reads; what it hears waits in a queue. A connection that breaks is opened anew, behind the last event.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from kuma_core.commandline import tell
from kuma_core.errors import KumaError
from kuma_core.http_client import HttpFailure, Rules, lines
from kuma_core.kumactl.session import Session
from kuma_core.visible import printable

SILENCE_SECONDS = 90.0
"""After how long without a word the connection counts as lost; the control plane says one every 25 s."""
AGAIN_SECONDS = 1.0
"""How long we wait before we connect anew."""
LONGEST_LINE = 1024 * 1024
GATHER_SECONDS = 0.2
RULES = Rules(SILENCE_SECONDS, LONGEST_LINE)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened; ``data`` has the keys of it."""

    type: str
    data: Mapping[str, Any]


class Events:
    """The events of one kind, in one mesh unless that is ``""``. The constructor returns once we follow.

    Raises KumaError if the control plane tells no events, or cannot be reached.
    """

    def __init__(self, session: Session, mesh: str, kind: str) -> None:
        query = [("kind", kind), *([("mesh", mesh)] if mesh else [])]
        self._url = f"{events_url(session)}/events?{urlencode(query)}"
        self._credential = _credential(session, self._url)
        self._heard: queue.SimpleQueue[Event | KumaError] = queue.SimpleQueue()
        self._last = ""
        threading.Thread(target=self._run, name="events", daemon=True).start()
        try:
            first = self._heard.get(timeout=SILENCE_SECONDS)
        except queue.Empty:
            raise KumaError(f"{self._url} did not answer within {SILENCE_SECONDS:g} s") from None
        if isinstance(first, KumaError):
            raise first

    def next(self, seconds: float | None = None, gather: float = GATHER_SECONDS) -> list[Event]:
        """What happened, at least one event unless none comes in so many seconds; raises KumaError.

        What comes within ``gather`` seconds of the first one counts as one.
        """
        try:
            found = [self._heard.get(timeout=seconds)]
        except queue.Empty:
            return []
        time.sleep(gather)
        while not self._heard.empty():
            found.append(self._heard.get())
        if failed := [item for item in found if isinstance(item, KumaError)]:
            raise failed[0]
        return [item for item in found if isinstance(item, Event)]

    def _run(self) -> None:
        """Read for ever, until the first connection fails or the server refuses."""
        while True:
            try:
                self._follow()
            except HttpFailure as error:
                if not self._last:
                    self._heard.put(KumaError(f"cannot follow the events at {self._url}: {error.phrase}"))
                    return
            except KumaError as error:
                self._heard.put(error)
                return
            time.sleep(AGAIN_SECONDS)

    def _follow(self) -> None:
        headers = {"Accept": "text/event-stream", **self._credential}
        headers |= {"Last-Event-ID": self._last} if self._last else {}
        with lines(self._url, headers, RULES) as (status, found):
            if status == 503 and self._last:
                return
            if status != 200:
                text = b"".join(line for line, _ in zip(found, range(50), strict=False)).decode(
                    "utf-8", "replace"
                )
                if status == 401:
                    raise KumaError(_needs_token(self._url, bool(self._credential), text))
                raise KumaError(f"the events at {self._url} are refused ({status}): {printable(text)[:500]}")
            for id, event in _events(found):
                self._last = id or self._last
                self._heard.put(event)


def _needs_token(url: str, shown: bool, text: str) -> str:
    said = f"the events at {url} are refused (401): {printable(text)[:500]}"
    if shown:
        return said
    return (
        f"{said}. kumactl sent no token, as they come over plain HTTP: ask on the control plane's machine, or add the "
        "control plane with --allow-plain"
    )


def _events(found: Iterator[bytes]) -> Iterator[tuple[str, Event]]:
    """The events of a stream, each with its id; a field that we do not know is left aside."""
    fields: dict[str, str] = {}
    for line in found:
        name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif line.strip() == b"" and "event" in fields:
            yield fields.get("id", ""), Event(fields["event"], _object(fields.get("data", "")))
            fields = {}


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _credential(session: Session, url: str) -> Mapping[str, str]:
    """What proves who we are; nothing where everybody on the way could read it, since readers may need none."""
    from kuma_core.kumactl import credentials

    context = session.configuration.current
    if context is None or not (context.allow_plain or credentials.is_private(url)):
        return {}
    return credentials.headers(context, url)


def events_url(session: Session) -> str:
    """Where the events are, as the catalog says.

    A control plane that calls itself localhost is at the host where we reach its API server.
    """
    client = session.client()
    found = client.get("/catalog").get("apis", {})
    url = found.get("events", {}).get("url", "") if isinstance(found, dict) else ""
    if not (isinstance(url, str) and url):
        raise KumaError(f"the control plane at {client.url} tells no events: it is older than this kumactl")
    told, ours = urlsplit(url), urlsplit(client.url)
    if told.hostname not in ("localhost", "127.0.0.1", "::1") or not ours.hostname:
        return url.rstrip("/")
    host = f"[{ours.hostname}]" if ":" in ours.hostname else ours.hostname
    return f"{told.scheme}://{host}:{told.port}"


Item = dict[str, Any]
Show = Callable[[Sequence[Item], bool], None]


def show_changes(
    events: Events,
    fetch: Callable[[], dict[str, Any]],
    show: Show,
    essence: Callable[[Item], Any] = lambda item: item,
) -> None:
    """Show all items, and from then on those whose ``essence`` changes; say on stderr which are gone. Never returns."""
    items = fetch()["items"]
    show(items, True)
    known = _by_name(items)
    took = 0.0
    while True:
        events.next(None, max(GATHER_SECONDS, took))  # a long list is not asked for all the time
        began = time.monotonic()
        now = _by_name(fetch()["items"])
        took = time.monotonic() - began
        changed = [
            item
            for place, item in now.items()
            if place not in known or essence(item) != essence(known[place])
        ]
        if changed:
            show(changed, False)
        for _, name in known.keys() - now.keys():
            tell(f"{printable(name)} is gone")
        known = now


def _by_name(items: Sequence[Item]) -> dict[tuple[str, str], Item]:
    return {(str(item.get("mesh", "")), str(item.get("name", ""))): item for item in items}
