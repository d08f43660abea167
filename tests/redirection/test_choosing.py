"""Which back-end is taken, and what is said where none can be."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kuma_core.errors import KumaError
from kuma_core.redirection.choosing import back_ends, set_up
from kuma_core.redirection.machine import Machine, look
from kuma_core.redirection.plan import Plan
from kuma_core.redirection.programs import Answer, Step
from kuma_core.redirection.rules import Family

PLAN = Plan(15001, users=(5678,), groups=(), inbound=None, outbound=None)
BOTH = Machine(ipv6=("lo", "eth0"), legacy=False, may_write=True)


@dataclass
class Kernel:
    """A kernel that refuses some programs; ``tables`` is what each has taken, by its name."""

    refused: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    tables: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> bool:
        return not name.startswith(self.missing) if self.missing else True

    def run(self, step: Step) -> Answer:
        program = step.words[0]
        if step.words[:2] == ("nft", "list"):
            return Answer(
                f"table {step.words[3]} kuma_init\n" if f"nft {step.words[3]}" in self.tables else ""
            )
        if program.endswith("-save"):
            return Answer(self.tables.get(program.removesuffix("-save"), ""))
        name = (
            "nft ip6"
            if "table ip6" in step.text
            else "nft ip"
            if program == "nft"
            else program.removesuffix("-restore")
        )
        if name in self.refused:
            return Answer("", self.refused[name])
        self.tables.pop(name, None)
        if "-A OUTPUT" in step.text or "chain output" in step.text:
            self.tables[name] = step.text
        return Answer("")


def try_all(kernel: Kernel, machine: Machine, wanted: str = "") -> str:
    tried = back_ends(machine, wanted, kernel.find, kernel.run)
    done = set_up(PLAN, machine, tried, back_ends(machine, "", kernel.find, kernel.run), kernel.run)
    return f"{done.back_end} {len(done.families)} {done.warning}".strip()


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ({}, "iptables-nft 2"),
        ({"iptables-nft": "no"}, "nft 2"),
        ({"ip6tables-nft": "no"}, "nft 2"),
        ({"iptables-nft": "no", "nft ip6": "no"}, "iptables-legacy 2"),
    ],
)
def test_the_first_that_the_kernel_takes_for_both_families_is_chosen(refused: dict, expected: str) -> None:
    kernel = Kernel(refused)
    assert try_all(kernel, BOTH) == expected
    names = {"iptables-nft": ["iptables-nft", "ip6tables-nft"], "nft": ["nft ip", "nft ip6"]}
    chosen = names.get(expected.split()[0], ["iptables-legacy", "ip6tables-legacy"])
    assert list(kernel.tables) == chosen, "nothing of a back-end that took half of it stays"


def test_a_program_that_is_missing_is_passed_over() -> None:
    assert try_all(Kernel(missing=("iptables-nft", "iptables-restore")), BOTH) == "nft 2"
    assert try_all(Kernel(missing=("ip6tables", "nft")), Machine((), False, True)) == "iptables-nft 1"


def test_the_kind_of_rules_that_is_in_use_goes_first() -> None:
    assert try_all(Kernel(), Machine(("eth0",), legacy=True, may_write=True)) == "iptables-legacy 2"


def test_what_another_back_end_has_of_an_earlier_run_goes() -> None:
    kernel = Kernel()
    assert try_all(kernel, BOTH, "nft") == "nft 2"
    assert try_all(kernel, BOTH, "iptables-nft") == "iptables-nft 2"
    assert list(kernel.tables) == ["iptables-nft", "ip6tables-nft"]


NO_IPV6 = {"ip6tables-nft": "Table does not exist", "nft ip6": "no", "ip6tables-legacy": "no"}


def test_where_ipv6_would_pass_by_nothing_is_redirected_and_the_program_fails() -> None:
    kernel = Kernel(dict(NO_IPV6))
    with pytest.raises(KumaError) as raised:
        try_all(kernel, BOTH)
    text = str(raised.value)
    assert "so nothing is redirected (iptables-nft: IPv6: Table does not exist; nft: IPv6: no; " in text
    assert "as eth0 has an address" in text
    assert "net.ipv6.conf.all.disable_ipv6=1" in text
    assert kernel.tables == {}


def test_where_nobody_is_reached_by_ipv6_it_only_warns() -> None:
    said = try_all(Kernel(dict(NO_IPV6)), Machine(("lo",), legacy=False, may_write=True))
    assert said.startswith("iptables-nft 1 IPv6 cannot be redirected here; nobody is reached by it")


def test_nothing_is_installed() -> None:
    with pytest.raises(
        KumaError, match=r"nft: nft not installed; .*\. Install iptables or nftables"
    ) as raised:
        try_all(Kernel(missing=("ip", "nft")), BOTH)
    assert "iptables-nft: iptables-nft and ip6tables-nft not installed" in str(raised.value)


def test_rules_that_cannot_be_taken_away_are_told_of() -> None:
    kernel = Kernel()
    try_all(kernel, BOTH, "nft")
    kernel.refused["nft ip"] = "Device or resource busy"
    with pytest.raises(
        KumaError, match="cannot take the rules away with nft: Device or resource busy; they are in"
    ):
        try_all(kernel, BOTH, "iptables-nft")


def test_what_the_machine_has_is_read_from_the_kernel(tmp_path) -> None:
    assert look(tmp_path) == Machine((), False, True)
    (tmp_path / "net").mkdir()
    (tmp_path / "self").mkdir()
    (tmp_path / "net/if_inet6").write_text(
        f"{'0' * 31}1 01 80 10 80       lo\nfe80{'0' * 28} 02 40 20 80     eth0\n"
    )
    (tmp_path / "net/ip6_tables_names").write_text("filter\nnat\n")
    (tmp_path / "self/status").write_text("Name:\tx\nCapEff:\t0000000000000fff\n")
    machine = look(tmp_path)
    assert machine == Machine(("lo", "eth0"), True, False)
    assert (machine.families, machine.reached_by_ipv6) == ((Family.IPV4, Family.IPV6), ("eth0",))
