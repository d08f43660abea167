"""A plugin of a third party that does, on demand, whatever a plugin must not do."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Self

from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import CLUSTER, Draft, Ends, Generator, Policy, PolicyScope, ResourceType, Spec
from kuma_core.sdk.envoy import Cluster, ProxyView

EVERY = Ends(sources=((("service", "*"),),), destinations=((("service", "*"),),))


reads: list[Callable[[], object]] = []
"""What is called whenever a Mood is read from the store."""


class MoodSpec(Spec):
    """A policy; ``round`` makes each writing of it another one."""

    round: int = 0

    @classmethod
    def from_stored(cls, document: Any) -> Self:
        """As every spec, once the hostile plugin had its say."""
        for read in reads:
            read()
        return super().from_stored(document)


class Spite(BaseException):
    """What ``except Exception`` does not catch."""


def misbehave(how: str, let_go: threading.Event, burn_seconds: float) -> None:
    """Raise, hang until it is let go, or burn processor time; anything else is for what is returned."""
    if how == "raises":
        raise RuntimeError("no idea")
    if how == "raises an exit":
        raise SystemExit(3)
    if how == "raises spite":
        raise Spite("take that")
    if how == "hangs":
        let_go.wait(60)
    if how == "burns":
        until = time.thread_time() + burn_seconds
        while time.thread_time() < until:
            pass


class Hostile:
    """``where`` says which call goes wrong, ``how`` in which way; nothing does while ``how`` is empty."""

    def __init__(self, burn_seconds: float = 0.1) -> None:
        self.where, self.how = "", ""
        self.burn_seconds = burn_seconds
        self.let_go = threading.Event()
        self.calls = self.spare = 0

    def behave(self, where: str = "", how: str = "") -> None:
        """From now on: well, or badly at one place. What hangs is let go.

        A write asks ``ends`` first, and would be refused; what is stored already is another matter.
        """
        self.spare = 1 if where == "ends" and how != "burns" else 0
        self.let_go.set()
        self.let_go = threading.Event()
        self.where, self.how = where, how

    def act(self, where: str, wrong: Callable[[], Any], right: Any) -> Any:
        """What the call at ``where`` returns, if it returns."""
        if where != self.where or not self.how:
            return right
        if self.spare:
            self.spare -= 1
            return right
        self.calls += 1
        misbehave(self.how, self.let_go, self.burn_seconds)
        return wrong() if self.how in ("wrong type", "endless") else right

    # -- what it brings

    def generate(self, view: ProxyView) -> Iterable[Draft]:
        """A cluster of its own, once there is a Mood."""
        rounds = [spec.round for spec in view.resources("Mood").values()]
        if not rounds:
            return []
        drafts = [Draft(CLUSTER, "mood", max(rounds), self.build)]
        return self.act("generate", self._wrong_drafts, drafts)  # type: ignore[no-any-return]

    def _wrong_drafts(self) -> Iterator[Any]:
        if self.how == "wrong type":
            return iter(["no draft"])
        return (Draft(CLUSTER, f"c{number}", number, self.build) for number in itertools.count())

    def build(self, number: int) -> Any:
        """The cluster."""
        return self.act("build", lambda: "no message", Cluster(name="mood", alt_stat_name=str(number)))

    def ends(self, spec: MoodSpec) -> Any:
        """Every connection."""
        return self.act("ends", lambda: Ends(sources=itertools.count()), EVERY)  # type: ignore[arg-type]

    def resolve(self, matches: Any, subject: Any) -> Any:
        """The round."""
        return self.act("resolve", list, matches[0].spec.round)

    def apply(self, cluster: Any, number: int) -> None:
        """Name the cluster's statistics."""
        cluster.alt_stat_name = self.act("apply", object, str(number))

    def module(self, **hooks: Callable[..., Any]) -> ModuleType:
        """The plugin, called ``hostile``, with further hooks."""
        made: Any = ModuleType("hostile")
        reads[:] = [lambda: self.act("read", lambda: None, None)]
        policy = Policy("Mood", 5000, PolicyScope.DESTINATION, self.ends, self.resolve, self.apply)
        brings: dict[str, Callable[..., Any]] = {
            "kuma_register_resource_types": lambda: [ResourceType("Mood", "moods", MoodSpec, "mood")],
            "kuma_register_generators": lambda: [Generator("moods", 350, self.generate)],
            "kuma_register_policies": lambda: [policy],
        }
        for name, function in {**brings, **hooks}.items():
            setattr(made, name, hookimpl(function))
        return made  # type: ignore[no-any-return]
