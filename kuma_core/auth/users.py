"""Who asks an HTTP server: by a token, a client certificate, the Unix socket, or by asking from this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from kuma_core.auth.contract import (
    ADMINS,
    CERTIFICATE,
    LOOPBACK,
    READERS,
    SOCKET,
    User,
)

LOCAL_IS_ADMIN, TOKENS, OPEN = "localhostIsAdmin", "token", "open"
MODES = (LOCAL_IS_ADMIN, TOKENS, OPEN)
"""The values of ``apiServer.auth.mode``."""

MODE = "apiServer.auth.mode"

UNIX = "unix:"
"""How the address of a client of a Unix socket begins; its user stands behind."""

_PASSED_ON = frozenset(
    (
        "FORWARDED",
        "VIA",
        "X-REAL-IP",
        "X-CLIENT-IP",
        "X-ORIGINAL-FORWARDED-FOR",
        "X-ENVOY-EXTERNAL-ADDRESS",
        "TRUE-CLIENT-IP",
        "CF-CONNECTING-IP",
    )
)
_PASSED_ON_PREFIX = "X-FORWARDED-"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a connection and its request tell of who asks.

    ``address`` is the peer's, ``unix:uid=0`` for one of a Unix socket. ``authorization`` is the header of that name.
    ``certificate`` is whom a client certificate names that the server verified. ``passed_on`` says that something in
    between passed the request on, ``foreign_page`` that a web page of another origin asks by the browser of whoever
    sits at the address: neither is ever of this machine.
    """

    address: str
    authorization: str = field(default="", repr=False)
    certificate: str = ""
    passed_on: bool = False
    foreign_page: bool = False


class Users:
    """Tells who a caller is in one of the ``MODES``; ``recognise`` returns the user of a token, or raises
    ``Unauthenticated``. Safe for use from several threads."""

    def __init__(self, mode: str, recognise: Callable[[str], User]) -> None:
        self.mode, self._recognise = mode, recognise

    def who(self, caller: Caller) -> User:
        """The user. A token that is shown counts, and nothing beside it.

        Raises ``Unauthenticated`` for a token that is good for nothing: who shows one wants to be somebody.
        """
        if token := bearer(caller.authorization):
            user = self._recognise(token)
            return self._opened(user)
        if caller.certificate:
            name, _, serial = caller.certificate.rpartition(", serial=")
            return User(name or caller.certificate, frozenset((ADMINS,)), CERTIFICATE, serial)
        if caller.address.startswith(UNIX) and not caller.passed_on:
            return User(caller.address, frozenset((ADMINS,)), SOCKET)
        return self._without_credential(caller)

    def _without_credential(self, caller: Caller) -> User:
        local = is_local(caller)
        if self.mode == LOCAL_IS_ADMIN:
            if local:
                return User("localhost", frozenset((ADMINS,)), LOOPBACK)
            return User("nobody", frozenset((READERS,)))
        return self._opened(User("nobody"))

    def _opened(self, user: User) -> User:
        if self.mode != OPEN:
            return user
        return User(user.name, user.groups | {ADMINS}, user.by, user.id)


def bearer(authorization: str) -> str:
    """The token of an ``Authorization`` header; other schemes are those of proxies in between, and not for us."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_local(caller: Caller) -> bool:
    """Whether a program of this machine asks for itself."""
    return is_loopback(caller.address) and not caller.passed_on and not caller.foreign_page


def passed_on(names: Iterable[str]) -> bool:
    """Whether headers of these names, in any case, tell of something in between."""
    return any((name := each.upper()) in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX) for each in names)


@lru_cache(1024)
def is_loopback(address: str) -> bool:
    """Whether an address of a peer is loopback, also one of IPv4 that came over IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
