"""What the control plane would send: now, and if a resource were different. Computed on the reconciler's thread.

It stores nothing and sends nothing; the answer is data that an operator can read.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envoy_data_plane.message_pool import default_message_pool

from kuma_core.errors import Busy, NotFound
from kuma_core.model import Resource, ResourceKey
from kuma_core.xds.contract import SHORT_NAMES, StreamReport
from kuma_core.xds.hints import hint
from kuma_core.xds.mesh_views import MeshViews
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.reconciler import Generated, Reconciler, touched_by
from kuma_core.xds.seal import Sealed
from kuma_core.xds.server.wire import Fields
from kuma_core.xds.snapshot import EMPTY, TYPES, Snapshot
from kuma_core.xds.status import StreamBook

DEADLINE_SECONDS = 10.0


class Preview:
    """Answers questions about what proxies have and would have. See ``kuma_core.xds.contract.Previewer``."""

    def __init__(self, reconciler: Reconciler, streams: StreamBook) -> None:
        self._reconciler = reconciler
        self._streams = streams

    def inspect(self, mesh: str, name: str) -> dict[str, Any]:
        """The configuration of one Dataplane's proxies, and what each stream made of it.

        Raises ``NotFound`` if there is no such Dataplane.
        """

        def look(views: MeshViews) -> list[tuple[Proxy, Generated]]:
            if name not in views.mesh(mesh).dataplanes:
                raise NotFound(f'there is no Dataplane "{name}" in mesh "{mesh}"')
            return self._generate(views, mesh, name)

        found = self._reconciler.ask(look, DEADLINE_SECONDS)
        reports = self._streams.reports(mesh, name)
        return {
            "mesh": mesh,
            "name": name,
            "proxies": [_proxy(proxy, generated, reports) for proxy, generated in found],
        }

    def dry_run(self, key: ResourceKey, resource: Resource | None) -> list[dict[str, Any]]:
        """The proxies that a write of the resource, or (``None``) its deletion, would change, and how.

        Raises ``Busy`` if the answer takes longer than the deadline.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        return self._reconciler.ask(
            lambda views: list(self._changes(views, key, resource, deadline)), DEADLINE_SECONDS
        )

    def _changes(
        self, views: MeshViews, key: ResourceKey, resource: Resource | None, deadline: float
    ) -> Iterator[dict[str, Any]]:
        after, effects = views.imagine(key, resource)
        names = {*views.mesh(key.mesh).dataplanes, *after.mesh(key.mesh).dataplanes}
        for name in sorted(names):
            if time.monotonic() > deadline:
                raise Busy(f"the dry run took more than {DEADLINE_SECONDS:.0f} s and was given up")
            for proxy, before in self._generate(views, key.mesh, name):
                if touched_by(effects, proxy, before):
                    yield from self._difference(proxy, before, after)

    def _difference(self, proxy: Proxy, before: Generated, views: MeshViews) -> Iterator[dict[str, Any]]:
        after = self._reconciler.generate(proxy, views)
        entry: dict[str, Any] = {"mesh": proxy.mesh, "name": proxy.name}
        if after.problem:
            yield {**entry, "changes": [], "problem": after.problem}
            return
        changes = list(_compare(before.snapshot or EMPTY, after.snapshot or EMPTY))
        if changes:
            yield {**entry, "changes": changes}

    def _generate(self, views: MeshViews, mesh: str, name: str) -> list[tuple[Proxy, Generated]]:
        """For every proxy of a Dataplane that is connected, or one without metadata if none is."""
        proxies = self._reconciler.connected(mesh, name) or [Proxy(mesh, name)]
        return [(proxy, self._reconciler.generate(proxy, views)) for proxy in proxies]


def _proxy(proxy: Proxy, generated: Generated, reports: Iterable[StreamReport]) -> dict[str, Any]:
    snapshot = generated.snapshot or EMPTY
    own = [report for report in reports if report.proxy == proxy]
    return {
        "metadata": dict(proxy.metadata),
        "problem": generated.problem,
        "warnings": list(generated.warnings),
        "types": {SHORT_NAMES[url]: _type(snapshot, url) for url in TYPES},
        "streams": [_stream(report, snapshot) for report in own],
    }


def _type(snapshot: Snapshot, url: str) -> dict[str, Any]:
    resources = snapshot.resources(url)
    return {
        "version": snapshot.version(url),
        "resources": [
            {"name": name, "version": resources[name].version, "config": readable(resources[name])}
            for name in sorted(resources)
        ],
    }


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
        }
    return {"id": report.id, "connected": report.connected.isoformat(), "types": types}


def _compare(before: Snapshot, after: Snapshot) -> Iterator[dict[str, Any]]:
    for url in TYPES:
        old, new = before.resources(url), after.resources(url)
        for name in sorted({*old, *new}):
            if _version(old, name) != _version(new, name):
                op = "add" if name not in old else "remove" if name not in new else "change"
                diff = _diff(_text(old.get(name)), _text(new.get(name)))
                yield {"type": SHORT_NAMES[url], "name": name, "op": op, "diff": diff}


def _version(resources: Mapping[str, Sealed], name: str) -> str:
    return resources[name].version if name in resources else ""


def _text(sealed: Sealed | None) -> list[str]:
    if sealed is None:
        return []
    return json.dumps(readable(sealed), indent=2, sort_keys=True, ensure_ascii=False).splitlines()


def _diff(before: list[str], after: list[str]) -> str:
    return "\n".join(difflib.unified_diff(before, after, "before", "after", lineterm="", n=2))


def readable(sealed: Sealed) -> dict[str, Any]:
    """A sealed resource as JSON data; a part stays bytes whose type nobody loaded."""
    body = Fields(sealed.packed).last(2) or b""
    message = default_message_pool.url_to_type[sealed.type_url].parse(body)
    try:
        found: dict[str, Any] = message.to_dict()
    except TypeError as error:
        return {"name": sealed.name, "unreadable": str(error)}
    return found
