"""What the machine, or the Pod, has: IPv6, the right to write rules, and rules of the older kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kuma_core.redirection.rules import Family

_NET_ADMIN = 1 << 12  # CAP_NET_ADMIN
_LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class Machine:
    """``ipv6``: the interfaces that have an IPv6 address; ``legacy``: there is a table of iptables-legacy for NAT."""

    ipv6: tuple[str, ...]
    legacy: bool
    may_write: bool

    @property
    def families(self) -> tuple[Family, ...]:
        """The kinds of addresses that connections may have here."""
        return (Family.IPV4, Family.IPV6) if self.ipv6 else (Family.IPV4,)

    @property
    def reached_by_ipv6(self) -> tuple[str, ...]:
        """The interfaces through which others, or services elsewhere, are reached by IPv6."""
        return tuple(name for name in self.ipv6 if name != _LOOPBACK)


def look(proc: Path = Path("/proc")) -> Machine:
    """Look at this process's network namespace; what cannot be read is not there."""
    interfaces = [line.split()[-1] for line in _lines(proc / "net/if_inet6") if line.split()]
    legacy = any("nat" in _lines(proc / f"net/{name}") for name in ("ip_tables_names", "ip6_tables_names"))
    return Machine(tuple(dict.fromkeys(interfaces)), legacy, _may_write(proc))


def _may_write(proc: Path) -> bool:
    for line in _lines(proc / "self/status"):
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value.strip(), 16) & _NET_ADMIN)
    return True  # not known: the back-ends will say


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
