"""What ``/ready`` tells, from memory: nobody who asks makes the control plane ask its store."""

from __future__ import annotations

from collections.abc import Callable


class Missing:
    """What is not there yet, or not any more. ``store_problem`` says why the store did not answer, if it did not."""

    def __init__(
        self, listens: Callable[[], bool], has_read: Callable[[], bool], store_problem: Callable[[], str]
    ) -> None:
        self._listens, self._has_read, self._store_problem = listens, has_read, store_problem

    def __call__(self) -> list[str]:
        """A sentence for each thing."""
        missing = []
        if not self._listens():
            missing.append("not all servers listen yet")
        if not self._has_read():
            missing.append("the stored resources were not read yet")
        if problem := self._store_problem():
            missing.append(f"the store cannot be read: {problem}")
        return missing
