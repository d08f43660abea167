"""Rules as iptables knows them: one table in one step for each family of addresses, by ``iptables-restore``.

There are two iptables: one writes rules of nftables, the other one (legacy) those of an older part of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kuma_core.pass_mark import PASSED_ON_HOPS
from kuma_core.redirection.programs import LOCK_SECONDS, Find, Run, Step
from kuma_core.redirection.rules import Family, Rule, Rules

INBOUND, OUTBOUND = "KUMA_INBOUND", "KUMA_OUTBOUND"
"""Our chains in the table ``nat``; the first is for connections to the machine, the second for those of it."""

_PREFIX = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
_JUMP = re.compile(rf"-A (\w+ .*-j (?:{INBOUND}|{OUTBOUND}))")


class Iptables:
    """A back-end: ``kind`` is ``nft`` or ``legacy``."""

    def __init__(self, kind: str, find: Find, run: Run) -> None:
        self.name = f"iptables-{kind}"
        self._kind, self._find, self._run = kind, find, run

    def missing(self, families: Sequence[Family]) -> str:
        """What is not installed, or nothing."""
        absent = [self._asked(family) for family in families if not self._program(family)]
        return f"{' and '.join(absent)} not installed" if absent else ""

    def setting(self, rules: Rules) -> Step:
        """Puts rules into force in place of earlier ones, at once."""
        lines = [
            *_emptied(),
            *self._jumps_gone(rules.family),
            *_appended(INBOUND, rules.inbound, rules),
            *_appended(OUTBOUND, rules.outbound, rules),
            f"-A OUTPUT -p tcp -j {OUTBOUND}",
        ]
        if rules.inbound:  # what a router only hands on is none of its own
            lines.append(f"-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j {INBOUND}")
        return self._restore(rules.family, lines)

    def removing(self, family: Family) -> Step | None:
        """Takes everything of ours away; None if there is nothing."""
        if not self._program(family) or not any(
            chain in self._saved(family) for chain in (INBOUND, OUTBOUND)
        ):
            return None
        lines = [*_emptied(), *self._jumps_gone(family), f"-X {INBOUND}", f"-X {OUTBOUND}"]
        return self._restore(family, lines)

    def _restore(self, family: Family, lines: Sequence[str]) -> Step:
        name = self._program(family) or self._asked(family)
        words = (f"{name}-restore", "--noflush", "--wait", str(LOCK_SECONDS))
        return Step(words, "\n".join(["*nat", *lines, "COMMIT", ""]))

    def _jumps_gone(self, family: Family) -> Iterator[str]:
        for line in self._saved(family).splitlines():
            if found := _JUMP.fullmatch(line.strip()):
                yield f"-D {found[1]}"

    def _saved(self, family: Family) -> str:
        """The table as it is; nothing where the kernel has none, or does not show it."""
        name = self._program(family)
        return self._run(Step((f"{name}-save", "-t", "nat"))).output if name else ""

    def _asked(self, family: Family) -> str:
        return f"{_PREFIX[family]}-{self._kind}"

    def _program(self, family: Family) -> str:
        """The name of the program of this kind, with which those of its helpers begin; nothing if it is not here."""
        if self._find(f"{self._asked(family)}-restore"):
            return self._asked(family)
        plain = _PREFIX[family]
        if not self._find(f"{plain}-restore"):
            return ""
        version = self._run(Step((plain, "--version"))).output
        return plain if ("nf_tables" in version) == (self._kind == "nft") else ""


def _emptied() -> list[str]:
    """Our chains, made if they are not there."""
    return [f":{INBOUND} - [0:0]", f":{OUTBOUND} - [0:0]"]


def _appended(chain: str, rules: Sequence[Rule], among: Rules) -> Iterator[str]:
    for rule in rules:
        target = f"REDIRECT --to-ports {among.port}" if rule.redirect else "RETURN"
        yield " ".join(["-A", chain, "-p tcp", *_matches(rule, among.family), "-j", target])


def _matches(rule: Rule, family: Family) -> Iterator[str]:
    if rule.through_lo:
        yield "-o lo"
    if rule.passed_on:
        match = "-m ttl --ttl-eq" if family is Family.IPV4 else "-m hl --hl-eq"
        yield f"{match} {PASSED_ON_HOPS}"
    if rule.user is not None:
        yield f"-m owner --uid-owner {rule.user}"
    if rule.group is not None:
        yield f"-m owner --gid-owner {rule.group}"
    if rule.to is not None:
        yield f"-d {rule.to}"
    if rule.not_to is not None:
        yield f"! -d {rule.not_to}"
    if rule.port is not None:
        yield f"--dport {rule.port}"
