"""The program ``kuma-init``: its command line, and what it says."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from kuma_core import __version__
from kuma_core.built import detailed_version
from kuma_core.errors import ConfigError, KumaError
from kuma_core.redirection import plan as reading
from kuma_core.redirection.choosing import NAMES, BackEnd, Done, back_ends, removal, remove, set_up
from kuma_core.redirection.machine import Machine, look
from kuma_core.redirection.plan import SSH, Plan
from kuma_core.redirection.programs import Step, find, run
from kuma_core.redirection.rules import Family, rules_of

AUTO = "auto"
MODE = "REDIRECT"


class Parser(argparse.ArgumentParser):
    """The flags: one letter each as the init containers of meshes have them, and a word for people."""

    def __init__(self) -> None:
        super().__init__("kuma-init", add_help=False, allow_abbrev=False, formatter_class=_Wide)
        self._plan_flags()
        flag = self.add_argument
        flag("--back-end", choices=(AUTO, *NAMES), default=AUTO, help="who writes the rules (auto: by trial)")
        flag("--dry-run", action="store_true", help="print what would be run, and change nothing")
        flag("--remove", action="store_true", help="take all rules away that an earlier run set up")
        flag("-h", "--help", action="store_true", help="print this")
        detailed = "with the word version: what it was built from, too"
        flag("-a", "--detailed", action="store_true", help=detailed)
        flag("words", nargs="*", help=argparse.SUPPRESS)

    def _plan_flags(self) -> None:
        flag = self.add_argument
        flag(
            "-p",
            "--redirect-port",
            default="15001",
            metavar="PORT",
            help="where Envoy takes connections (15001)",
        )
        flag("-u", "--exempt-users", default="", metavar="LIST", help="whose connections are left alone")
        flag("-g", "--exempt-groups", default="", metavar="LIST", help="the same, by group")
        flag("-m", "--mode", default=MODE, help=f"{MODE}, which is the only one")
        flag("-i", "--outbound", default="*", metavar="LIST", help="destinations to redirect (* is all)")
        flag("-x", "--not-outbound", default="", metavar="LIST", help="destinations to leave alone")
        flag("-b", "--inbound", default="*", metavar="LIST", help="ports to redirect (* is all but 22)")
        flag("-d", "--not-inbound", default="", metavar="LIST", help="with -b '*': ports to leave alone")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it is called; exit code 2."""
        print(f"Error: {message}", file=sys.stderr)
        self.print_usage(sys.stderr)
        self.exit(2)


class _Wide(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36, width=100)


def plan_of(values: argparse.Namespace) -> Plan:
    """The plan that the flags describe; raises ``ConfigError`` that names the flag."""
    if values.mode != MODE:
        raise ConfigError(f"--mode: only {MODE} is there")
    users = reading.users(values.exempt_users, "--exempt-users")
    groups = reading.groups(values.exempt_groups, "--exempt-groups")
    if not (users or groups):
        raise ConfigError(
            "name the user of Envoy with --exempt-users (-u), or its group with --exempt-groups (-g): without, Envoy's"
            " own connections would be redirected to Envoy"
        )
    plan = Plan(
        port=reading.port(values.redirect_port, "--redirect-port"),
        users=users,
        groups=groups,
        inbound=reading.ports_or_all(values.inbound, "--inbound"),
        outbound=reading.networks_or_all(values.outbound, "--outbound"),
        not_inbound=reading.ports(values.not_inbound, "--not-inbound"),
        not_outbound=reading.networks(values.not_outbound, "--not-outbound"),
    )
    if plan.not_inbound and plan.inbound is not None:
        raise ConfigError("--not-inbound (-d) is for --inbound '*' (-b); leave the ports out of that list")
    return plan


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    parser = Parser()
    values = parser.parse_args(arguments)
    if values.help:
        parser.print_help()
        parser.exit(0)
    if values.words and values.words != ["version"]:
        parser.error(f'"{values.words[0]}" is not known here')
    try:
        _say(_version(values.detailed) if values.words else _act(values))
    except ConfigError as error:
        parser.error(str(error))
    except KumaError as error:
        print(f"Error: {error}", file=sys.stderr)
        parser.exit(1)


def _version(detailed: bool) -> str:
    return detailed_version() if detailed else __version__


def _say(text: str) -> None:
    """Print it; raises ``KumaError`` if nobody can take it."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again at its end
        raise KumaError(f"cannot write to standard output: {error.strerror}") from None


def _act(values: argparse.Namespace) -> str:
    """Do what is asked for; returns what to print. Raises ``KumaError``."""
    plan = None if values.remove else plan_of(values)
    machine = look()
    wanted = "" if values.back_end == AUTO else values.back_end
    tried, everyone = back_ends(machine, wanted, find, run), back_ends(machine, "", find, run)
    if not machine.legacy:  # to ask iptables-legacy would make its tables
        everyone = [back_end for back_end in everyone if back_end.name != "iptables-legacy"]
    if values.dry_run:
        return _printed(plan, machine, tried, everyone)
    if not machine.may_write:
        raise KumaError("rules need the capability NET_ADMIN, which this process has not: run it as root")
    if plan is None:
        return _removed(remove(everyone, tuple(Family), run))
    return _told(plan, set_up(plan, machine, tried, everyone, run))


def _printed(
    plan: Plan | None, machine: Machine, tried: Sequence[BackEnd], everyone: Sequence[BackEnd]
) -> str:
    """The steps for the back-end that is tried first of those which are here."""
    if plan is None:
        steps: list[Step] = removal(everyone, tuple(Family))
        return "\n".join(map(str, steps)) or "# nothing to take away"
    here = [back_end for back_end in tried if not back_end.missing(machine.families)]
    chosen = (here or tried)[0]
    return "\n".join(str(chosen.setting(rules_of(plan, family))) for family in machine.families)


def _removed(steps: Sequence[Step]) -> str:
    if not steps:
        return "There are no rules of kuma-init."
    return "The rules of kuma-init are taken away. Connections that Envoy has stay with it until they end."


def _told(plan: Plan, done: Done) -> str:
    if done.warning:
        print(f"Warning: {done.warning}", file=sys.stderr)
    families = " and ".join(map(str, done.families))
    inbound = (
        f"all ports but {_listed((SSH, *plan.not_inbound))}" if plan.inbound is None else _ports(plan.inbound)
    )
    outbound = "everywhere" if plan.outbound is None else _listed(plan.outbound)
    outbound += f" but {_listed(plan.not_outbound)}" if plan.not_outbound else ""
    owners = [*(f"user {user}" for user in plan.users), *(f"group {group}" for group in plan.groups)]
    return (
        f"TCP connections ({families}) are redirected to port {plan.port} by {done.back_end}: inbound to {inbound},"
        f" outbound to {outbound}, but not those of {', '.join(owners)}."
    )


def _ports(ports: Sequence[int]) -> str:
    return f"port {_listed(ports)}" if ports else "no port"


def _listed(items: Sequence[object]) -> str:
    return ", ".join(map(str, items)) or "nowhere"
