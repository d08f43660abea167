"""Which values a setting refuses: checks of one value, and rules that look at other values too.

The sentences begin as those of Kuma 0.3.1, which scripts may look for. Pure functions.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kuma_core.config import Check, Config, Rule
from kuma_core.durations import format_duration
from kuma_core.hosts import host_problem, parse_hosts
from kuma_core.log_levels import parse_levels


def in_range(message: str) -> Check:
    """A port number; ``message`` is the whole sentence."""
    return lambda value: None if 0 <= value <= 65535 else message


def port(name: str = "Port") -> Check:
    """A port number."""
    return in_range(f"{name} must be in the range [0, 65535]")


def not_negative(name: str) -> Check:
    """A port whose message in the original speaks of negative numbers only."""
    return lambda value: f"{name} cannot be negative" if value < 0 else port(name)(value)


class Bounds:
    """A duration, or a plain number (``show=str``), of at least ``least`` and at most ``most``.

    Nothing and less is refused in the words of the original, where there are such (``positive``).
    """

    def __init__(
        self,
        name: str,
        least: int,
        most: int,
        show: Callable[[int], str] | None = None,
        positive: bool = True,
    ) -> None:
        self.least, self.most = least, most
        self._name, self._positive = name, positive
        self._show = show or format_short

    def __call__(self, value: int) -> str | None:
        if self._positive and value <= 0:
            return f"{self._name} must be positive, {self}"
        return None if self.least <= value <= self.most else f"{self._name} must be {self}"

    def __str__(self) -> str:
        return f"from {self._show(self.least)} to {self._show(self.most)}"


def format_short(nanoseconds: int) -> str:
    """A duration without the units of which there are none: ``1h`` for ``1h0m0s``."""
    text = format_duration(nanoseconds)
    for end in ("0s", "0m"):
        if text.endswith(("m" + end, "h" + end)):
            text = text.removesuffix(end)
    return text


def present(message: str) -> Check:
    """Text that is not empty; ``message`` is the whole sentence."""
    return lambda value: None if value else message


def one_of(message: str, *choices: str) -> Check:
    """One of a few words."""
    return lambda value: None if value in choices else message


def log_levels(value: str) -> str | None:
    """Levels of the log."""
    try:
        parse_levels(value)
    except ValueError as error:
        return f"Level: {error}"
    return None


def folder(value: str) -> str | None:
    """An absolute path that is what it looks like, or nothing."""
    parts = value.split("/")[1:]
    if not value or (value.startswith("/") and value.isprintable() and not {"", ".", ".."} & set(parts)):
        return None
    return f'Directory "{value:.200}" should be an absolute path such as /var/log/kuma, without ".." in it'


def host(name: str) -> Check:
    """One host, as others write it into a URL."""

    def check(value: str) -> str | None:
        problem = host_problem(value)
        return f'{name} "{value:.200}" {problem}' if problem else None

    return check


def each_host(name: str) -> Check:
    """A list of hosts, each as ``host`` wants it."""
    check = host(name)
    return lambda value: next(filter(None, map(check, value)), None)


def interface(name: str) -> Check:
    """The address or the name of this machine that a server listens on; empty: all of them."""

    def check(value: str) -> str | None:
        if value.startswith("["):
            return f'{name} "{value:.200}" has brackets; leave them out'
        return host(name)(value) if value else None

    return check


def origins(entries: Sequence[str]) -> str | None:
    """Origins, hosts, or regular expressions for them."""
    for entry in entries:
        try:
            re.compile(entry)
        except (re.error, OverflowError, RecursionError) as error:
            return f'CorsAllowedDomains: "{entry:.200}" is no regular expression: {error}'
    return None


def hosts(name: str) -> Check:
    """Several hosts, each with a port or without; nothing at all is another setting's value."""

    def check(value: str) -> str | None:
        try:
            parse_hosts(value, 1) if value else None
        except ValueError as error:
            return f"{name} {error}"
        return None

    return check


