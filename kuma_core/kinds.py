"""The kinds of resources that a control plane knows, by name. Values only: whoever registers kinds checks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kuma_core.model import ResourceType


class Kinds:
    """Every registered kind with the plugin that brought it; iterates in the order of names.

    ``owned`` are pairs of a plugin's name and its kind. No two kinds share a name.
    """

    def __init__(self, owned: Iterable[tuple[str, ResourceType]]) -> None:
        entries = sorted(owned, key=lambda entry: entry[1].name)
        self._by_name = {kind.name: kind for _, kind in entries}
        self._owners = {kind.name: plugin for plugin, kind in entries}

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> ResourceType:
        return self._by_name[name]

    def owner(self, name: str) -> str:
        """The plugin that brought the kind of that name."""
        return self._owners[name]
