"""What the tests of tokens share: a store that can be away, and the parts of a control plane over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.tokens.contract import SIGNING_KEY
from kuma_core.builtin.tokens.keys import SigningKeys, generate_key
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.builtin.tokens.tokens import TokenIssuer, TokenVerifier
from kuma_core.config import Config
from kuma_core.errors import StoreUnavailable
from kuma_core.resources.contract import Store
from kuma_core.resources.secrets import SecretManager

KEYS = [generate_key() for _ in range(3)]
"""Made once: a key takes a tenth of a second."""


class Breakable:
    """A store that can be away, and counts reads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False
        self.reads = 0

    def __getattr__(self, verb: str) -> Any:
        if self.away:
            raise StoreUnavailable("away")
        self.reads += verb in ("get", "list")
        return getattr(self._store, verb)


@pytest.fixture
def store() -> Iterator[Breakable]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as opened:
        yield Breakable(opened)


@pytest.fixture
def secrets(store: Any) -> SecretManager:
    manager = SecretManager(store)
    manager.create("default", SIGNING_KEY, KEYS[0])
    return manager


@pytest.fixture
def keys(secrets: SecretManager) -> SigningKeys:
    made = SigningKeys(secrets)
    made.ensure()
    return made


@pytest.fixture
def issuer(keys: SigningKeys) -> TokenIssuer:
    return TokenIssuer(keys)


@pytest.fixture
def revocations(secrets: SecretManager) -> Revocations:
    return Revocations(secrets)


@pytest.fixture
def verifier(keys: SigningKeys, revocations: Revocations) -> TokenVerifier:
    return TokenVerifier(keys, revocations)
