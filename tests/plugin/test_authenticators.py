"""Authenticators of plugins: which one is used, what it may take back, and by whose fault it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import grpc
import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.auth.contract import Tags
from kuma_core.errors import PluginError
from kuma_core.lifecycle import Stop
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import Authenticator, Claim, Proof, Proxy, Unauthenticated
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.server import guard

from ..security.support import DELTA, SDS, SOTW, ask_delta, ask_identity, ask_sotw, stream

NO_TOKENS = {"KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false"}
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


@dataclass
class Mine:
    """Good for the Dataplanes of a service."""

    proof: Proof
    service: str = "web"

    def allows(self, proxy: Proxy, tags: Tags) -> None:
        if self.service not in [found["service"] for found in tags()]:
            raise Unauthenticated(f"{proxy} is none of {self.service}")


class Words:
    """Believes who knows one of its words, until it is told otherwise."""

    def __init__(self) -> None:
        self.good: dict[str, datetime | None] = {}
        self.error: Exception | None = None
        self.answer: Any = None
        self._hinted = threading.Event()

    def recognise(self, credential: str) -> Claim:
        if self.error:
            raise self.error
        if self.answer:
            answer: Claim = self.answer
            return answer
        self._confirm(credential)
        return Mine(Proof("word", self.good[credential], lambda: self._confirm(credential)))

    def _confirm(self, credential: str) -> None:
        if credential not in self.good:
            raise Unauthenticated("ask the porter for a new word")

    def forget(self, word: str) -> None:
        del self.good[word]
        self._hinted.set()

    def watch(self, changed: Callable[[], None], stop: Stop) -> None:
        stop.on_set(self._hinted.set)
        while not stop.is_set():
            self._hinted.wait()
            self._hinted.clear()
            changed()


class Once:
    """One that cannot take anything back."""

    def recognise(self, credential: str) -> Claim:
        return Mine(Proof("x"))


def bringing(*authenticators: Any, name: str = "word") -> ModuleType:
    made = ModuleType("acme")
    found = [Authenticator(name, authenticator) for authenticator in authenticators]
    made.__dict__["kuma_register_authenticators"] = hookimpl(lambda context: found)
    return made


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture
def cp(words: Words) -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin, bringing(words)], NO_TOKENS) as platform:
        platform.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        yield platform


def test_hook_kuma_register_authenticators(cp: RunningPlatform, words: Words) -> None:
    assert make_catalog([bringing(words)]).provides["acme"] == ("authenticators",)
    words.good["sesame"] = None
    for method, ask in ((SOTW, ask_sotw), (SDS, ask_identity)):
        with stream(cp, method, "mustard") as opened:
            ask(opened)
            assert opened.refusal()[1] == "ask the porter for a new word"
        with stream(cp, method, "sesame") as opened:
            ask(opened)
            assert opened.receive()


def test_what_was_believed_can_be_taken_back(cp: RunningPlatform, words: Words) -> None:
    words.good.update(sesame=None, mustard=None)
    with stream(cp, SOTW, "sesame") as one, stream(cp, SDS, "mustard") as other:
        ask_sotw(one)
        ask_identity(other)
        one.receive()
        other.receive()
        words.forget("sesame")
        assert one.refusal() == (UNAUTHENTICATED, "ask the porter for a new word")
        words.forget("mustard")
        assert other.refusal() == (UNAUTHENTICATED, "ask the porter for a new word")


def test_what_expires_ends_without_a_question(cp: RunningPlatform, words: Words) -> None:
    words.good["sesame"] = datetime.now(UTC) + timedelta(seconds=0.3)
    with stream(cp, SOTW, "sesame") as opened:
        ask_sotw(opened)
        assert opened.receive()
        assert opened.refusal() == (UNAUTHENTICATED, guard.EXPIRED)


def test_what_an_authenticator_raises_is_told_with_its_plugin(cp: RunningPlatform, words: Words) -> None:
    words.error = ValueError("oops")
    with stream(cp, SOTW, "x") as opened:
        ask_sotw(opened)
        told = 'plugin "acme": the authenticator "word" failed: ValueError: oops'
        assert opened.refusal() == (grpc.StatusCode.INTERNAL, told)


def test_an_answer_that_is_no_proof_is_told_with_its_plugin(cp: RunningPlatform, words: Words) -> None:
    words.answer = "yes"
    with stream(cp, SOTW, "x") as opened:
        ask_sotw(opened)
        assert 'plugin "acme"' in (text := opened.refusal()[1])
        assert "returned a str, which is no Claim: it has no Proof" in text


def test_a_claim_that_fails_is_told_with_its_plugin(cp: RunningPlatform, words: Words) -> None:
    def oops(proxy: Proxy, tags: Tags) -> None:
        raise ValueError("oops")

    words.answer = Mine(Proof("x"))
    words.answer.allows = oops
    with stream(cp, SOTW, "x") as opened:
        ask_sotw(opened)
        told = 'plugin "acme": the authenticator "word" failed: ValueError: oops'
        assert opened.refusal() == (grpc.StatusCode.INTERNAL, told)


def test_a_claim_may_depend_on_the_tags_of_the_dataplane(cp: RunningPlatform, words: Words) -> None:
    words.good["sesame"] = None
    cp.apply(dataplane("db-1", inbound("127.0.0.1:8081:81", "db")))
    with stream(cp, DELTA, "sesame") as opened:
        ask_delta(opened, "default.db-1")
        assert opened.refusal() == (UNAUTHENTICATED, "default.db-1 is none of web")
    with stream(cp, DELTA, "sesame") as opened:
        ask_delta(opened, "default.nobody")
        assert opened.refusal() == (
            grpc.StatusCode.NOT_FOUND,
            'unable to find Dataplane for proxy "default.nobody"',
        )


def test_a_confirmation_that_fails_ends_nothing(cp: RunningPlatform, words: Words) -> None:
    def broken() -> None:
        asked.set()
        raise ValueError("oops")

    asked = threading.Event()
    words.answer = Mine(Proof("x", None, broken))
    with stream(cp, SOTW, "x") as opened:
        ask_sotw(opened)
        opened.receive()
        words.good["y"] = None
        words.forget("y")
        assert asked.wait(10)
        assert len(cp.platform.core.proxies._guard) == 1


def test_one_that_takes_nothing_back_needs_no_watch() -> None:
    with running_platform([kuma_store_memory, bringing(Once())], NO_TOKENS) as cp:
        cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        with stream(cp, SOTW) as opened:
            ask_sotw(opened)
            assert opened.receive()
            eventually(lambda: len(cp.platform.core.proxies._guard) == 1)


def refused(*plugins: ModuleType, settings: dict[str, str] = NO_TOKENS) -> str:
    with pytest.raises(PluginError) as caught, running_platform([kuma_store_memory, *plugins], settings):
        raise AssertionError("it started")
    return str(caught.value)


def test_proxies_prove_who_they_are_in_one_way() -> None:
    text = refused(bringing(Once()), settings={})
    for part in (
        '"word" of plugin "acme"',
        '"dataplane-token" of plugin "builtin.tokens"',
        "adminServer.apis.dataplaneToken.enabled: false",
        "start without a plugin (--plugins no:acme), or",
    ):
        assert part in text


def test_two_of_one_name() -> None:
    assert 'plugin "acme" brings the authenticator "word" twice' in refused(bringing(Once(), Once()))


def test_what_is_no_authenticator() -> None:
    made = ModuleType("acme")
    made.__dict__["kuma_register_authenticators"] = hookimpl(lambda context: [Once()])
    assert "which is no Authenticator" in refused(made)
