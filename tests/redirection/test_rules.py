"""The rules of a plan as text, for each back-end."""

from __future__ import annotations

import ipaddress

import pytest

from kuma_core.redirection.iptables import Iptables
from kuma_core.redirection.nft import Nft
from kuma_core.redirection.plan import Plan
from kuma_core.redirection.programs import Answer, Step
from kuma_core.redirection.rules import Family, rules_of

PLAN = Plan(15001, users=(5678,), groups=(5678,), inbound=None, outbound=None)
LISTS = Plan(
    15001,
    users=(5678, 0),
    groups=(),
    inbound=(80, 81),
    outbound=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")),
    not_outbound=(ipaddress.ip_network("10.9.0.0/16"),),
)


def nothing(step: Step) -> Answer:
    """A machine with all programs and no rules."""
    return Answer("iptables v1.8.9 (nf_tables)" if "--version" in step.words else "")


def iptables(plan: Plan, family: Family, kind: str = "nft") -> Step:
    return Iptables(kind, lambda name: True, nothing).setting(rules_of(plan, family))


def nft(plan: Plan, family: Family) -> Step:
    return Nft(lambda name: True, nothing).setting(rules_of(plan, family))


@pytest.mark.parametrize(("kind", "program"), [("nft", "iptables-nft"), ("legacy", "iptables-legacy")])
def test_iptables_gets_everything_in_one_step(kind: str, program: str) -> None:
    step = iptables(PLAN, Family.IPV4, kind)
    assert step.words == (f"{program}-restore", "--noflush", "--wait", "10")
    assert step.text.splitlines() == [
        "*nat",
        ":KUMA_INBOUND - [0:0]",
        ":KUMA_OUTBOUND - [0:0]",
        "-A KUMA_INBOUND -p tcp --dport 22 -j RETURN",
        "-A KUMA_INBOUND -p tcp -j REDIRECT --to-ports 15001",
        "-A KUMA_OUTBOUND -p tcp -o lo -m ttl --ttl-eq 157 -m owner --uid-owner 5678 -j RETURN",
        "-A KUMA_OUTBOUND -p tcp -o lo -m ttl --ttl-eq 157 -m owner --gid-owner 5678 -j RETURN",
        "-A KUMA_OUTBOUND -p tcp -o lo ! -d 127.0.0.1/32 -j REDIRECT --to-ports 15001",
        "-A KUMA_OUTBOUND -p tcp -m owner --uid-owner 5678 -j RETURN",
        "-A KUMA_OUTBOUND -p tcp -m owner --gid-owner 5678 -j RETURN",
        "-A KUMA_OUTBOUND -p tcp -d 127.0.0.1/32 -j RETURN",
        "-A KUMA_OUTBOUND -p tcp -j REDIRECT --to-ports 15001",
        "-A OUTPUT -p tcp -j KUMA_OUTBOUND",
        "-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j KUMA_INBOUND",
        "COMMIT",
    ]


def test_ipv6_has_the_same_rules_in_its_own_words() -> None:
    ipv4, ipv6 = (iptables(PLAN, family) for family in Family)
    assert ipv6.words[0] == "ip6tables-nft-restore"
    said = ipv4.text.replace("127.0.0.1/32", "::1/128").replace("-m ttl --ttl-eq", "-m hl --hl-eq")
    assert ipv6.text == said
    ipv4, ipv6 = (nft(PLAN, family) for family in Family)
    said = ipv4.text.replace("ip daddr", "ip6 daddr").replace("127.0.0.1/32", "::1/128")
    assert ipv6.text == said.replace("ip ttl", "ip6 hoplimit").replace("table ip ", "table ip6 ")


def test_nft_gets_a_table_of_our_own_in_one_step() -> None:
    step = nft(PLAN, Family.IPV4)
    assert step.words == ("nft", "-f", "-")
    assert [line.strip() for line in step.text.splitlines()] == [
        "add table ip kuma_init",
        "delete table ip kuma_init",
        "table ip kuma_init {",
        "chain prerouting {",
        "type nat hook prerouting priority -100; policy accept;",
        "meta l4proto != tcp return",
        "fib daddr type != local return",
        "tcp dport 22 return",
        "meta l4proto tcp redirect to :15001",
        "}",
        "chain output {",
        "type nat hook output priority -100; policy accept;",
        "meta l4proto != tcp return",
        'oifname "lo" ip ttl 157 meta skuid 5678 return',
        'oifname "lo" ip ttl 157 meta skgid 5678 return',
        'oifname "lo" ip daddr != 127.0.0.1/32 meta l4proto tcp redirect to :15001',
        "meta skuid 5678 return",
        "meta skgid 5678 return",
        "ip daddr 127.0.0.1/32 return",
        "meta l4proto tcp redirect to :15001",
        "}",
        "}",
    ]


