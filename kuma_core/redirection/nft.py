"""Rules as nft knows them: a table of ours for each family of addresses, so that nobody else's is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kuma_core.pass_mark import PASSED_ON_HOPS
from kuma_core.redirection.programs import Find, Run, Step
from kuma_core.redirection.rules import Family, Rule, Rules

TABLE = "kuma_init"

_FAMILY = {Family.IPV4: "ip", Family.IPV6: "ip6"}
_HOPS = {Family.IPV4: "ip ttl", Family.IPV6: "ip6 hoplimit"}
_PRIORITY = -100  # that of iptables, for NAT of destinations


class Nft:
    """A back-end that needs no iptables."""

    name = "nft"

    def __init__(self, find: Find, run: Run) -> None:
        self._find, self._run = find, run

    def missing(self, families: Sequence[Family]) -> str:
        """What is not installed, or nothing."""
        return "" if self._find("nft") else "nft not installed"

    def setting(self, rules: Rules) -> Step:
        """Puts rules into force in place of earlier ones, at once."""
        family = _FAMILY[rules.family]
        lines = [*_gone(rules.family), f"table {family} {TABLE} {{"]
        if rules.inbound:  # what a router only hands on is none of its own
            lines += _chain("prerouting", rules.inbound, rules, ["fib daddr type != local return"])
        lines += [*_chain("output", rules.outbound, rules, []), "}"]
        return _step(lines)

    def removing(self, family: Family) -> Step | None:
        """Takes everything of ours away; None if there is nothing."""
        if not self._find("nft"):
            return None
        tables = self._run(Step(("nft", "list", "tables", _FAMILY[family]))).output
        ours = f"table {_FAMILY[family]} {TABLE}"
        return _step(_gone(family)) if ours in map(str.strip, tables.splitlines()) else None


def _step(lines: Sequence[str]) -> Step:
    return Step(("nft", "-f", "-"), "\n".join([*lines, ""]))


def _gone(family: Family) -> list[str]:
    """What removes the table also where it is not there."""
    table = f"table {_FAMILY[family]} {TABLE}"
    return [f"add {table}", f"delete {table}"]


def _chain(hook: str, rules: Sequence[Rule], among: Rules, first: Sequence[str]) -> Iterator[str]:
    yield f"  chain {hook} {{"
    yield f"    type nat hook {hook} priority {_PRIORITY}; policy accept;"
    yield from (f"    {line}" for line in ("meta l4proto != tcp return", *first))
    for rule in rules:
        verdict = f"redirect to :{among.port}" if rule.redirect else "return"
        yield "    " + " ".join([*_matches(rule, among.family), verdict])
    yield "  }"


def _matches(rule: Rule, family: Family) -> Iterator[str]:
    if rule.through_lo:
        yield 'oifname "lo"'
    if rule.passed_on:
        yield f"{_HOPS[family]} {PASSED_ON_HOPS}"
    if rule.user is not None:
        yield f"meta skuid {rule.user}"
    if rule.group is not None:
        yield f"meta skgid {rule.group}"
    if rule.to is not None:
        yield f"{_FAMILY[family]} daddr {rule.to}"
    if rule.not_to is not None:
        yield f"{_FAMILY[family]} daddr != {rule.not_to}"
    if rule.port is not None:
        yield f"tcp dport {rule.port}"
    if rule.redirect and rule.port is None:
        yield "meta l4proto tcp"  # without it, "redirect to" a port is refused
