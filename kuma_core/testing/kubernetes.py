"""A way to no API server: for control planes in tests and documents that run as in a cluster, without one."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from kuma_core.errors import StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.plugin.hookspecs import hookimpl


class NoApi:
    """It never answers, and nothing ever changes."""

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        type: str = "application/json",
    ) -> dict[str, Any]:
        """As an API server that cannot be reached."""
        raise StoreUnavailable(f"{method} {path}: there is no API server here")

    def follow(self, path: str, selection: Mapping[str, str], receiver: Any, stop: Stop) -> None:
        """Tell nothing."""
        stop.wait()


def way_to(api: object) -> ModuleType:
    """A plugin that offers ``api`` in the place of the one that reaches a real API server, ``store_k8s``."""
    module = ModuleType("store_k8s")

    class Opened:
        offer = api

    @hookimpl
    def kuma_open(context: Any) -> object:
        return Opened()

    module.kuma_open = kuma_open  # type: ignore[attr-defined]
    return module
