"""The command line of ``kuma-init``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kuma_core import __version__
from kuma_core.redirection import kuma_init
from kuma_core.redirection.choosing import Done
from kuma_core.redirection.kuma_init import Parser, main, plan_of
from kuma_core.redirection.machine import Machine
from kuma_core.redirection.plan import Plan
from kuma_core.redirection.rules import Family

ROOT = Path(__file__).parents[2]
OF_A_POD = ["-p", "15001", "-u", "5678", "-g", "5678", "-m", "REDIRECT", "-i", "*", "-b", "*"]


def ended(*arguments: str) -> int:
    """The exit code; 0 if it comes to its end."""
    try:
        main(arguments)
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def test_the_twelve_words_of_an_init_container_are_a_plan() -> None:
    found = plan_of(Parser().parse_args(OF_A_POD))
    assert found == Plan(15001, (5678,), (5678,), inbound=None, outbound=None)
    assert plan_of(Parser().parse_args([*OF_A_POD[:-1], ""])).inbound == (), "a gateway"


def test_users_and_groups_may_be_given_by_name() -> None:
    found = plan_of(Parser().parse_args(["-u", "root,7", "-g", "root", "-b", "80, 81,80"]))
    assert (found.users, found.groups, found.inbound) == ((0, 7), (0,), (80, 81))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the user of Envoy with --exempt-users (-u)"),
        (["-u", "no-such-user"], '--exempt-users: no user "no-such-user" here; make it, or give the number'),
        (["-g", "no-such-group"], '--exempt-groups: no group "no-such-group" here'),
        (["-u", "4294967295"], '--exempt-users: no user "4294967295" here'),
        (["-u", "1", "-p", "0"], '--redirect-port: "0" is not a port; use a number from 1 to 65535'),
        (["-u", "1", "-b", "80,x\x1b[m"], '--inbound: "x\\u001b[m" is not a port'),
        (["-u", "1", "-b", "*,80"], '--inbound: "*" cannot stand in a list with others'),
        (["-u", "1", "-b", "80", "-d", "81"], "--not-inbound (-d) is for --inbound '*' (-b)"),
        (
            ["-u", "1", "-i", "10.0.0.1/8"],
            '--outbound: "10.0.0.1/8" is not a range of addresses such as 10.0.0.0/8',
        ),
        (["-u", "1", "-x", "*"], '--not-outbound: "*" cannot stand in a list'),
        (["-u", "1", "-m", "TPROXY"], "--mode: only REDIRECT is there"),
        (["-u", ",".join(map(str, range(257)))], "--exempt-users: 257 items are too many; 256 are the most"),
        (["-u", "1", "--back-end", "ipfw"], "invalid choice: 'ipfw'"),
        (["-u", "1", "start"], '"start" is not known here'),
        (["-u", "1", "--no-such-flag"], "unrecognized arguments: --no-such-flag"),
    ],
)
def test_what_is_wrong_is_told_with_its_flag_and_nothing_is_done(
    capsys, arguments: list[str], message: str
) -> None:
    assert ended(*arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Error: ")
    assert message in said.err
    assert "usage: kuma-init" in said.err
    assert said.out == ""


def test_a_dry_run_prints_what_would_be_run(capsys) -> None:
    assert ended(*OF_A_POD, "--dry-run", "--back-end", "nft") == 0
    said = capsys.readouterr().out
    assert said.startswith("nft -f - <<'END'\nadd table ip kuma_init\n")
    assert said.endswith("}\nEND\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "inbound to all ports but 22, outbound to everywhere, but not those of user 5678"),
        (["-b", "80,81", "-i", "10.0.0.0/8"], "inbound to port 80, 81, outbound to 10.0.0.0/8, but not"),
        (["-b", "", "-i", ""], "inbound to no port, outbound to nowhere, but not"),
        (
            ["-d", "9100", "-x", "10.9.0.0/16", "-g", "7"],
            "all ports but 22, 9100, outbound to everywhere but 10.9.0.0/16,",
        ),
    ],
)
def test_it_says_what_is_in_force(capsys, monkeypatch, arguments: list[str], expected: str) -> None:
    monkeypatch.setattr(kuma_init, "set_up", lambda *_: Done("nft", (Family.IPV4,), "look out"))
    monkeypatch.setattr(kuma_init, "look", lambda: Machine((), legacy=False, may_write=True))
    assert ended("-u", "5678", *arguments) == 0
    said = capsys.readouterr()
    assert said.out.startswith("TCP connections (IPv4) are redirected to port 15001 by nft: inbound to ")
    assert expected in said.out
    assert said.err == "Warning: look out\n"


def test_version_and_help(capsys) -> None:
    assert ended("version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    assert ended("version", "--detailed") == 0
    assert "Python:" in capsys.readouterr().out
    assert ended("--help") == 0
    assert "--not-outbound LIST" in capsys.readouterr().out


def test_without_the_right_to_write_rules_it_says_so(capsys, monkeypatch) -> None:
    monkeypatch.setattr(kuma_init, "look", lambda: Machine((), legacy=False, may_write=False))
    assert ended(*OF_A_POD) == ended("--remove") == 1
    message = "Error: rules need the capability NET_ADMIN, which this process has not: run it as root\n"
    assert capsys.readouterr() == ("", message * 2)


def test_it_needs_the_standard_library_alone() -> None:
    """Without what is installed beside it: it runs as root, before everything else of a Pod."""
    code = "import kuma_core.redirection.kuma_init, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert set(done.stdout.split()) - sys.stdlib_module_names - {"__main__"} == {"kuma_core"}
