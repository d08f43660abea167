"""The rules of a plan, in order, in no program's language: the first that matches decides.

Those of OUTPUT see connections that begin on the machine, those of PREROUTING connections to it. Only TCP ever comes to
them, and only the first packet of each connection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from kuma_core.redirection.plan import SSH, Network, Plan


class Family(Enum):
    """The two kinds of addresses; ``loopback`` is the one at which services of the machine itself listen."""

    IPV4 = 4
    IPV6 = 6

    @property
    def loopback(self) -> Network:
        """The one address, as a range."""
        return ipaddress.ip_network("127.0.0.1/32" if self is Family.IPV4 else "::1/128")

    def __str__(self) -> str:
        return f"IPv{self.value}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What matches all that is said is redirected, or left alone.

    ``through_lo`` is what leaves through ``lo``: it is for the machine itself. ``passed_on`` is what has the mark of
    Envoy's own passing on.
    """

    redirect: bool
    port: int | None = None
    user: int | None = None
    group: int | None = None
    to: Network | None = None
    not_to: Network | None = None
    through_lo: bool = False
    passed_on: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one family of addresses; what no rule names is left alone."""

    family: Family
    port: int
    inbound: tuple[Rule, ...]
    outbound: tuple[Rule, ...]


def rules_of(plan: Plan, family: Family) -> Rules:
    """The rules that give the plan its effect."""
    return Rules(family, plan.port, tuple(_inbound(plan)), tuple(_outbound(plan, family)))


def _inbound(plan: Plan) -> Iterator[Rule]:
    if plan.inbound == ():
        return
    yield Rule(False, port=SSH)
    if plan.inbound is None:
        yield from (Rule(False, port=port) for port in plan.not_inbound)
        yield Rule(True)
    else:
        yield from (Rule(True, port=port) for port in plan.inbound)


def _outbound(plan: Plan, family: Family) -> Iterator[Rule]:
    """Envoy's own calls to this machine's addresses are redirected, as they may be for an inbound with mTLS.

    The first rules keep those that had no listener from coming back for ever.
    """
    yield from (Rule(False, through_lo=True, passed_on=True, user=user) for user in plan.users)
    yield from (Rule(False, through_lo=True, passed_on=True, group=group) for group in plan.groups)
    yield Rule(True, through_lo=True, not_to=family.loopback)
    yield from (Rule(False, user=user) for user in plan.users)
    yield from (Rule(False, group=group) for group in plan.groups)
    yield Rule(False, to=family.loopback)
    yield from (Rule(False, to=network) for network in plan.not_outbound if network.version == family.value)
    if plan.outbound is None:
        yield Rule(True)
    else:
        yield from (Rule(True, to=network) for network in plan.outbound if network.version == family.value)
