"""Whose word counts of an instance, and over which doors it comes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.presence.contract import Presence
from kuma_core.http_client import Rules, exchange
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import Authenticator, Claim, Unauthenticated
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually

from .support import SERVING, control_plane, tell, web

NO_TOKENS = {"KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false"}


class Nobody:
    """Believes no credential at all."""

    def recognise(self, credential: str) -> Claim:
        raise Unauthenticated("no credential is good")


def sparing() -> ModuleType:
    """A platform on which proxies of meshes without mTLS need no credential."""
    made = ModuleType("acme")
    found = [Authenticator("word", Nobody(), spares_plain=True)]
    made.__dict__["kuma_register_authenticators"] = hookimpl(lambda context: found)
    return made


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with control_plane(kuma_store_memory, sparing(), settings={**SERVING, **NO_TOKENS}) as (found, _):
        found.apply(web(1), web(2))
        found.catch_up()
        yield found


@pytest.fixture
def presence(cp: RunningPlatform) -> Presence:
    found: Presence = cp.offer("builtin.presence", Presence)
    return found


def test_whoever_proves_nothing_takes_no_instance_away(
    cp: RunningPlatform, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may be configured without a credential there, so that anybody may be any of them."""
    monkeypatch.setattr("kuma_core.api.serving.WAIT_SECONDS", 0.3)
    presence.set_serving("default", "web-1", True)
    eventually(lambda: tell(cp, "web-1", None, "").body == {"serving": True, "pending": 0})
    assert tell(cp, "web-1", False, "").body == {"serving": True, "pending": 1}
    assert presence.serving("default", "web-1") is True
    assert tell(cp, "web-2", True, "").body["serving"] is None
    assert presence.serving("default", "web-2") is None
    assert tell(cp, "web-1", False, "a wrong one").status == 401


def test_who_says_that_it_leaves_waits_for_the_word_of_its_platform(
    cp: RunningPlatform, presence: Presence
) -> None:
    presence.set_serving("default", "web-1", True)
    eventually(lambda: tell(cp, "web-1", None, "").body["serving"])
    said: list[Any] = []
    asking = threading.Thread(target=lambda: said.append(tell(cp, "web-1", False, "").body))
    asking.start()
    presence.set_serving("default", "web-1", False)
    asking.join(timeout=30)
    assert said == [{"serving": False, "pending": 0}]


def test_web_pages_tell_nothing(cp: RunningPlatform) -> None:
    body = {"mesh": "default", "name": "web-1", "serving": False}
    answer = cp.request("POST", "/serving", body, cp.bootstrap, Origin="http://evil.example")
    assert answer.status == 403


def test_a_token_goes_over_the_port_with_the_certificate_that_proxies_know() -> None:
    with control_plane() as (cp, _):
        cp.apply(web(1))
        url = cp.get("/catalog").body["apis"]["serving"]["url"]
        assert url == f"https://localhost:{cp.https}"
        tls = ssl.create_default_context(cadata=cp.trusted.decode())
        body = f'{{"mesh": "default", "name": "web-1", "dataplaneToken": "{cp.token("web-1")}", "serving": true}}'
        answer = exchange("POST", f"{url}/serving", {}, body.encode(), Rules(30, 10_000, tls=tls))
        assert (answer.status, answer.body) == (200, b'{\n "serving": true,\n "pending": 0\n}')
        page = exchange("POST", f"{url}/serving", {"Origin": url}, body.encode(), Rules(30, 10_000, tls=tls))
        assert page.status == 403


def test_what_was_told_goes_with_a_dataplane_that_the_store_deletes_by_itself(
    cp: RunningPlatform, presence: Presence
) -> None:
    """As Kubernetes does with what belongs to a Pod."""
    cp.apply(web(3))
    presence.set_serving("default", "web-3", False)
    store = cp.platform.core.store
    store.delete(cp.platform.catalog.kinds["Dataplane"].key("default", "web-3"))
    eventually(lambda: presence.serving("default", "web-3") is None)
