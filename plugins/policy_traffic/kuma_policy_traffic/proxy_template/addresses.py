"""Addresses that Envoy takes as they are, without looking a name up."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterator
from typing import Any


def is_ip(text: str) -> bool:
    """Whether a text is an IP address as Envoy reads it."""
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def is_link_local(text: str) -> bool:
    """Whether a text is an IPv6 address that means something on one of the machine's networks only."""
    address = ipaddress.ip_address(text) if is_ip(text) and "%" not in text else None
    return isinstance(address, ipaddress.IPv6Address) and address.is_link_local


def socket_problem(place: str, socket: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with the address of a socket, if there is one; a resolver of its own may know other names."""
    if socket and not socket.resolver_name and not is_ip(socket.address):
        yield f"{place}.address", f"malformed IP address: {socket.address:.100}"


def check_place(name: str, message: Any, listening: dict[Hashable, str]) -> None:
    """Raise ``ValueError`` for a listener where another one of the same template listens.

    ``listening`` has the names of those before it by their places, and gets this one.
    """
    address = getattr(message, "address", None)
    if address is None:
        return
    socket, pipe = address.socket_address, address.pipe
    place = socket.port_value and (socket.address, socket.port_value) if socket else pipe and pipe.path
    other = listening.setdefault(place, name) if place else name
    if other != name:  # of two listeners of one name the later one counts
        raise ValueError(f'field "address": is also that of the listener "{other:.100}"')