@pytest.mark.parametrize("write", [iptables, nft])
def test_a_gateway_takes_no_inbound(write) -> None:
    plan = Plan(15001, (5678,), (), inbound=(), outbound=None)
    assert "prerouting" not in write(plan, Family.IPV4).text.lower()


def test_lists_of_ports_ranges_and_exceptions() -> None:
    lines = [line for line in iptables(LISTS, Family.IPV4).text.splitlines() if line.startswith("-A KUMA_")]
    assert [line.partition(" -p tcp ")[2] for line in lines] == [
        "--dport 22 -j RETURN",
        "--dport 80 -j REDIRECT --to-ports 15001",
        "--dport 81 -j REDIRECT --to-ports 15001",
        "-o lo -m ttl --ttl-eq 157 -m owner --uid-owner 5678 -j RETURN",
        "-o lo -m ttl --ttl-eq 157 -m owner --uid-owner 0 -j RETURN",
        "-o lo ! -d 127.0.0.1/32 -j REDIRECT --to-ports 15001",
        "-m owner --uid-owner 5678 -j RETURN",
        "-m owner --uid-owner 0 -j RETURN",
        "-d 127.0.0.1/32 -j RETURN",
        "-d 10.9.0.0/16 -j RETURN",
        "-d 10.0.0.0/8 -j REDIRECT --to-ports 15001",
    ]
    assert "fd00::/8" in iptables(LISTS, Family.IPV6).text
    assert "10." not in iptables(LISTS, Family.IPV6).text


def test_exceptions_of_all_ports_come_before_the_rest() -> None:
    plan = Plan(15001, (5678,), (), inbound=None, outbound=(), not_inbound=(9100, 9200))
    lines = nft(plan, Family.IPV4).text.splitlines()
    inbound = [line.strip() for line in lines[lines.index("  chain prerouting {") : lines.index("  }")]]
    expected = ["tcp dport 22", "tcp dport 9100", "tcp dport 9200"]
    assert inbound[-4:] == [*(f"{port} return" for port in expected), "meta l4proto tcp redirect to :15001"]


SAVED = """*nat
:KUMA_INBOUND - [0:0]
:KUMA_OUTBOUND - [0:0]
-A PREROUTING -p tcp -j DOCKER
-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j KUMA_INBOUND
-A OUTPUT -p tcp -j KUMA_OUTBOUND
-A KUMA_INBOUND -p tcp -m tcp --dport 22 -j RETURN
COMMIT
"""


def test_a_second_run_takes_the_place_of_the_first_in_the_same_step() -> None:
    back_end = Iptables("nft", lambda name: True, lambda step: Answer(SAVED))
    lines = back_end.setting(rules_of(PLAN, Family.IPV4)).text.splitlines()
    gone = [line for line in lines if line.startswith("-D")]
    assert gone == [
        "-D PREROUTING -p tcp -m addrtype --dst-type LOCAL -j KUMA_INBOUND",
        "-D OUTPUT -p tcp -j KUMA_OUTBOUND",
    ]
    assert lines.index(gone[-1]) < lines.index("-A OUTPUT -p tcp -j KUMA_OUTBOUND")


def test_removing_touches_nothing_of_others() -> None:
    step = Iptables("nft", lambda name: True, lambda step: Answer(SAVED)).removing(Family.IPV4)
    assert step
    assert step.text.splitlines()[3:] == [
        "-D PREROUTING -p tcp -m addrtype --dst-type LOCAL -j KUMA_INBOUND",
        "-D OUTPUT -p tcp -j KUMA_OUTBOUND",
        "-X KUMA_INBOUND",
        "-X KUMA_OUTBOUND",
        "COMMIT",
    ]
    tables = Answer("table ip nat\ntable ip kuma_init\n")
    found = Nft(lambda name: True, lambda step: tables).removing(Family.IPV4)
    assert found
    assert found.text == "add table ip kuma_init\ndelete table ip kuma_init\n"


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("installed", [True, False])
def test_there_may_be_nothing_to_remove(family: Family, installed: bool) -> None:
    for back_end in (Iptables("nft", lambda name: installed, nothing), Nft(lambda name: installed, nothing)):
        assert back_end.removing(family) is None


@pytest.mark.parametrize(
    ("version", "kind"),
    [("iptables v1.8.9 (nf_tables)", "nft"), ("v1.8.9 (legacy)", "legacy"), ("v1.6.1", "legacy")],
)
def test_iptables_without_a_word_behind_it_is_of_the_kind_that_it_says(version: str, kind: str) -> None:
    for name in ("nft", "legacy"):
        back_end = Iptables(name, lambda program: program == "iptables-restore", lambda step: Answer(version))
        assert (back_end.missing([Family.IPV4]) == "") is (name == kind)
        assert back_end.missing(list(Family)).endswith(f"ip6tables-{name} not installed")
