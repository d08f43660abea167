"""Every kind of resource over REST: a class for collections, one for items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import falcon

from kuma_core.api import audit
from kuma_core.api.contract import Route
from kuma_core.api.exchange import answer_json, begin, read_body
from kuma_core.api.may_write import MayWrite, WritableKind, writable
from kuma_core.api.paging import answer_page, read_page
from kuma_core.api.searching import Searchable, read_search
from kuma_core.api.tag_search import DATAPLANES
from kuma_core.api.warning_headers import add_warnings, tell_if_refused, warning_texts
from kuma_core.api.xds import VALIDATE, answer_dry_run, dry_run_of
from kuma_core.auth.contract import Right
from kuma_core.errors import InvalidResource, Severity, Violation
from kuma_core.model import Resource, ResourceKey, ResourceType, Scope
from kuma_core.policy.contract import Policy
from kuma_core.resources import codec
from kuma_core.resources.contract import Resources, Result
from kuma_core.specs.base import Spec, parse_spec
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.xds.contract import Previewer

_NAME = re.compile(r"[0-9a-z_-]*", re.ASCII)
_BAD_NAME = "invalid characters. Valid characters are numbers, lowercase latin letters and '-', '_' symbols."

RESULT_HEADER = "Kuma-Result"
MAX_NAME = 253


@dataclass(frozen=True, slots=True)
class Limits:
    """What the REST API allows: the size of a body in bytes, and whether anything may be written.

    ``elsewhere`` says who is to write where nothing may be written here.
    """

    body_bytes: int
    read_only: bool
    elsewhere: str = ""


def resource_routes(
    kinds: Iterable[ResourceType],
    resources: Resources,
    limits: Limits,
    previewer: Previewer,
    policies: Sequence[Policy] = (),
) -> Iterator[Route]:
    """The collection and the item of every kind that is stored, in each spelling of its path."""
    for kind in kinds:
        if kind.stored and kind.served:
            for path in collection_paths(kind):
                item = f"{path}/{{mesh}}" if kind.scope is Scope.GLOBAL else f"{path}/{{name}}"
                reader = partial(Route, right=Right.READER, kind=kind.name)
                yield reader(path, Collection(kind, resources))
                yield reader(item, Item(writable(kind, policies), resources, limits, previewer), decides=True)


def collection_paths(kind: ResourceType) -> list[str]:
    """The templates of a kind's collection, the proper one first."""
    start = "/" if kind.scope is Scope.GLOBAL else "/meshes/{mesh}/"
    return [start + spelling for spelling in (kind.path, *kind.path_aliases)]


class Collection:
    """All resources of a kind in a mesh, or of a global kind."""

    def __init__(self, kind: ResourceType, resources: Resources) -> None:
        self._kind = kind
        self._resources = resources
        self._searchable = DATAPLANES if kind.name == DATAPLANE else Searchable()

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str | None = None) -> None:
        """``{"items": [...]}``, sorted by name; a mesh that does not exist has none."""
        begin(req, "Could not retrieve resources")
        page, search = read_page(req), read_search(req, self._searchable)
        found = self._resources.listed(self._kind.name, mesh)
        answer_page(req, resp, page, found, partial(codec.to_item, self._kind), search)


