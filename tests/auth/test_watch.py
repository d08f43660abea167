"""What a verifier does with hints: it reads first, and tells then; also when the store comes back late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from kuma_core.auth.contract import Unauthenticated, WatchedProxyAuthenticator
from kuma_core.builtin.tokens import tokens as module
from kuma_core.builtin.tokens.keys import SigningKeys
from kuma_core.builtin.tokens.revocations import Revocation, Revocations
from kuma_core.builtin.tokens.tokens import TokenIssuer, TokenVerifier
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Change, Op
from kuma_core.resources.secrets import SecretManager
from kuma_core.testing.waiting import eventually

from .conftest import Breakable


class Told:
    """Counts, and remembers what was the case when it was told."""

    def __init__(self, id: str, good: Callable[[], bool]) -> None:
        self.id = id
        self.seen: list[bool] = []
        self._good = good

    def __call__(self) -> None:
        self.seen.append(self._good())


@pytest.fixture
def elsewhere(secrets: SecretManager) -> Revocations:
    """Those of another control plane: what it writes comes here by hints alone."""
    return Revocations(secrets)


@pytest.fixture
def told(issuer: TokenIssuer, verifier: TokenVerifier) -> Iterator[Told]:
    """A watch that runs; the token of a stream is asked about when it tells."""
    proof = verifier.recognise(issuer.issue("web-1", "shop")).proof

    def good() -> bool:
        try:
            proof.confirm()
        except Unauthenticated:
            return False
        return True

    listener, stop = Told(proof.id, good), Stop()
    thread = threading.Thread(target=verifier.watch, args=(listener, stop))
    thread.start()
    eventually(lambda: listener.seen == [True])
    yield listener
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_it_is_a_watched_authenticator(verifier: TokenVerifier) -> None:
    assert isinstance(verifier, WatchedProxyAuthenticator)


def test_it_tells_once_it_knows(told: Told, elsewhere: Revocations, revocations: Revocations) -> None:
    elsewhere.revoke(Revocation(told.id))
    assert told.seen == [True], "no hint came yet"
    revocations.changed(Change(Op.RESYNC))
    eventually(lambda: len(told.seen) == 2)
    assert told.seen[-1] is False


def test_keys_are_told_of_too(told: Told, secrets: SecretManager, keys: SigningKeys) -> None:
    other = SigningKeys(secrets)
    old = other.to_sign().id
    other.rotate()
    other.retire(old)
    keys.changed(Change(Op.RESYNC))
    eventually(lambda: told.seen[-1] is False)


def test_a_hint_that_could_not_be_followed_is_followed_when_the_store_is_back(
    told: Told,
    elsewhere: Revocations,
    revocations: Revocations,
    store: Breakable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even if nobody hints again."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    elsewhere.revoke(Revocation(told.id))
    store.away = True
    revocations.changed(Change(Op.RESYNC))
    eventually(lambda: len(told.seen) > 3)
    assert all(told.seen), "what was believed is believed while the store is away"
    store.away = False
    eventually(lambda: told.seen[-1] is False)
    reads = store.reads
    count = len(told.seen)
    revocations.memory.get()
    assert (store.reads, len(told.seen)) == (reads, count), "at rest nothing is read"
