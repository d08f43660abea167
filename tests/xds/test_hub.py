"""Who gets which snapshot when, and the proxy that waits for its clients to turn away."""

from __future__ import annotations

import asyncio

from kuma_core.xds.contract import ENDPOINTS
from kuma_core.xds.server.hub import Hub, Session
from kuma_core.xds.snapshot import EMPTY, Snapshot

from .simulation import outbounds

FULL = outbounds(ledger=7100)


class Audience:
    def __init__(self):
        self.heard = []

    def opened(self, key):
        self.heard.append(("opened", key))

    def closed(self, key):
        self.heard.append(("closed", key))


class Stream:
    """A stream whose client acknowledges when the test says so."""

    def __init__(self):
        self.node_id = ""
        self.snapshot = None
        self.acknowledged = None

    def settled(self, type_url):
        assert type_url == ENDPOINTS
        return self.acknowledged == self.snapshot


def _hub(*keys, patience=60.0):
    audience = Audience()
    hub = Hub(audience, patience)
    sessions = {key: Session(Stream()) for key in keys}
    for key, session in sessions.items():
        hub.open(key, session)
    return hub, sessions, audience


def run(test):
    asyncio.run(test())


def test_the_audience_hears_of_the_first_and_the_last_stream_only():
    async def test():
        hub, sessions, audience = _hub("web")
        second = Session(Stream())
        hub.open("web", second)
        hub.close("web", sessions["web"])
        assert audience.heard == [("opened", "web")]
        hub.close("web", second)
        assert audience.heard == [("opened", "web"), ("closed", "web")]

    run(test)


def test_scenario_48_two_streams_of_one_proxy_both_get_its_snapshot():
    async def test():
        hub, sessions, _ = _hub("web")
        hub.publish({"web": FULL}, {})
        late = Session(Stream())
        hub.open("web", late)
        assert sessions["web"].stream.snapshot is late.stream.snapshot is FULL

    run(test)


def test_a_deleted_proxy_is_emptied_when_its_clients_have_acknowledged():
    async def test():
        hub, sessions, _ = _hub("web", "api", "echo")
        hub.publish({"echo": FULL}, {})
        hub.publish({"web": FULL, "api": FULL}, {"echo": EMPTY})
        assert sessions["echo"].stream.snapshot is FULL
        for name in ("web", "api"):
            assert sessions["echo"].stream.snapshot is FULL
            sessions[name].stream.acknowledged = FULL
            hub.answered(sessions[name])
        assert sessions["echo"].stream.snapshot is EMPTY

    run(test)


def test_a_deleted_proxy_is_emptied_when_a_client_that_was_waited_for_leaves():
    async def test():
        hub, sessions, _ = _hub("web", "echo")
        hub.publish({"web": FULL}, {"echo": EMPTY})
        assert sessions["echo"].stream.snapshot is None
        hub.close("web", sessions["web"])
        assert sessions["echo"].stream.snapshot is EMPTY

    run(test)


def test_a_deleted_proxy_is_emptied_when_patience_ends():
    async def test():
        hub, sessions, _ = _hub("web", "echo", patience=0.01)
        hub.publish({"web": FULL}, {"echo": EMPTY})
        await asyncio.wait_for(sessions["echo"].bell.wait(), 5)
        assert sessions["echo"].stream.snapshot is EMPTY

    run(test)


def test_a_proxy_that_comes_back_in_time_is_not_emptied():
    async def test():
        hub, sessions, _ = _hub("web", "echo", patience=0.01)
        hub.publish({"web": FULL}, {"echo": EMPTY})
        again = outbounds(ledger=7200)
        hub.publish({"echo": again}, {})
        sessions["web"].stream.acknowledged = FULL
        hub.answered(sessions["web"])
        await asyncio.sleep(0.05)  # longer than the patience, so that a forgotten timer would show
        assert sessions["echo"].stream.snapshot is again

    run(test)


def test_without_clients_a_deleted_proxy_is_emptied_at_once():
    async def test():
        hub, sessions, _ = _hub("echo")
        hub.publish({}, {"echo": EMPTY})
        assert sessions["echo"].stream.snapshot is EMPTY

    run(test)


def test_a_snapshot_for_somebody_who_left_is_dropped():
    async def test():
        hub, sessions, _ = _hub("web")
        hub.close("web", sessions["web"])
        hub.publish({"web": FULL}, {"web": EMPTY})
        late = Session(Stream())
        hub.open("web", late)
        assert late.stream.snapshot is None

    run(test)


def test_the_first_snapshot_makes_the_owner_known_once():
    heard = []

    async def test():
        session = Session(Stream(), lambda: heard.append(1))
        session.give(FULL)
        session.give(Snapshot())

    run(test)
    assert heard == [1]
