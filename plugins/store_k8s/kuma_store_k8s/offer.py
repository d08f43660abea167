"""The way to the API server, for other plugins: ``context.ask("store_k8s", …)``. It connects when it is first used."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kuma_core.sdk import Stop
    from kuma_store_k8s.client import ApiClient
    from kuma_store_k8s.reflector import Receiver


class Way:
    """An API server. Safe for use from several threads; its connections are those of nobody else."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._made: ApiClient | None = None

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Any = None,
        type: str = "application/json",
    ) -> dict[str, Any]:
        """One exchange. Raises ``StoreUnavailable``, for an answer that says no with an attribute ``code``."""
        return self._client().ask(method, path, parameters, body, type)

    def follow(self, path: str, selection: Mapping[str, str], receiver: Receiver, stop: Stop) -> None:
        """Tell what is in a collection, and what becomes of it, until ``stop`` is set."""
        from kuma_store_k8s.reflector import Reflector

        Reflector(self._client(), path, selection, receiver).run(stop)

    def _client(self) -> ApiClient:
        """Raises ``ConfigError`` where no cluster can be found."""
        from kuma_store_k8s.client import connect

        with self._guard:
            if self._made is None:
                self._made = connect()
                weakref.finalize(self, self._made.close)  # nobody says when the last plugin has ended
            return self._made


class Opened:
    """What is open of the plugin beside the store, which the kernel opens."""

    def __init__(self) -> None:
        self.offer = Way()
