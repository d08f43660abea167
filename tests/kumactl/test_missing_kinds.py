"""A kind of ours that the control plane does not have: wherever it is named, the package is, too."""

from __future__ import annotations

import pytest

from kuma_core import packages

from .conftest import Call

SAID = (
    "{} comes with the package kuma-policy-traffic, which this control plane does not use; install it beside kuma-cp "
    "(pip install './plugins/policy_traffic[cp]' in a checkout) and restart kuma-cp"
)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("get", "traffic-routes"), "TrafficRoute"),
        (("get", "TrafficRoute", "a"), "TrafficRoute"),
        (("get", "trafficlogs"), "TrafficLog"),
        (("delete", "traffic-log", "a"), "TrafficLog"),
        (("delete", "proxytemplate", "a"), "ProxyTemplate"),
    ],
)
def test_a_kind_on_the_command_line(connected: Call, words: tuple[str, ...], kind: str) -> None:
    done = connected(*words)
    said = f"Error: unknown TYPE: {words[1]}. {SAID.format(kind)}\n"
    assert (done.code, done.out, done.err) == (1, "", said)


@pytest.mark.parametrize("kind", ["TrafficRoute", "TrafficLog", "ProxyTemplate"])
def test_a_kind_in_a_document(connected: Call, kind: str) -> None:
    done = connected("apply", stdin=f"type: {kind}\nmesh: default\nname: a\n")
    said = f'unknown type "{kind}"; {SAID.format(kind)} (document 1 of standard input); nothing was applied\n'
    assert (done.code, done.out, done.err) == (1, "", f"Error: YAML contains invalid resource: {said}")


@pytest.mark.parametrize("word", ["nonsense", "route", "traffic", "TrafficRouter", ""])
def test_other_words_are_nobodys(word: str) -> None:
    assert packages.of_kind(word) == ""
