"""Revoked tokens: who is refused, what is kept, and that writers at the same moment lose nothing."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kuma_core.auth.contract import Unauthenticated
from kuma_core.builtin.tokens import revocations as module
from kuma_core.builtin.tokens.contract import SIGNING_KEY
from kuma_core.builtin.tokens.revocations import (
    KEPT_AFTER_EXPIRY,
    MAX_ID,
    REVOCATIONS,
    Revocation,
    Revocations,
)
from kuma_core.builtin.tokens.tokens import TokenIssuer, TokenVerifier
from kuma_core.durations import HOUR
from kuma_core.errors import Busy, Conflict, InvalidResource, UnreadableResource
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.resources.secrets import SecretManager
from kuma_core.testing.managers import secret_manager
from kuma_store_memory.store import MemoryStore

from .conftest import KEYS, Breakable

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def at(secrets: SecretManager, now: datetime) -> Revocations:
    return Revocations(secrets, lambda: now)


def ids(revocations: Revocations) -> list[str]:
    return [entry.id for entry in revocations.all()]


def test_a_revoked_token_is_refused_and_no_other(
    issuer: TokenIssuer, verifier: TokenVerifier, revocations: Revocations
) -> None:
    leaked, other = (issuer.issue("web-1", "shop", HOUR) for _ in range(2))
    claims = verifier.verify(leaked)
    assert revocations.revoke(Revocation(claims.id, claims.expires, 1))
    with pytest.raises(Unauthenticated) as caught:
        verifier.recognise(leaked)
    assert str(caught.value) == (
        "could not parse token: it was revoked; generate a new one with 'kumactl generate dataplane-token'"
    )
    verifier.recognise(other)


def test_a_proof_is_confirmed_until_its_token_is_revoked(
    issuer: TokenIssuer, verifier: TokenVerifier, revocations: Revocations, store: Breakable
) -> None:
    proof = verifier.recognise(issuer.issue("web-1", "shop")).proof
    before = store.reads
    proof.confirm()
    assert store.reads == before
    revocations.revoke(Revocation(proof.id))
    with pytest.raises(Unauthenticated, match="it was revoked"):
        proof.confirm()


def test_a_token_that_is_over_is_still_ours(
    issuer: TokenIssuer, verifier: TokenVerifier, revocations: Revocations
) -> None:
    token = issuer.issue("web-1", "shop", 1)
    genuine = verifier.genuine(token)
    revocations.revoke(Revocation(genuine.claims.id))
    assert verifier.genuine(token).key.serial == 1


def test_revoking_again_changes_nothing(revocations: Revocations, secrets: SecretManager) -> None:
    assert revocations.revoke(Revocation("a"))
    version = secrets.get("default", REVOCATIONS).version
    assert not revocations.revoke(Revocation("a"))
    assert not revocations.revoke(Revocation("a", NOW))
    assert secrets.get("default", REVOCATIONS).version == version
    assert revocations.all() == [Revocation("a")]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (Revocation("a", NOW), Revocation("a"), Revocation("a")),
        (
            Revocation("a", NOW),
            Revocation("a", NOW + timedelta(hours=1)),
            Revocation("a", NOW + timedelta(hours=1)),
        ),
        (
            Revocation("a", NOW + timedelta(hours=1)),
            Revocation("a", NOW),
            Revocation("a", NOW + timedelta(hours=1)),
        ),
        (Revocation("a"), Revocation("a", NOW, 1), Revocation("a", NOW, 1)),
        (Revocation("a", NOW, 1), Revocation("a"), Revocation("a", NOW, 1)),
    ],
)
def test_what_the_token_itself_says_counts_more_and_else_what_lasts_longer(
    secrets: SecretManager, first: Revocation, second: Revocation, kept: Revocation
) -> None:
    revocations = at(secrets, NOW)
    revocations.revoke(first)
    revocations.revoke(second)
    assert revocations.all() == [kept]


def test_entries_go_when_nobody_would_believe_their_tokens_anyway(secrets: SecretManager) -> None:
    secrets.create("default", f"{SIGNING_KEY}-2", KEYS[1])
    early = at(secrets, NOW)
    for entry in (
        Revocation("for ever"),
        Revocation("short", NOW + timedelta(hours=1), 1),
        Revocation("of the old key", None, 1),
        Revocation("of the new key", None, 2),
    ):
        early.revoke(entry)
    secrets.delete("default", SIGNING_KEY)
    soon = at(secrets, NOW + timedelta(hours=1) + KEPT_AFTER_EXPIRY)
    soon.revoke(Revocation("x"))
    assert ids(soon) == ["for ever", "of the new key", "x"]


def test_an_expired_one_is_kept_for_a_day_for_clocks_that_are_behind(secrets: SecretManager) -> None:
    at(secrets, NOW).revoke(Revocation("short", NOW + timedelta(hours=1), 1))
    later = at(secrets, NOW + timedelta(hours=1) + KEPT_AFTER_EXPIRY)
    later.revoke(Revocation("x"))
    assert ids(later) == ["short", "x"]
    much_later = at(secrets, NOW + timedelta(hours=2) + KEPT_AFTER_EXPIRY)
    much_later.revoke(Revocation("y"))
    assert ids(much_later) == ["x", "y"]


@pytest.mark.parametrize("id", ["", "x" * (MAX_ID + 1), "a\nb"])
def test_an_id_that_is_none(revocations: Revocations, id: str) -> None:
    with pytest.raises(InvalidResource, match="jti"):
        revocations.revoke(Revocation(id))


def test_the_list_is_bounded_and_says_the_way_out(
    revocations: Revocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REVOCATIONS", 2)
    for id in "ab":
        revocations.revoke(Revocation(id))
    with pytest.raises(InvalidResource, match="kumactl rotate signing-key"):
        revocations.revoke(Revocation("c"))
    assert not revocations.revoke(Revocation("a")), "what is in it may be revoked again"
    assert ids(revocations) == ["a", "b"]


def test_a_full_list_fits_into_every_store(secrets: SecretManager) -> None:
    entries = [Revocation(f"{n:0{MAX_ID}}", NOW, 999) for n in range(module.MAX_REVOCATIONS)]
    assert len(base64.b64encode(module._render(entries))) < 1024 * 1024


def test_control_planes_that_revoke_at_once_lose_none(secrets: SecretManager) -> None:
    several = [Revocations(secrets) for _ in range(4)]
    wanted = [f"{place}-{n}" for place in range(4) for n in range(10)]

    def work(place: int) -> None:
        for n in range(10):
            assert several[place].revoke(Revocation(f"{place}-{n}"))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert ids(Revocations(secrets)) == sorted(wanted)


def test_one_that_never_gets_its_turn_says_so(
    revocations: Revocations, secrets: SecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise Conflict("somebody else was first")

    revocations.revoke(Revocation("a"))
    monkeypatch.setattr(secrets, "replace", lost)
    monkeypatch.setattr(module, "_LONGEST_WAIT_SECONDS", 0)
    with pytest.raises(Busy, match="try again"):
        revocations.revoke(Revocation("b"))


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        (Change(Op.PUT, ResourceKey("Secret", "default", REVOCATIONS)), True),
        (Change(Op.DELETE, ResourceKey("Secret", "default", REVOCATIONS)), True),
        (Change(Op.RESYNC), True),
        (Change(Op.PUT, ResourceKey("Secret", "default", SIGNING_KEY)), False),
        (Change(Op.PUT, ResourceKey("Secret", "shop", REVOCATIONS)), False),
        (Change(Op.PUT, ResourceKey("Mesh", "default", "default")), False),
    ],
)
def test_they_are_read_again_after_a_hint_and_only_then(
    store: Breakable, revocations: Revocations, change: Change, reads: bool
) -> None:
    assert "a" not in revocations
    before = store.reads
    revocations.changed(change)
    assert "a" not in revocations
    assert (store.reads > before) is reads


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"revoked": 3}',
        b'{"revoked": ["a"]}',
        b'{"revoked": [{"id": 3}]}',
        b"\xff",
        b"[" * 9999,
    ]
    + [json.dumps({"revoked": [{"id": "a", **more}]}).encode() for more in ({"expires": "x"}, {"key": "x"})],
)
def test_a_list_that_cannot_be_read_lets_nobody_in(
    secrets: SecretManager, issuer: TokenIssuer, verifier: TokenVerifier, value: bytes
) -> None:
    secrets.create("default", REVOCATIONS, value)
    with pytest.raises(UnreadableResource, match="no list of revoked tokens; no token is believed"):
        verifier.recognise(issuer.issue("web-1", "shop"))


def test_one_that_becomes_unreadable_counts_as_it_was(
    secrets: SecretManager, issuer: TokenIssuer, verifier: TokenVerifier, revocations: Revocations
) -> None:
    leaked, good = (issuer.issue("web-1", "shop") for _ in range(2))
    revocations.revoke(Revocation(verifier.verify(leaked).id))
    with pytest.raises(Unauthenticated):
        verifier.verify(leaked)
    secrets.replace(secrets.get("default", REVOCATIONS), b"garbage")
    revocations.changed(Change(Op.RESYNC))
    verifier.verify(good)
    with pytest.raises(Unauthenticated, match="it was revoked"):
        verifier.verify(leaked)


def test_revocations_outlive_the_mesh() -> None:
    assert secret_manager(MemoryStore()).outlives_its_mesh(ResourceKey("Secret", "default", REVOCATIONS))
