"""Keys that follow each other: the new one signs at once, the old ones verify until they are retired."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import kuma_store_memory
from kuma_core.auth.contract import Unauthenticated
from kuma_core.builtin.tokens import keys as module
from kuma_core.builtin.tokens.contract import SIGNING_KEY
from kuma_core.builtin.tokens.keys import MAX_KEYS, SigningKeys, generate_key, name_of, serial_of
from kuma_core.builtin.tokens.remembered import PAUSE_SECONDS
from kuma_core.builtin.tokens.revocations import Revocation, Revocations
from kuma_core.builtin.tokens.tokens import TokenIssuer, TokenVerifier
from kuma_core.config import Config
from kuma_core.errors import InvalidResource, NotFound, StoreUnavailable
from kuma_core.resources.contract import Change, Op
from kuma_core.resources.secrets import SecretManager
from tests.examples import examples

from .conftest import KEYS, Breakable

POOL = [*KEYS, *(generate_key() for _ in range(5))]


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that were made before."""
    waiting = iter(POOL[1:] * 10)
    monkeypatch.setattr(module, "generate_key", lambda: next(waiting))


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_the_new_key_signs_and_all_verify(
    keys: SigningKeys, issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    old = issuer.issue("web-1", "shop")
    made = keys.rotate()
    new = issuer.issue("web-1", "shop")
    assert (made.serial, kid(new)) == (2, made.id)
    assert [key.serial for key in keys.all()] == [2, 1]
    for token in (old, new):
        verifier.recognise(token)


def test_a_retired_key_takes_its_tokens_along(
    keys: SigningKeys, issuer: TokenIssuer, verifier: TokenVerifier, secrets: SecretManager
) -> None:
    old = issuer.issue("web-1", "shop")
    proof = verifier.recognise(old).proof
    keys.rotate()
    proof.confirm()
    assert keys.retire(kid(old)).serial == 1
    for asked in (proof.confirm, lambda: verifier.verify(old)):
        with pytest.raises(Unauthenticated, match="the key that signed it is not known here"):
            asked()
    verifier.verify(issuer.issue("web-1", "shop"))
    assert secrets.names("default") == [f"{SIGNING_KEY}-2"]
    assert keys.rotate().serial == 3, "no serial comes twice"


def test_the_key_that_signs_cannot_be_retired(keys: SigningKeys, secrets: SecretManager) -> None:
    for _ in range(2):
        with pytest.raises(InvalidResource, match="make another one first"):
            keys.retire(keys.to_sign().id)
        keys.rotate()
    assert len(secrets.names("default")) == 3


@pytest.mark.parametrize("id", ["", "x", "0" * 32])
def test_a_key_that_is_not_there(keys: SigningKeys, id: str) -> None:
    with pytest.raises(NotFound, match="no signing key"):
        keys.retire(id)


def test_who_rotates_on_another_instance_is_seen_before_a_key_is_retired(secrets: SecretManager) -> None:
    """Else the last key could be lost: here the other instance retired what this one takes for the newest but one."""
    here, there = (SigningKeys(secrets) for _ in range(2))
    first = here.to_sign()
    there.rotate()
    assert here.retire(first.id).serial == 1
    assert [key.serial for key in here.all()] == [2]


def test_control_planes_that_rotate_at_once_make_one_key(secrets: SecretManager) -> None:
    several = [SigningKeys(secrets) for _ in range(4)]
    ready, made = threading.Barrier(4), []

    def work(keys: SigningKeys) -> None:
        keys.all()
        ready.wait(10)
        made.append(keys.rotate())

    threads = [threading.Thread(target=work, args=(keys,)) for keys in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(made) == 4
    assert 1 <= len({key.id for key in made}) <= 4
    assert {key.id for key in made} <= {key.id for key in several[0].all()}, (
        "everybody was told of a key that is"
    )


def test_keys_are_bounded(keys: SigningKeys, secrets: SecretManager) -> None:
    for serial in range(2, MAX_KEYS + 1):
        secrets.create("default", name_of(serial), POOL[1])
    with pytest.raises(InvalidResource, match="retire old ones first"):
        keys.rotate()


def test_an_unreadable_newest_key_neither_signs_nor_is_overwritten(
    keys: SigningKeys, secrets: SecretManager, issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    secrets.create("default", name_of(2), b"garbage")
    keys.memory.forget()
    assert keys.to_sign().serial == 1
    with pytest.raises(InvalidResource):
        keys.retire(keys.to_sign().id)
    assert keys.rotate().serial == 3
    verifier.verify(issuer.issue("web-1", "shop"))


def test_a_key_that_becomes_unreadable_counts_as_it_was(
    keys: SigningKeys, secrets: SecretManager, issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    token = issuer.issue("web-1", "shop")
    secrets.replace(secrets.get("default", SIGNING_KEY), b"garbage")
    keys.changed(Change(Op.RESYNC))
    verifier.verify(token)


@pytest.mark.parametrize(
    ("name", "serial"), [("", 1), ("-2", 2), ("-10", 10), ("-1", 0), ("-02", 0), ("-0", 0), ("-x", 0)]
)
def test_names_and_serials(name: str, serial: int) -> None:
    assert serial_of(SIGNING_KEY + name) == serial
    assert not serial or name_of(serial) == SIGNING_KEY + name


# -- what no hint told of yet


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def other(secrets: SecretManager, now: list[float]) -> TokenVerifier:
    """Another instance, which is told of nothing."""
    return TokenVerifier(SigningKeys(secrets, lambda: now[0]), Revocations(secrets))


def test_a_token_of_a_key_that_is_newer_than_the_last_hint_is_believed(
    keys: SigningKeys, issuer: TokenIssuer, other: TokenVerifier
) -> None:
    other.verify(issuer.issue("web-1", "shop"))
    keys.rotate()
    other.verify(issuer.issue("web-1", "shop"))


def test_made_up_keys_cost_one_query_a_second(
    issuer: TokenIssuer, other: TokenVerifier, store: Breakable, now: list[float]
) -> None:
    other.verify(issuer.issue("web-1", "shop"))
    made_up = [
        jwt.encode({"Name": "x"}, load(POOL[2]), "RS256", headers={"kid": f"{n:032x}"}) for n in range(20)
    ]
    odd = [jwt.encode({"Name": "x"}, load(POOL[2]), "RS256", headers={"kid": f"key {n}"}) for n in range(5)]
    for _ in range(2):
        before = store.reads
        for token in [*odd, *made_up]:
            with pytest.raises(Unauthenticated, match="not known here"):
                other.verify(token)
        assert store.reads - before == 2, "the names, and the one key that there is"
        now[0] += PAUSE_SECONDS


def load(der: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_der_private_key(der, password=None)


def test_while_the_store_is_away_an_unknown_key_is_no_refusal(
    keys: SigningKeys, issuer: TokenIssuer, other: TokenVerifier, store: Breakable
) -> None:
    old = issuer.issue("web-1", "shop")
    other.verify(old)
    keys.rotate()
    new = issuer.issue("web-1", "shop")
    store.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            other.verify(new)
        other.verify(old)


# -- any interleaving


class Instance:
    """A control plane over the shared store; ``told`` counts the changes that its watch delivered."""

    def __init__(self, secrets: SecretManager, clock: Any) -> None:
        self.keys, self.revocations = SigningKeys(secrets, clock), Revocations(secrets)
        self.issuer, self.verifier = TokenIssuer(self.keys), TokenVerifier(self.keys, self.revocations)

    def tell(self) -> None:
        for part in (self.keys, self.revocations):
            part.changed(Change(Op.RESYNC))

    def believes(self, token: str) -> bool:
        try:
            self.verifier.recognise(token)
        except Unauthenticated:
            return False
        return True


INSTANCES = st.integers(0, 1)


class Tokens(RuleBasedStateMachine):
    """Two instances, any order of issuing, revoking, rotating, retiring, and of what their watches deliver."""

    tokens = Bundle("tokens")

    @initialize()
    def start(self) -> None:
        (factory,) = kuma_store_memory.kuma_register_stores()
        self.opened = factory.open(Config([], {}, {}))
        secrets = SecretManager(self.opened.__enter__())
        secrets.create("default", SIGNING_KEY, POOL[0])
        self.now = 0.0
        self.instances = [Instance(secrets, lambda: self.now) for _ in range(2)]
        self.issued: dict[str, str] = {}
        self.bad: set[str] = set()
        self.retired: set[str] = set()
        self.behind = [False, False]

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            self.opened.__exit__(None, None, None)

    def changed(self, by: int) -> None:
        """The other instance learns of it with its next hint."""
        self.behind[1 - by] = True

    @rule(target=tokens, at=INSTANCES)
    def issue(self, at: int) -> str:
        token = self.instances[at].issuer.issue("web-1", "shop")
        self.issued[token] = kid(token)
        return token

    @rule(at=INSTANCES, token=tokens, by_id=st.booleans())
    def revoke(self, at: int, token: str, by_id: bool) -> None:
        instance = self.instances[at]
        if self.issued[token] in self.retired:
            return
        genuine = instance.verifier.genuine(token)
        serial = None if by_id else genuine.key.serial
        instance.revocations.revoke(Revocation(genuine.claims.id, None, serial))
        self.bad.add(token)
        self.changed(at)

    @precondition(lambda self: len(self.retired) < 4)
    @rule(at=INSTANCES)
    def rotate(self, at: int) -> None:
        if len(self.instances[at].keys.all()) < 4:
            self.instances[at].keys.rotate()
            self.changed(at)

    @rule(at=INSTANCES)
    def retire(self, at: int) -> None:
        oldest = self.instances[at].keys.all()[-1]
        try:
            self.instances[at].keys.retire(oldest.id)
        except (InvalidResource, NotFound):
            return
        self.retired.add(oldest.id)
        self.changed(at)

    @rule(at=INSTANCES)
    def deliver(self, at: int) -> None:
        self.instances[at].tell()
        self.behind[at] = False

    @rule(seconds=st.sampled_from([0.1, PAUSE_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nobody_up_to_date_is_wrong(self) -> None:
        for instance, behind in zip(
            getattr(self, "instances", []), getattr(self, "behind", []), strict=False
        ):
            if not behind:
                good = {t for t, key in self.issued.items() if t not in self.bad and key not in self.retired}
                assert {token for token in self.issued if instance.believes(token)} == good

    @rule(at=INSTANCES, token=consumes(tokens))
    def a_good_token_is_never_refused(self, at: int, token: str) -> None:
        """Not even by who was not told of its key yet, as long as made-up keys did not take the second."""
        self.now += PAUSE_SECONDS
        if token not in self.bad and self.issued[token] not in self.retired:
            assert self.instances[at].believes(token)


def test_any_interleaving_of_revoke_rotate_retire_and_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield from POOL[1:]

    waiting = endless()
    monkeypatch.setattr(module, "generate_key", lambda: next(waiting))
    run_state_machine_as_test(
        Tokens,
        settings=settings(
            max_examples=examples(10, chaos=60),
            stateful_step_count=20,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )
