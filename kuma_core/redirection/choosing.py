"""Which back-end writes the rules: the first with which the kernel takes all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kuma_core.errors import KumaError
from kuma_core.redirection.iptables import Iptables
from kuma_core.redirection.machine import Machine
from kuma_core.redirection.nft import Nft
from kuma_core.redirection.plan import Plan
from kuma_core.redirection.programs import Find, Run, Step
from kuma_core.redirection.rules import Family, Rules, rules_of

NAMES = ("iptables-nft", "nft", "iptables-legacy")
"""The back-ends, in the order in which they are tried."""


class BackEnd(Protocol):
    """Whoever puts rules into the kernel."""

    name: str

    def missing(self, families: Sequence[Family]) -> str:
        """What is not installed, or nothing."""
        ...

    def setting(self, rules: Rules) -> Step:
        """Puts rules into force in place of earlier ones of the same back-end, at once."""
        ...

    def removing(self, family: Family) -> Step | None:
        """Takes everything of ours away; None if there is nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """Who took the rules, and for which addresses; ``warning`` is empty or says what is not as it should be."""

    back_end: str
    families: tuple[Family, ...]
    warning: str = ""


def back_ends(machine: Machine, wanted: str, find: Find, run: Run) -> list[BackEnd]:
    """Those to try, in order: ``wanted`` is one of ``NAMES``, or empty for all.

    Two kinds of rules in one namespace are a riddle to whoever reads one of them, so where rules of the older kind are
    in use ours are of that kind, too, if that is possible.
    """
    names = sorted(NAMES, key=lambda name: name != "iptables-legacy") if machine.legacy else list(NAMES)
    made: dict[str, BackEnd] = {
        "iptables-nft": Iptables("nft", find, run),
        "iptables-legacy": Iptables("legacy", find, run),
        "nft": Nft(find, run),
    }
    return [made[name] for name in names if wanted in ("", name)]


def set_up(
    plan: Plan, machine: Machine, tried: Sequence[BackEnd], others: Sequence[BackEnd], run: Run
) -> Done:
    """Put the plan into force, and take away what ``others`` have of an earlier run.

    Raises ``KumaError`` that names what each back-end said if none takes the rules; then nothing is redirected.
    """
    problems: list[str] = []
    for back_end in tried:
        if problem := _tried(back_end, plan, machine.families, run):
            problems.append(f"{back_end.name}: {problem}")
            continue
        _remove_all(others, back_end, machine, run)
        return Done(back_end.name, machine.families)
    if Family.IPV6 in machine.families and not machine.reached_by_ipv6:
        for back_end in tried:
            if not _tried(back_end, plan, (Family.IPV4,), run):
                _remove_all(others, back_end, machine, run)
                why = "IPv6 cannot be redirected here; nobody is reached by it, as no interface but lo has an address"
                return Done(back_end.name, (Family.IPV4,), why)
    raise KumaError(_refusal(problems, machine))


def _tried(back_end: BackEnd, plan: Plan, families: Sequence[Family], run: Run) -> str:
    """Why the rules are not in force, or nothing. What one family of addresses got is taken back if the other fails."""
    if missing := back_end.missing(families):
        return missing
    for family in families:
        if problem := run(back_end.setting(rules_of(plan, family))).problem:
            remove([back_end], families, run)
            return f"{family}: {problem}"
    return ""


def _remove_all(others: Iterable[BackEnd], kept: BackEnd, machine: Machine, run: Run) -> None:
    remove([other for other in others if other.name != kept.name], tuple(Family), run)


def remove(back_ends: Iterable[BackEnd], families: Sequence[Family], run: Run) -> list[Step]:
    """Take away everything of ours; returns what was done. Raises ``KumaError`` if something stays."""
    done = []
    for step in removal(back_ends, families):
        if problem := run(step).problem:
            raise KumaError(f"cannot take the rules away with {step.words[0]}: {problem}; they are in force")
        done.append(step)
    return done


def removal(back_ends: Iterable[BackEnd], families: Sequence[Family]) -> list[Step]:
    """The steps that take away everything of ours that is there."""
    steps = [back_end.removing(family) for back_end in back_ends for family in families]
    return [step for step in steps if step]


def _refusal(problems: Sequence[str], machine: Machine) -> str:
    ipv6 = ""
    if machine.reached_by_ipv6 and any("IPv6" in problem for problem in problems):
        ipv6 = (
            f" Connections by IPv6 would pass the proxy by, as {', '.join(machine.reached_by_ipv6)} has an address: let"
            " the kernel redirect them, or switch IPv6 off with net.ipv6.conf.all.disable_ipv6=1."
        )
    return (
        f"no back-end can redirect connections here, so nothing is redirected ({'; '.join(problems)})."
        f" Install iptables or nftables, or let the kernel load their modules for NAT.{ipv6}"
    )
