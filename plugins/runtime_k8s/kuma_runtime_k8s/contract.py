"""What this plugin asks of the one that reaches the API server, ``store_k8s``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from kuma_core.sdk import Stop, StoreUnavailable

STORE = "store_k8s"
"""The plugin that offers a ``KubeApi``."""

Object = Mapping[str, Any]


class Receiver(Protocol):
    """Who is told what is in a collection; always from the thread that follows it."""

    def replaced(self, items: Mapping[str, Any]) -> None:
        """All that is there now, by ``<namespace>/<name>``."""
        ...

    def put(self, item: Any) -> None:
        """An object was created or changed."""
        ...

    def deleted(self, item: Any) -> None:
        """An object is gone; this is its last state."""
        ...

    def settled(self) -> None:
        """All that was there is told, and the watch is open."""
        ...

    def troubled(self, problem: StoreUnavailable) -> None:
        """It cannot be read at the moment."""
        ...


@runtime_checkable
class KubeApi(Protocol):
    """An API server. Safe for use from several threads."""

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Any = None,
        type: str = "application/json",
    ) -> dict[str, Any]:
        """One exchange. Raises ``StoreUnavailable``, for an answer that says no with an attribute ``code``."""
        ...

    def follow(self, path: str, selection: Mapping[str, str], receiver: Receiver, stop: Stop) -> None:
        """Tell what is in a collection, and what becomes of it, until ``stop`` is set."""
        ...


def code_of(error: StoreUnavailable) -> int:
    """The HTTP code with which the API server said no; 0 if there was no answer."""
    code = getattr(error, "code", 0)
    return code if isinstance(code, int) else 0
