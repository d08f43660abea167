"""What a raw resource holds that is not for everybody to send: noted while it is read, judged by whoever knows more.

What the operator of the control plane allows, and which port the admin API of a proxy has, is not known to the reader.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from kuma_core.sdk import log_pipe
from kuma_policy_traffic.places import said_outside
from kuma_policy_traffic.proxy_template.addresses import is_ip
from kuma_policy_traffic.proxy_template.allowed import (
    ADMIN_API,
    ADMIN_CLUSTER,
    CLOSED,
    EVERYTHING,
    EXTENSIONS,
    FILE_LOG,
    FORMS,
    OPERATOR_FAMILIES,
    OPERATORS,
)

SETTING = "policies.proxyTemplate.allowedTypes"
ENDPOINT = "envoy.config.endpoint.v3.Endpoint"
HEALTH_CHECK_PORT = "envoy.config.endpoint.v3.Endpoint.HealthCheckConfig"
SOCKET = "envoy.config.core.v3.SocketAddress"
ANYWHERE = ""
"""The host of an endpoint that only its proxy knows, or the place of a message that is no host."""

_OPERATOR = re.compile(r"%([A-Z][A-Z0-9_]{2,})[%(:]")
"""Longer than the letters in the pattern of a time."""
MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Met:
    """``restricted`` has the names of what is not allowed by itself, ``dials`` the hosts and ports of endpoints, and
    ``files`` the paths of access logs; each with the field where it stood first."""

    restricted: tuple[tuple[str, str], ...] = ()
    dials: tuple[tuple[tuple[str, int], str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


NOTHING = Met()


@dataclass(slots=True)
class Notes:
    """Of one resource that is being read."""

    _restricted: dict[str, str] = field(default_factory=dict)
    _dials: dict[tuple[str, int], str] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)

    def packed(self, name: str, path: str) -> None:
        """An ``Any`` holds a message of this full name."""
        if name not in EXTENSIONS:
            self._restricted.setdefault(name, path)

    def message(self, name: str, fields: Set[str], message: Any, path: str, within: Collection[str]) -> None:
        """A message of this full name was read, which has these fields; ``within`` are the messages around it."""
        for key in _restricted_fields(name) & fields:
            self._restricted.setdefault(f"{name}.{key}", f"{path}.{key}".lstrip("."))
        if name == SOCKET and ENDPOINT in within and message.port_value is not None:
            self._dials.setdefault((message.address, message.port_value), path)
        elif name == HEALTH_CHECK_PORT and message.port_value:
            self._dials.setdefault((ANYWHERE, message.port_value), f"{path}.port_value")
        elif name == FILE_LOG:
            self._files.setdefault(message.path, f"{path}.path")

    def text(self, value: str | bytes, path: str) -> None:
        """A text, which may be a format, or the name of a cluster."""
        if value == ADMIN_CLUSTER:
            self._restricted.setdefault(ADMIN_API, path)
        if "%" in value if isinstance(value, str) else b"%" in value:
            said = value if isinstance(value, str) else value.decode("latin-1")
            for operator in _OPERATOR.findall(said):
                if operator not in OPERATORS and not operator.startswith(OPERATOR_FAMILIES):
                    self._restricted.setdefault(f"%{operator}%", path)

    def all(self) -> Met:
        """Everything noted, frozen."""
        return Met(tuple(self._restricted.items()), tuple(self._dials.items()), tuple(self._files.items()))


@cache
def _restricted_fields(name: str) -> frozenset[str]:
    """The fields of a message, by its full name, that are not for everybody."""
    from kuma_policy_traffic.proxy_template.messages import fields_of

    closed = {field for message, _, field in (full.rpartition(".") for full in CLOSED) if message == name}
    return frozenset(closed | (fields_of(name).keys() - FORMS[name] if name in FORMS else set()))


def refusals(met: Met, allowed: Collection[str]) -> Iterator[str]:
    """What speaks against a resource where the setting allows these names beside all that is allowed anyway."""
    if EVERYTHING in allowed:
        return
    found = [(name, path) for name, path in met.restricted if name not in allowed]
    for name, path in found[:MOST_NAMED]:
        yield f'field "{path}": {name} {_REACHES}'
    if found[MOST_NAMED:]:
        yield f"{len(found) - MOST_NAMED} more fields of that kind"


_REACHES = (
    "is not allowed in a ProxyTemplate, as it may reach beyond the proxy, to files, variables, programs or other "
    f"servers; whoever runs the control plane may allow it by {SETTING}"
)


def admin_refusal(met: Met, allowed: Collection[str], port: int, own: Collection[str]) -> str:
    """Why a proxy whose admin API has this port does not get a resource; empty if it does.

    ``own`` are addresses of the proxy's machine. A name may stand for any address.
    """
    if not port or ADMIN_API in allowed or EVERYTHING in allowed:
        return ""
    for (host, dialled), path in met.dials:
        if dialled == port and (host in own or _may_be_here(host)):
            return (
                f'field "{path}": {port} is the port of Envoy\'s admin API, through which others would govern the '
                f"proxy; use another port, or restart kuma-dp with another --admin-port ({SETTING} allows "
                f'"{ADMIN_API}")'
            )
    return ""


def _may_be_here(host: str) -> bool:
    if not is_ip(host):
        return True
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified or address.is_link_local


def outside(met: Met, directory: str) -> str:
    """Why the files of access logs may not be where they are; empty if they may, or if any place is good."""
    for path, place in met.files if directory else ():
        if not log_pipe.is_below(path, directory):
            return f'field "{place}": {said_outside(path, directory)}'
    return ""
