"""Who waits until everything that came before is handed to the streams. For one thread."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import InvalidStateError
from contextlib import suppress

from kuma_core.errors import KumaError
from kuma_core.xds.inbox import Fence


class Fences:
    """The fences that are not passed yet."""

    def __init__(self) -> None:
        self._waiting: list[Fence] = []

    def add(self, fence: Fence) -> None:
        """Take a new one; it counts once the views show what came before it."""
        self._waiting.append(fence)

    @property
    def has_new(self) -> bool:
        """Whether one waits for the views to be brought up to date."""
        return any(fence.left is None for fence in self._waiting)

    def place(self, left: Mapping[str, int]) -> None:
        """Have new ones wait for so many more rounds of each mesh."""
        for fence in self._waiting:
            if fence.left is None:
                fence.left = dict(left)
        self._open()

    def passed(self, mesh: str, one_more: bool) -> None:
        """A round of a mesh has ended; ``one_more`` is to come in any case."""
        for fence in self._waiting:
            if fence.left and mesh in fence.left:
                fence.left[mesh] = max(fence.left[mesh] - 1, int(one_more))
                if not fence.left[mesh]:
                    del fence.left[mesh]
        self._open()

    def refuse(self, error: KumaError) -> None:
        """Tell all who wait that nobody knows."""
        waiting, self._waiting = self._waiting, []
        for fence in waiting:
            with suppress(InvalidStateError):
                fence.answer.set_exception(error)

    def _open(self) -> None:
        for fence in self._waiting:
            if fence.left == {}:
                with suppress(InvalidStateError):
                    fence.answer.set_result(None)
        self._waiting = [fence for fence in self._waiting if fence.left != {}]
