"""What the control plane would send: now, and if a resource were different. Computed beside the reconciler.

It works on frozen views, stores nothing and sends nothing; the answer is data that an operator can read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from kuma_core.errors import NotFound
from kuma_core.model import Resource, ResourceKey
from kuma_core.plugin.boundary import Call
from kuma_core.xds.contract import SHORT_NAMES, Foreseen, StreamReport
from kuma_core.xds.culprits import named_by, origin_as_data
from kuma_core.xds.differences import Differences, readable
from kuma_core.xds.foresight import Foresight
from kuma_core.xds.hints import hint
from kuma_core.xds.maker import Generated
from kuma_core.xds.mesh_views import MeshViews
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.reconciler import Reconciler
from kuma_core.xds.snapshot import EMPTY, TYPES, Snapshot
from kuma_core.xds.status import StreamBook
from kuma_core.xds.workbench import Steps, Workbench

DEADLINE_SECONDS = 10.0
GRACE_SECONDS = 2.0
"""How much longer whoever asked waits: the work itself ends at the deadline, and tells how far it came."""


class Preview:
    """Answers questions about what proxies have and would have. See ``kuma_core.xds.contract.Previewer``."""

    def __init__(
        self, reconciler: Reconciler, streams: StreamBook, held: Callable[[Call], object] = lambda call: None
    ) -> None:
        """``held`` is called with the call into a plugin that never ended."""
        self._reconciler = reconciler
        self._streams = streams
        self._bench = Workbench(held=held)
        self._differences = Differences()

    def inspect(self, mesh: str, name: str) -> dict[str, Any]:
        """The configuration of one Dataplane's proxies, and what each stream made of it.

        Raises ``NotFound`` if there is no such Dataplane, and ``Busy`` without an answer in time.
        """
        views = self._reconciler.ask(MeshViews.frozen, DEADLINE_SECONDS)
        if name not in views.mesh(mesh).dataplanes:
            raise NotFound(f'there is no Dataplane "{name}" in mesh "{mesh}"')
        proxies = self._bench.do(self._inspect(views, mesh, name), DEADLINE_SECONDS)
        return {"mesh": mesh, "name": name, "proxies": proxies}

    def _inspect(self, views: MeshViews, mesh: str, name: str) -> Steps[list[dict[str, Any]]]:
        found, reports = [], self._streams.reports(mesh, name)
        for proxy in self._reconciler.connected(mesh, name) or [Proxy(mesh, name)]:
            generated = self._reconciler.maker.generate(proxy, views)
            found.append((yield from _proxy(proxy, generated, reports)))
        return found

    def dry_run(self, key: ResourceKey, resource: Resource | None) -> Foreseen:
        """The proxies that a write of the resource, or (``None``) its deletion, would change, and how.

        Raises ``Busy`` if too many ask at once, or if there is no answer in time.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        views = self._reconciler.ask(MeshViews.frozen, DEADLINE_SECONDS)
        foresight = Foresight(self._reconciler, views, key, resource, self._differences.between)
        patience = max(0.0, deadline - time.monotonic()) + GRACE_SECONDS
        return self._bench.do(foresight.steps(deadline), patience)


def _proxy(proxy: Proxy, generated: Generated, reports: Iterable[StreamReport]) -> Steps[dict[str, Any]]:
    snapshot = generated.snapshot or EMPTY
    own = [report for report in reports if report.proxy == proxy]
    types = {}
    for url in TYPES:
        types[SHORT_NAMES[url]] = yield from _type(snapshot, url)
    return {
        "metadata": dict(proxy.metadata),
        "problem": generated.problem,
        "warnings": list(generated.warnings),
        "types": types,
        "streams": [_stream(report, snapshot) for report in own],
    }


def _type(snapshot: Snapshot, url: str) -> Steps[dict[str, Any]]:
    resources, shown = snapshot.resources(url), []
    for name in sorted(resources):
        found = resources[name]
        made = {"version": found.version, "config": readable(found), "origin": origin_as_data(found)}
        shown.append({"name": name, **made})
        yield
    return {"version": snapshot.version(url), "resources": shown}


def _stream(report: StreamReport, snapshot: Snapshot) -> dict[str, Any]:
    types = {}
    for url, short in SHORT_NAMES.items():
        acknowledged = report.acknowledged.get(url, "")
        rejection = report.rejections.get(url, "")
        types[short] = {
            "acknowledged": acknowledged,
            "upToDate": acknowledged == snapshot.version(url),
            "rejection": rejection,
            "hint": hint(rejection),
            "culprits": [item.name for item in named_by(snapshot, url, rejection)] if rejection else [],
        }
    return {"id": report.id, "connected": report.connected.isoformat(), "types": types}
