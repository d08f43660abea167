"""What ``/ready`` tells, from memory: nobody who asks makes the control plane ask its store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kuma_core.plugin.quarantine import Quarantined


def _nothing() -> str:
    return ""


def _nobody() -> Iterable[Quarantined]:
    return ()


@dataclass(frozen=True)
class Missing:
    """What is not there yet, or not any more.

    ``store_problem`` says why the store did not answer, if it did not; ``stuck`` why proxies get nothing new;
    ``barred`` are the plugins in quarantine.
    """

    listens: Callable[[], bool]
    has_read: Callable[[], bool]
    store_problem: Callable[[], str]
    stuck: Callable[[], str] = _nothing
    barred: Callable[[], Iterable[Quarantined]] = _nobody

    def __call__(self) -> list[str]:
        """A sentence for each thing."""
        missing = []
        if not self.listens():
            missing.append("not all servers listen yet")
        if not self.has_read():
            missing.append("the stored resources were not read yet")
        if problem := self.store_problem():
            missing.append(f"the store cannot be read: {problem}")
        if problem := self.stuck():
            missing.append(problem)
        missing += [f'the plugin "{item.plugin}" is in quarantine: {item.reason}' for item in self.barred()]
        return missing