class Item:
    """One resource. A global one is its own mesh, so that its only parameter is ``mesh``."""

    def __init__(
        self, kind: WritableKind, resources: Resources, limits: Limits, previewer: Previewer
    ) -> None:
        self._writable, self._kind = kind, kind.kind
        self._resources = resources
        self._limits = limits
        self._previewer = previewer

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str = "") -> None:
        """The resource, or 404."""
        begin(req, "Could not retrieve a resource")
        resource = self._resources.get(self._kind.key(mesh, name or mesh))
        answer_json(resp, codec.to_item(self._kind, resource))

    def on_put(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str = "") -> None:
        """Create the resource (201) or replace it (200); the body of the answer is empty."""
        begin(req, "Could not process a resource")
        key = self._begin_write(req, mesh, name)
        spec, told = self._read(req, key)
        may = MayWrite(req, key, self._writable, spec)
        may.check()
        req.context.title = "Could not find a resource"
        current = self._resources.find(key)
        req.context.title = f"Could not {'update' if current else 'create'} a resource"
        if dry_run := dry_run_of(req):
            audit.asked(req)
            may.previous(current)
            alone = dry_run == VALIDATE
            resource, warnings = self._resources.examine(Resource(key, spec), alone)
            told += warning_texts((), warnings)
            if alone:
                answer_json(resp, {"result": _result(resource, current), "warnings": told})
            else:
                answer_dry_run(resp, self._previewer, key, resource, told)
            return
        written = self._resources.put(Resource(key, spec), may.over)
        may.wrote()
        resp.status = 201 if written.result is Result.CREATED else 200
        audit.wrote(req, written.result.value)
        resp.set_header(RESULT_HEADER, written.result.value)
        add_warnings(resp, [*told, *warning_texts((), written.warnings)])

    def on_delete(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str = "") -> None:
        """Delete the resource (200, empty), or 404."""
        begin(req, "Could not delete a resource")
        key = self._begin_write(req, mesh, name)
        may = MayWrite(req, key, self._writable)
        may.check()
        if may.over:
            may.there(self._resources.find(key))
        if dry_run := dry_run_of(req):
            audit.asked(req)
            told = warning_texts([], self._resources.examine_deletion(key))
            if dry_run == VALIDATE:
                answer_json(resp, {"result": "deleted", "warnings": told})
            else:
                answer_dry_run(resp, self._previewer, key, None, told)
            return
        add_warnings(resp, warning_texts([], self._resources.delete(key, may.over)))
        may.wrote()
        audit.wrote(req, "deleted")

    def _begin_write(self, req: falcon.Request, mesh: str, name: str) -> ResourceKey:
        """The key of what would be written; refuses where nothing may be."""
        is_global = self._kind.scope is Scope.GLOBAL
        audit.about(req, self._kind.name, "" if is_global else mesh, name or mesh)
        self._require_writable()
        return self._kind.key(mesh, name or mesh)

    def _require_writable(self) -> None:
        if self._limits.read_only or self._kind.read_only:
            why = (
                f"the API is read-only (apiServer.readOnly){self._limits.elsewhere}"
                if self._limits.read_only
                else f"{self._kind.name} is written by the control plane alone"
            )
            raise falcon.HTTPMethodNotAllowed(["GET"], description=f"Nothing can be written here: {why}")

    def _read(self, req: falcon.Request, key: ResourceKey) -> tuple[Spec, list[str]]:
        """The spec in the body, and what its writer is told of it in any case: what nobody knows, what is doubtful."""
        item = codec.read_json(read_body(req, self._limits.body_bytes, "apiServer.maxBodyBytes"))
        given, model = codec.spec_part(item), self._kind.spec
        misread = list(model.misread(given))
        errors = [violation for violation in misread if violation.severity is Severity.ERROR]
        refused = {violation.field for violation in errors}
        unknown = [path for path in model.unknown_fields(given, "") if path not in refused]
        told = warning_texts(unknown, (violation for violation in misread if violation not in errors))
        tell_if_refused(req, told)
        self._check_request(item, key)
        spec, _ = parse_spec(model, given)
        if errors:
            raise InvalidResource(errors)
        return spec, told

    def _check_request(self, item: Mapping[str, Any], key: ResourceKey) -> None:
        """Refuse a body that speaks of another resource than the URL does."""
        meta = codec.meta_part(item)
        expected = {"name": key.name, "type": self._kind.name, "mesh": key.mesh}
        if self._kind.scope is Scope.GLOBAL:
            del expected["mesh"]
        found = [
            Violation(field, f"{field} from the URL has to be the same as in body")
            for field, value in expected.items()
            if meta.get(field) != value
        ]
        for field, value in (("name", key.name), ("mesh", key.mesh)):
            if not _NAME.fullmatch(value):
                found.append(Violation(field, _BAD_NAME))
            elif len(value) > MAX_NAME:
                found.append(Violation(field, f"has more than {MAX_NAME} characters"))
        if found:
            raise InvalidResource(found)


def _result(resource: Resource, current: Resource | None) -> str:
    """What a PUT would do."""
    if current is None:
        result = Result.CREATED
    elif codec.encode(resource) == codec.encode(current):
        result = Result.UNCHANGED
    else:
        result = Result.UPDATED
    return str(result.value)
