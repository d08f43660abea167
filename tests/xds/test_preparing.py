"""Long work of a policy: done once, beside the reconciler; its proxies wait, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import kuma_store_memory
from kuma_core.sdk import Ends, Policy, PolicyScope, ResourceType, Spec, hookimpl
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.preparing import Preparer
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.snapshot import EMPTY


class SlowSpec(Spec):
    text: str = ""


class Slow:
    """A plugin with a policy that cannot act before something is prepared, which ``go`` allows."""

    __name__ = "slow"

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.prepared: list[str] = []
        self.applied: list[str] = []
        self.fails = False

    @hookimpl
    def kuma_register_resource_types(self) -> list[ResourceType]:
        return [ResourceType(name="Slow", path="slows", singular="slow", spec=SlowSpec)]

    @hookimpl
    def kuma_register_policies(self) -> list[Policy]:
        def ends(spec: SlowSpec) -> Ends:
            return Ends(((("service", "web"),),))

        def resolve(matches: Any, subject: Any) -> str:
            text: str = matches[0].spec.text
            return text

        policy = Policy("Slow", 8000, PolicyScope.PROXY, ends, resolve, self._apply, self._prepare)
        return [policy]

    def _apply(self, drafts: Any, text: str) -> None:
        self.applied.append(text)

    def _prepare(self, text: str) -> Callable[[], object] | None:
        return None if text in self.prepared else lambda: self._work(text)

    def _work(self, text: str) -> None:
        self.begun.set()
        assert self.go.wait(30)
        if self.fails:
            raise RuntimeError("no")
        self.prepared.append(text)


@contextmanager
def running(slow: Slow) -> Iterator[tuple[RunningPlatform, dict[Proxy, Any]]]:
    with running_platform([kuma_store_memory, slow]) as cp:
        reconciler = cp.platform.core.proxies.reconciler
        found: dict[Proxy, Any] = {}

        def deliver(delivery: Any) -> None:
            found.update({**delivery.at_once, **delivery.afterwards})

        reconciler._deliver = deliver
        cp.apply(
            dataplane("web-1", inbound("127.0.0.1:80:8080", "web"), outbounds=[outbound(":7000", "echo")]),
            dataplane("echo-1", inbound("127.0.0.1:81:8081", "echo")),
        )
        cp.catch_up()
        yield cp, found


WEB, ECHO = Proxy("default", "web-1"), Proxy("default", "echo-1")


def slow(text: str) -> dict[str, str]:
    return {"type": "Slow", "mesh": "default", "name": "s", "text": text}


def test_a_proxy_keeps_what_it_has_until_its_policy_is_ready_and_others_go_on() -> None:
    plugin = Slow()
    with running(plugin) as (cp, found):
        cp.platform.core.proxies.reconciler.opened(WEB)
        before = eventually(lambda: found.get(WEB))
        cp.apply(slow("one"))
        assert plugin.begun.wait(10)
        cp.platform.core.proxies.reconciler.opened(ECHO)
        eventually(lambda: ECHO in found)
        assert (found[WEB], plugin.applied) == (before, [])
        plugin.go.set()
        eventually(lambda: plugin.applied)
        assert plugin.prepared == ["one"]


def test_work_that_fails_is_not_waited_for_again() -> None:
    plugin = Slow()
    plugin.fails = True
    plugin.go.set()
    with running(plugin) as (cp, found):
        cp.apply(slow("one"))
        cp.catch_up()
        cp.platform.core.proxies.reconciler.opened(WEB)
        eventually(lambda: WEB in found)
        assert plugin.applied == ["one"]


def test_an_instance_is_not_emptied_before_a_client_that_waits_can_turn_away() -> None:
    plugin = Slow()
    with running(plugin) as (cp, found):
        for proxy in (WEB, ECHO):
            cp.platform.core.proxies.reconciler.opened(proxy)
        eventually(lambda: found.keys() == {WEB, ECHO})
        cp.apply(slow("one"))
        assert plugin.begun.wait(10)
        cp.delete("/meshes/default/dataplanes/echo-1")
        cp.catch_up()
        eventually(lambda: any(ECHO in waiting for waiting in waiting_of(cp).values()))
        assert found[ECHO] is not EMPTY
        plugin.go.set()
        eventually(lambda: found[ECHO] is EMPTY)


def waiting_of(cp: RunningPlatform) -> dict[Any, set[Proxy]]:
    return dict(cp.platform.core.proxies.reconciler._unprepared)


def test_a_dry_run_waits_for_nothing() -> None:
    plugin = Slow()
    with running(plugin) as (cp, _):
        answer = cp.put("/meshes/default/slows/s?dry-run=xds", slow("one"))
        assert answer.status == 200
        assert (plugin.begun.is_set(), plugin.applied) == (False, ["one"])


def test_equal_work_is_done_once() -> None:
    done: list[Any] = []
    go = threading.Event()
    worked: list[int] = []

    def work() -> None:
        go.wait(10)
        worked.append(1)

    preparer = Preparer(done.append)
    for _ in range(5):
        preparer.submit("a", work)
    preparer.submit("b", work)
    go.set()
    eventually(lambda: done == ["a", "b"])
    assert len(worked) == 2
