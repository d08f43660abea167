"""What is to be redirected, as values: read from the words of a command line, and checked."""

from __future__ import annotations

import grp
import ipaddress
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kuma_core.errors import ConfigError
from kuma_core.visible import one_line

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYTHING = "*"
MOST = 256
"""How many items a list may have: each is a rule that the kernel reads for every new connection."""
SSH = 22
"""The port that is never redirected inbound: who sets this up on a machine far away wants to stay."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is redirected to ``port``, and what is not.

    ``inbound`` are ports and ``outbound`` destinations; None is all of them, and empty is none. ``not_inbound`` and
    ``not_outbound`` are exceptions. ``users`` and ``groups`` are the numbers of those whose own connections are left
    alone.
    """

    port: int
    users: tuple[int, ...]
    groups: tuple[int, ...]
    inbound: tuple[int, ...] | None
    outbound: tuple[Network, ...] | None
    not_inbound: tuple[int, ...] = ()
    not_outbound: tuple[Network, ...] = ()


def port(text: str, flag: str) -> int:
    """A port from 1 to 65535; raises ``ConfigError`` that names the flag."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise ConfigError(f"{flag}: {_quoted(text)} is not a port; use a number from 1 to 65535")
    return int(text)


def ports(text: str, flag: str) -> tuple[int, ...]:
    """Ports with commas between them; empty is none."""
    return _items(text, flag, port)


def ports_or_all(text: str, flag: str) -> tuple[int, ...] | None:
    """The same; ``*`` is all ports."""
    return None if text.strip() == EVERYTHING else ports(text, flag)


def networks(text: str, flag: str) -> tuple[Network, ...]:
    """Ranges of addresses (``10.0.0.0/8``) or single addresses, IPv4 and IPv6, with commas between them."""
    return _items(text, flag, _network)


def networks_or_all(text: str, flag: str) -> tuple[Network, ...] | None:
    """The same; ``*`` is everywhere."""
    return None if text.strip() == EVERYTHING else networks(text, flag)


def users(text: str, flag: str) -> tuple[int, ...]:
    """Users by number or name, with commas between them."""
    return _items(text, flag, lambda name, _: _owner(name, flag, "user", _user_of))


def groups(text: str, flag: str) -> tuple[int, ...]:
    """Groups by number or name, with commas between them."""
    return _items(text, flag, lambda name, _: _owner(name, flag, "group", _group_of))


def _items(text: str, flag: str, read: Callable[[str, str], _Item]) -> tuple[_Item, ...]:
    """The items of a list, each once, in their order."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if len(words) > MOST:
        raise ConfigError(f"{flag}: {len(words)} items are too many; {MOST} are the most")
    if EVERYTHING in words:
        raise ConfigError(f'{flag}: "{EVERYTHING}" cannot stand in a list with others')
    return tuple(dict.fromkeys(read(word, flag) for word in words))


def _network(text: str, flag: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        why = one_line(str(error))
        raise ConfigError(
            f"{flag}: {_quoted(text)} is not a range of addresses such as 10.0.0.0/8: {why}"
        ) from None


def _user_of(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group_of(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _owner(text: str, flag: str, what: str, number_of: Callable[[str], int]) -> int:
    """The number of a user or group that is given by its number or its name."""
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32 - 1:
        return int(text)
    try:
        return number_of(text)
    except (KeyError, ValueError):
        raise ConfigError(f"{flag}: no {what} {_quoted(text)} here; make it, or give the number") from None


def _quoted(text: str) -> str:
    return f'"{one_line(text[:60])}"'
