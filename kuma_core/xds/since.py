"""Since when the writes wait that a mesh's next round brings to its proxies. For the reconciler's thread."""

from __future__ import annotations

from collections.abc import Iterable


class Since:
    """First writes are heard, then the views show them, then a round takes them. Of several the oldest counts."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}
        self._shown: dict[str, float] = {}

    def hear(self, mesh: str, at: float) -> None:
        """A write came that began at ``at``; ``mesh`` is ``""`` where it may be of any. 0 is for what is no write."""
        if at:
            self._heard[mesh] = min(at, self._heard.get(mesh, at))

    def show(self, meshes: Iterable[str]) -> None:
        """The views show all that was heard, and it touches proxies of these meshes."""
        for mesh in meshes if self._heard else ():
            found = [self._heard[place] for place in (mesh, "") if place in self._heard]
            self.keep(mesh, min(found or self._heard.values()))
        self._heard.clear()

    def keep(self, mesh: str, at: float) -> None:
        """The mesh's next round is for this write, too."""
        self._shown[mesh] = min(at, self._shown.get(mesh, at))

    def take(self, mesh: str) -> float | None:
        """Since when the oldest write waits that a round is for that begins now; ``None`` if it is for none."""
        return self._shown.pop(mesh, None)
