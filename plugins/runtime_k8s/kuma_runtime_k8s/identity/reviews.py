"""Asks the API server who a token belongs to: seldom the same twice, and never more often than it takes.

What a review said is remembered for a moment, by a hash of the token; tokens are in no message and no log.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kuma_core.sdk import StoreUnavailable, Unauthenticated
from kuma_runtime_k8s.contract import KubeApi, code_of
from kuma_runtime_k8s.identity.claims import USER

T = TypeVar("T")

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"

GOOD_SECONDS = 60.0
BAD_SECONDS = 60.0
REMEMBERED = 10_000
"""How many tokens are remembered, good and bad ones each."""

A_SECOND = 20
"""How many reviews are asked for in a second, at most."""
PATIENCE = 5.0
"""How long a proxy waits for its turn, in seconds; then it has to come again."""

POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"

FAILED = "authentication failed: "


@dataclass(frozen=True, slots=True)
class Account:
    """Who a token belongs to, as the API server says: ``pod`` and ``uid`` are empty for a token that no Pod binds."""

    namespace: str
    name: str
    pod: str = ""
    uid: str = ""


class Reviews:
    """TokenReviews. Safe for use from several threads. With an audience a token has to be meant for it."""

    def __init__(self, api: KubeApi, audience: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._audience, self._clock = api, audience, clock
        self._good: _Remembered[Account] = _Remembered(GOOD_SECONDS, clock)
        self._bad: _Remembered[str] = _Remembered(BAD_SECONDS, clock)
        self._turns = _Turns(A_SECOND, clock)

    def account(self, token: str) -> Account:
        """Who a token belongs to. Raises ``Unauthenticated``, or ``StoreUnavailable`` without an answer."""
        key = hashlib.sha256(token.encode()).digest()
        if refusal := self._bad.get(key):
            raise Unauthenticated(refusal)
        found = self._good.get(key)
        if found is None:
            try:
                found = account_of(self._review(token), self._audience)
            except Unauthenticated as error:
                self._bad.put(key, str(error))
                raise
            self._good.put(key, found)
        return found

    def _review(self, token: str) -> Mapping[str, Any]:
        if not self._turns.take(PATIENCE):
            raise StoreUnavailable("too many tokens are to be reviewed at the moment; come again")
        spec: dict[str, Any] = {"token": token}
        if self._audience:
            spec["audiences"] = [self._audience]
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            answer = self._api.ask("POST", PATH, body=body)
        except StoreUnavailable as error:
            said = f"{FAILED}call to TokenReview API failed: {error}"
            if code_of(error) in (400, 413, 422):  # it is the token's fault, and stays so
                raise Unauthenticated(said) from error
            raise StoreUnavailable(said) from error
        status: Mapping[str, Any] = answer.get("status") or {}
        return status


def account_of(status: Mapping[str, Any], audience: str = "") -> Account:
    """Who the status of a review speaks of. Raises ``Unauthenticated`` with the words of Kuma 0.3."""
    if status.get("authenticated") is not True:
        raise Unauthenticated(f"{FAILED}token doesn't belong to a valid user")
    if audience and audience not in (status.get("audiences") or ()):
        raise Unauthenticated(f'{FAILED}token is not meant for the audience "{audience}"')
    user = status.get("user") or {}
    name = str(user.get("username") or "")
    parts = name.split(":")
    if len(parts) != 4:
        raise Unauthenticated(
            f'{FAILED}username inside TokenReview response has unexpected format: "{name:.200}"'
        )
    if not name.startswith(USER):
        raise Unauthenticated(f'{FAILED}token must belong to a k8s system account, got "{name:.200}"')
    extra = user.get("extra") or {}
    return Account(parts[2], parts[3], _first(extra, POD_NAME), _first(extra, POD_UID))


def _first(extra: Mapping[str, Any], name: str) -> str:
    values = extra.get(name)
    return str(values[0]) if isinstance(values, list) and values else ""


class _Remembered(Generic[T]):
    """What was said lately, the latest ``REMEMBERED`` of it."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._guard = threading.Lock()
        self._entries: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def get(self, key: bytes) -> T | None:
        with self._guard:
            at, value = self._entries.get(key, (0.0, None))
            if value is None or self._clock() - at > self._seconds:
                return None
            return value

    def put(self, key: bytes, value: T) -> None:
        with self._guard:
            self._entries.pop(key, None)
            self._entries[key] = (self._clock(), value)
            if len(self._entries) > REMEMBERED:
                self._entries.popitem(last=False)


class _Turns:
    """Lets so many through in a second, one behind the other."""

    def __init__(self, a_second: int, clock: Callable[[], float]) -> None:
        self._apart, self._clock = 1 / a_second, clock
        self._guard = threading.Lock()
        self._next = 0.0

    def take(self, patience: float) -> bool:
        """Wait for a turn, so many seconds at most; whether it came."""
        with self._guard:
            now = self._clock()
            at = max(now, self._next)
            if at - now > patience:
                return False
            self._next = at + self._apart
        time.sleep(at - now)
        return True
