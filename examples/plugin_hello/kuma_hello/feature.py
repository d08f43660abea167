"""What is open of the plugin: its parts share one count of greetings that were written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kuma_core.sdk import (
    COUNTER,
    BootstrapFragment,
    Change,
    ChangeListener,
    Context,
    Metric,
    Port,
    Right,
    Route,
    Server,
    StatsTag,
    WsgiServer,
    hookimpl,
)


class HelloFeature:
    """Listens, counts, and shows what it counted in three places."""

    def __init__(self, context: Context) -> None:
        self._resources = context.resources
        self._changes = 0

    def _changed(self, change: Change) -> None:
        self._changes += change.key is not None

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """Hear of every Greeting that is written or deleted, by whichever control plane."""
        return [ChangeListener(self._changed, ("Greeting",))]

    @hookimpl
    def kuma_register_metrics(self) -> Iterable[Metric]:
        """A number for Prometheus, answered from memory."""
        words = "Greetings that were written or deleted."
        return [Metric("hello_greeting_changes_total", words, lambda: [((), self._changes)], COUNTER)]

    @hookimpl
    def kuma_register_routes(self) -> Iterable[Route]:
        """A path of the REST API."""
        return [Route("/meshes/{mesh}/hello", self, right=Right.READER)]

    def on_get(self, req: Any, resp: Any, mesh: str) -> None:
        """Say each greeting of a mesh as often as it is to be said."""
        found = [item.spec for item in self._resources.list("Greeting", mesh)]
        said = [" ".join([spec.text] * spec.repeat_count) for spec in found]
        resp.media = {"said": said, "changes": self._changes}

    @hookimpl
    def kuma_register_servers(self) -> Iterable[Server]:
        """A server on a port of its own, for whoever may not reach the REST API."""
        return [WsgiServer("hello-server", Port("hello.port", "127.0.0.1"), self._serve)]

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{self._changes} greetings were written\n".encode()]

    @hookimpl
    def kuma_register_bootstrap(self) -> Iterable[BootstrapFragment]:
        """A tag of all statistics of every Envoy."""
        return [StatsTag("hello.greets", fixed_value="yes")]
