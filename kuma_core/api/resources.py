"""Every kind of resource over REST: one class for collections, one for items (API specification, 2.1 to 2.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import falcon

from kuma_core.api.app import answer_json, read_body
from kuma_core.api.contract import Route
from kuma_core.errors import InvalidResource, MalformedResource, Violation
from kuma_core.model import Resource, ResourceKey, ResourceType, Scope
from kuma_core.resources import codec
from kuma_core.resources.manager import ResourceManager, Result
from kuma_core.specs.base import parse_spec

_NAME = re.compile(r"[0-9a-z_-]*", re.ASCII)
_BAD_NAME = "invalid characters. Valid characters are numbers, lowercase latin letters and '-', '_' symbols."

RESULT_HEADER = "Kuma-Result"
MAX_WARNINGS = 20
MAX_WARNING_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """What the REST API allows: the size of a body in bytes, and whether anything may be written."""

    body_bytes: int
    read_only: bool


def resource_routes(
    kinds: Iterable[ResourceType], resources: ResourceManager, limits: Limits
) -> Iterator[Route]:
    """The collection and the item of every kind that is stored."""
    for kind in kinds:
        if kind.stored and kind.served:
            is_global = kind.scope is Scope.GLOBAL
            path = f"/{kind.path}" if is_global else f"/meshes/{{mesh}}/{kind.path}"
            yield Route(path, Collection(kind, resources))
            yield Route(f"{path}/{{mesh}}" if is_global else f"{path}/{{name}}", Item(kind, resources, limits))


class Collection:
    """All resources of a kind in a mesh, or of a global kind."""

    def __init__(self, kind: ResourceType, resources: ResourceManager) -> None:
        self._kind = kind
        self._resources = resources

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str | None = None) -> None:
        """``{"items": [...]}``, sorted by name; a mesh that does not exist has none."""
        req.context.title = "Could not retrieve resources"
        found = self._resources.list(self._kind.name, mesh)
        answer_json(resp, {"items": [codec.to_item(self._kind, resource) for resource in found]})


class Item:
    """One resource. A global one is its own mesh, so that its only parameter is ``mesh``."""

    def __init__(self, kind: ResourceType, resources: ResourceManager, limits: Limits) -> None:
        self._kind = kind
        self._resources = resources
        self._limits = limits

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str = "") -> None:
        """The resource, or 404."""
        req.context.title = "Could not retrieve a resource"
        resource = self._resources.get(self._kind.key(mesh, name or mesh))
        answer_json(resp, codec.to_item(self._kind, resource))

    def on_put(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str = "") -> None:
        """Create the resource (201) or replace it (200); the body of the answer is empty."""
        self._require_writable()
        key = self._kind.key(mesh, name or mesh)
        req.context.title = "Could not process a resource"
        item = codec.read_json(read_body(req, self._limits.body_bytes))
        self._check_request(item, key)
        resource, unknown = self._parse(item, key)
        exists = self._resources.find(key) is not None
        req.context.title = f"Could not {'update' if exists else 'create'} a resource"
        written = self._resources.put(resource)
        resp.status = 201 if written.result is Result.CREATED else 200
        resp.set_header(RESULT_HEADER, written.result.value)
        _warn(resp, unknown, written.warnings)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str = "") -> None:
        """Delete the resource (200, empty), or 404."""
        self._require_writable()
        req.context.title = "Could not delete a resource"
        self._resources.delete(self._kind.key(mesh, name or mesh))

    def _require_writable(self) -> None:
        if self._limits.read_only or self._kind.read_only:
            why = (
                "the API is read-only (apiServer.readOnly)"
                if self._limits.read_only
                else f"{self._kind.name} is written by the control plane alone"
            )
            raise falcon.HTTPMethodNotAllowed(["GET"], description=f"Nothing can be written here: {why}")

    def _check_request(self, item: Mapping[str, Any], key: ResourceKey) -> None:
        """Section 4.2: what the URL says and what the body says must be the same."""
        meta = codec.meta_part(item)
        expected = {"name": key.name, "type": self._kind.name, "mesh": key.mesh}
        if self._kind.scope is Scope.GLOBAL:
            del expected["mesh"]
        found = [
            Violation(field, f"{field} from the URL has to be the same as in body")
            for field, value in expected.items()
            if meta.get(field) != value
        ]
        found += [
            Violation(field, _BAD_NAME)
            for field, value in (("name", key.name), ("mesh", key.mesh))
            if not _NAME.fullmatch(value)
        ]
        if found:
            raise InvalidResource(found)

    def _parse(self, item: Mapping[str, Any], key: ResourceKey) -> tuple[Resource, list[str]]:
        try:
            spec, unknown = parse_spec(self._kind.spec, codec.spec_part(item))
        except RecursionError:
            raise MalformedResource([Violation("", "the body is nested too deeply")]) from None
        return Resource(key, spec), unknown


def _warn(resp: falcon.Response, unknown: list[str], warnings: Iterable[Violation]) -> None:
    """Tell what was dropped and what the rules warn of, in at most ``MAX_WARNINGS`` warnings."""
    texts = [f'unknown field "{path}" is ignored' for path in unknown]
    texts += [f"{warning.field}: {warning.message}" for warning in warnings]
    if len(texts) > MAX_WARNINGS:
        more = len(texts) - MAX_WARNINGS + 1
        texts = [*texts[: MAX_WARNINGS - 1], f"and {more} more warnings"]
    for text in texts:
        resp.append_header("Warning", f'299 - "{_quotable(text)}"')


def _quotable(text: str) -> str:
    """Text that may stand in a header between quotes."""
    printable = "".join(character if character.isprintable() else "?" for character in text)
    plain = printable.encode("ascii", "backslashreplace").decode("ascii")
    return plain[:MAX_WARNING_LENGTH].replace("\\", "\\\\").replace('"', '\\"')