def ip_address(value: str) -> str | None:
    """The address of Envoy's admin API."""
    if not value:
        return "AdminAddress cannot be empty"
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "AdminAddress should be a valid IP address"
    return None


def socket_mode(value: str) -> str | None:
    """The permissions of a socket over which secrets leave: never for everybody."""
    if value in ("0600", "0660", "600", "660"):
        return None
    return f'Mode "{value:.20}" must be 0600, for its user alone, or 0660, for its group too'


def tls_mode(value: str) -> str | None:
    """How PostgreSQL is spoken with over TLS."""
    known = ("disable", "verifyNone", "verifyCa", "verifyFull")
    return None if value in known else f"invalid mode: {value}; use {', '.join(known)}"


def _required(path: str, condition: str, wanted: tuple[Any, ...], message: str) -> Rule:
    """The value of ``path`` may not be empty where that of ``condition`` is one of ``wanted``."""
    return lambda config: message if not config.value(path) and config.value(condition) in wanted else None


def _partner(path: str, other: str, message: str) -> Rule:
    """The value of ``path`` may not be empty where that of ``other`` is not."""
    return lambda config: message if config.value(other) and not config.value(path) else None


def _public_server(public: str) -> Mapping[str, Rule]:
    """An open admin server needs everything; without known clients it would refuse them all."""
    return {
        f"{public}.{key}": _required(
            f"{public}.{key}",
            f"{public}.enabled",
            (True,),
            f"{key[0].upper()}{key[1:]} cannot be empty if server is enabled",
        )
        for key in ("tlsCertFile", "tlsKeyFile", "interface", "clientCertsDir")
    }


def _token_server(config: Config) -> str | None:
    public = config.flag("dataplaneTokenServer.public.enabled")
    if config.flag("dataplaneTokenServer.enabled") or not public:
        return None
    return "Public.Enabled cannot be true when server is disabled."


_SDS, _TLS, _HTTPS = "sdsServer", "store.postgres.tls", "apiServer.https"

RULES: Mapping[str, Rule] = {
    f"{_HTTPS}.tlsCertFile": _partner(
        f"{_HTTPS}.tlsCertFile",
        f"{_HTTPS}.tlsKeyFile",
        "TlsCertFile cannot be empty if TlsKeyFile has been set",
    ),
    f"{_HTTPS}.tlsKeyFile": _partner(
        f"{_HTTPS}.tlsKeyFile",
        f"{_HTTPS}.tlsCertFile",
        "TlsKeyFile cannot be empty if TlsCertFile has been set",
    ),
    f"{_SDS}.tlsCertFile": _partner(
        f"{_SDS}.tlsCertFile",
        f"{_SDS}.tlsKeyFile",
        "TlsCertFile cannot be empty if TlsKeyFile has been set",
    ),
    f"{_SDS}.tlsKeyFile": _partner(
        f"{_SDS}.tlsKeyFile",
        f"{_SDS}.tlsCertFile",
        "TlsKeyFile cannot be empty if TlsCertFile has been set",
    ),
    "dataplaneTokenServer.enabled": _token_server,
    **_public_server("dataplaneTokenServer.public"),
    **_public_server("adminServer.public"),
    f"{_TLS}.certPath": _partner(
        f"{_TLS}.certPath", f"{_TLS}.keyPath", "CertPath cannot be empty when KeyPath is provided"
    ),
    f"{_TLS}.keyPath": _partner(
        f"{_TLS}.keyPath", f"{_TLS}.certPath", "KeyPath cannot be empty when CertPath is provided"
    ),
    f"{_TLS}.caPath": _required(
        f"{_TLS}.caPath", f"{_TLS}.mode", ("verifyCa", "verifyFull"), "CAPath cannot be empty"
    ),
    "runtime.kubernetes.admissionServer.certDir": _required(
        "runtime.kubernetes.admissionServer.certDir",
        "environment",
        ("kubernetes",),
        "CertDir should not be empty",
    ),
}
"""By the path of the setting that an error names; each runs after that setting's own check."""
