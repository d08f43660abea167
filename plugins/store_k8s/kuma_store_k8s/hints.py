"""Hints that control planes over one cluster give each other, where nothing is stored of which the watch could tell.

They are written into an annotation of one ``Lease``, which every store follows. A hint says which versions its teller
had written or heard of; whoever gets it waits until it has heard of as much, so that it is told after these writes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kuma_core.sdk import Change, Op, ResourceKey, StoreUnavailable
from kuma_store_k8s.answers import ApiRefusal
from kuma_store_k8s.client import ApiClient, Json
from kuma_store_k8s.names import GROUP
from kuma_store_k8s.reflector import Reflector

if TYPE_CHECKING:
    from kuma_store_k8s.hub import Hub

LEASE, HINT = "kuma-hints", f"{GROUP}/hint"
PATIENCE_SECONDS = 5.0


class Hints:
    """Writes hints, and as the receiver of a reflector tells those that come."""

    def __init__(self, client: ApiClient, namespace: str, hub: Hub) -> None:
        self._client, self._hub = client, hub
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._last: str | None = None

    def reflector(self) -> Reflector:
        """Follows the one object."""
        return Reflector(self._client, self._collection, {"fieldSelector": f"metadata.name={LEASE}"}, self)

    def tell(self, key: ResourceKey) -> None:
        """Write a hint."""
        hint = {"key": [key.type, key.mesh, key.name], "heard": self._hub.heard(), "id": uuid.uuid4().hex}
        notes = {"metadata": {"annotations": {HINT: json.dumps(hint)}}}
        try:
            self._client.merge(f"{self._collection}/{LEASE}", notes)
        except ApiRefusal as error:
            if error.code != 404:
                raise
            self._create(notes)

    def _create(self, notes: Json) -> None:
        meta = {"name": LEASE, **notes["metadata"]}
        item = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": {}}
        try:
            self._client.create(self._collection, item)
        except ApiRefusal as error:
            if error.code != 409:
                raise
            self._client.merge(f"{self._collection}/{LEASE}", notes)

    def replaced(self, items: Mapping[str, Json]) -> None:
        """Hints that came while nobody watched are lost: then all is to be read again."""
        text = next((_hint(item) for item in items.values()), "")
        if self._last not in (None, text):
            self._hub.publish(Change(Op.RESYNC))
        self._last = text

    def put(self, item: Json) -> None:
        """Tell a hint, once we have heard of what its teller had heard of."""
        text = _hint(item)
        if text == self._last:
            return
        self._last = text
        with suppress(ValueError, KeyError, TypeError):  # whatever anybody wrote there
            self._tell(json.loads(text))

    def _tell(self, hint: Mapping[str, Any]) -> None:
        type, mesh, name = hint["key"]
        heard = {str(kind): int(version) for kind, version in hint["heard"].items()}
        self._hub.wait_until_heard(heard, PATIENCE_SECONDS)
        self._hub.publish(Change(Op.PUT, ResourceKey(str(type), str(mesh), str(name))))

    def deleted(self, item: Json) -> None:
        """Nobody says anything."""

    def settled(self) -> None:
        """Nothing depends on it."""

    def troubled(self, problem: StoreUnavailable) -> None:
        """The collections that matter are told of by their own reflectors."""


def _hint(item: Json) -> str:
    return str((item["metadata"].get("annotations") or {}).get(HINT, ""))
