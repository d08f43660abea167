"""Describes the REST API in OpenAPI 3.1, from the registered kinds: a third party's kinds are in it too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import PydanticUndefined

from kuma_core import __version__
from kuma_core.api.paging import DEFAULT_SIZE, MAX_SIZE
from kuma_core.api.resources import MAX_NAME, RESULT_HEADER, collection_paths
from kuma_core.api.searching import MOST_CHARACTERS
from kuma_core.auth.contract import Right
from kuma_core.model import ResourceType, Scope
from kuma_core.resources.contract import Result
from kuma_core.specs.base import Member, Spec, members_of

Json = dict[str, Any]

NAME_PATTERN = "^[0-9a-z_-]+$"
_SPECS = "#/components/schemas/spec.{model}"


def document(
    kinds: Iterable[ResourceType],
    pages: Mapping[str, tuple[str, Right]],
    filters: Mapping[str, list[Json]],
) -> Json:
    """The whole description.

    ``pages`` are the paths of single pages, what each says, and the class of each; ``filters`` are further query
    parameters of the collection of a kind, by its name.
    """
    served = [kind for kind in kinds if kind.served]
    specs, definitions = _specs(served)
    schemas = {**_SHARED_SCHEMAS, **{f"spec.{name}": schema for name, schema in definitions.items()}}
    paths: Json = {
        path: {"get": _get(text, {"type": "object"}, right=right)} for path, (text, right) in pages.items()
    }
    for kind in served:
        schemas[kind.name] = _item_schema(kind, specs[kind.name])
        collection = collection_paths(kind)[0]
        paths[collection] = _collection(kind, filters.get(kind.name, []))
        paths[f"{collection}/{{name}}"] = _item(kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kuma control plane", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": _HEADERS,
            "responses": _RESPONSES,
            "securitySchemes": _SECURITY,
        },
    }


_ABOUT = "Resources of a service mesh. Every error has one shape; unknown fields are told in Warning headers."


class _Schemas(GenerateJsonSchema):
    """With those defaults alone that are no empty values: a field that is left out is empty, unless it says more."""

    def default_schema(self, schema: Any) -> Any:
        """The schema of the value alone."""
        return self.generate_inner(schema["schema"])

    def model_schema(self, schema: Any) -> Any:
        """The schema of a spec, with what an operator has who leaves a field out, as documents have it."""
        found, model = super().model_schema(schema), schema["cls"]
        for member in members_of(model) if issubclass(model, Spec) else ():
            default = _default(model, member)
            if default:
                found["properties"][member.alias]["default"] = default
        return found


def _default(model: type[Spec], member: Member) -> Any:
    """The default of a field as plain data; something empty if there is none."""
    default = model.model_fields[member.attribute].get_default(call_default_factory=True)
    if default is PydanticUndefined or not default:
        return None
    return member.shape.write(default) if member.shape.write else default


def _specs(kinds: Iterable[ResourceType]) -> tuple[dict[str, Json], Json]:
    """A schema of each kind's spec by its name, and all the definitions that they refer to."""
    kinds = list(kinds)
    refs, whole = models_json_schema(
        [(kind.spec, "validation") for kind in kinds],
        by_alias=True,
        ref_template=_SPECS,
        schema_generator=_Schemas,
    )
    definitions = whole.get("$defs", {})
    found = {}
    for kind in kinds:
        name = refs[(kind.spec, "validation")]["$ref"].removeprefix(_SPECS.format(model=""))
        found[kind.name] = definitions[name]
    return found, definitions


def _item_schema(kind: ResourceType, spec: Json) -> Json:
    """Meta and spec in one object."""
    meta: Json = {"type": {"const": kind.name}, "name": {"type": "string"}}
    if kind.scope is Scope.MESH:
        meta["mesh"] = {"type": "string"}
    return {
        "type": "object",
        "description": spec.get("description", ""),
        "properties": {**meta, **spec.get("properties", {})},
        "required": list(meta),
    }


def _parameters(kind: ResourceType, *, item: bool) -> list[Json]:
    names = (["mesh"] if kind.scope is Scope.MESH else []) + (["name"] if item else [])
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": NAME_PATTERN, "maxLength": MAX_NAME},
        }
        for name in names
    ]


def _collection(kind: ResourceType, filters: list[Json]) -> Json:
    answer = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": _ref(kind.name)},
            "total": {"type": "integer", "description": "With size, offset, q or sort: how many there are."},
            "next": {
                "type": ["string", "null"],
                "description": "With any of them: the next page, if there is one.",
            },
        },
    }
    get = _get(f"All resources of the kind {kind.name}.", answer, "400", "406")
    return {"parameters": _parameters(kind, item=False), "get": {**get, "parameters": [*filters, *_PAGING]}}


def _item(kind: ResourceType) -> Json:
    path: Json = {
        "parameters": _parameters(kind, item=True),
        "get": _get(f"One {kind.name}.", _ref(kind.name), "404", "406"),
    }
    if kind.stored and not kind.read_only:
        path["put"] = _put(kind)
        path["delete"] = _delete(kind)
    return path


def _get(summary: str, schema: Json, *errors: str, right: Right = Right.READER) -> Json:
    ok = {"description": "The answer.", "content": {"application/json": {"schema": schema}}}
    denials = () if right is Right.PUBLIC else _DENIALS
    return {
        "summary": summary,
        **_for(right),
        "responses": {"200": ok, **_errors(*errors, *denials)},
    }


def _for(right: Right) -> Json:
    """The class of an operation, and by what its users prove who they are; where no mode asks for that, by nothing."""
    schemes: list[Json] = [] if right is Right.PUBLIC else [{name: []} for name in _SECURITY]
    return {"x-kuma-right": right.value, "security": schemes}


def _put(kind: ResourceType) -> Json:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
    body = {"required": True, "content": {"application/json": {"schema": _ref(kind.name)}}}
    return {
        "summary": f"Create a {kind.name}, or replace it as a whole.",
        **_for(Right.ADMIN),
        "requestBody": body,
        "responses": {
            "200": {"description": "Replaced, or the same as before.", "headers": headers},
            "201": {"description": "Created.", "headers": headers},
            **_errors("400", *_DENIALS, "405", "406", "409", "413", "415"),
        },
    }


def _delete(kind: ResourceType) -> Json:
    return {
        "summary": f"Delete a {kind.name}.",
        **_for(Right.ADMIN),
        "responses": {"200": {"description": "Deleted."}, **_errors(*_DENIALS, "404", "405", "406", "409")},
    }


def _errors(*codes: str) -> Json:
    return {code: {"$ref": f"#/components/responses/{code}"} for code in (*codes, "500", "503")}


def _ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


_DENIALS = ("401", "403")

_SECURITY: Json = {
    "userToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's token: kumactl generate user-token.",
    },
    "clientCertificate": {
        "type": "mutualTLS",
        "description": "Over HTTPS: a certificate of apiServer.https.clientCertsDir.",
    },
}

_PAGING: list[Json] = [
    {
        "name": "size",
        "in": "query",
        "description": f"At most so many items; {DEFAULT_SIZE} if only offset is given.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_SIZE},
    },
    {
        "name": "offset",
        "in": "query",
        "description": "Leave out so many items.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
    },
    {
        "name": "q",
        "in": "query",
        "description": (
            "Words with a space in between, all of which have to fit: part of the name, name:part, and for dataplanes "
            "service:orders, version:2 and tag:zone=east, of one inbound; for overviews status:offline,degraded; "
            "* at the end of the value of a tag is anything."
        ),
        "schema": {"type": "string", "maxLength": MOST_CHARACTERS},
    },
    {
        "name": "sort",
        "in": "query",
        "description": "Up to three fields with a comma in between: name, for dataplanes service and version, "
        "for overviews status; -name for the other way round.",
        "schema": {"type": "string", "pattern": "^-?[a-z]+(,-?[a-z]+){0,2}$"},
    },
]

_HEADERS: Json = {
    RESULT_HEADER: {
        "description": "What the write did.",
        "schema": {"enum": [result.value for result in Result]},
    },
    "Warning": {"description": "What was ignored, and what is doubtful.", "schema": {"type": "string"}},
}

_CAUSE: Json = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
}

_SHARED_SCHEMAS: Json = {
    "Error": {
        "type": "object",
        "required": ["title", "details"],
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "details": {"type": "string", "minLength": 1},
            "causes": {"type": "array", "minItems": 1, "items": _CAUSE},
        },
    }
}

_RESPONSES: Json = {
    code: {"description": text, "content": {"application/json": {"schema": _ref("Error")}}}
    for code, text in {
        "400": "The request or the resource breaks a rule.",
        "401": "Who asks proved nothing, or showed a token that is good for nothing.",
        "403": "Who asks may not do that.",
        "404": "There is no such thing.",
        "405": "The path does not take this method, or the API is read-only.",
        "406": "The client accepts no JSON.",
        "409": "Somebody else changed the resource at the same time.",
        "413": "The body is too large.",
        "415": "The body has an unknown content encoding.",
        "500": "A defect of the control plane; its log says more.",
        "503": "The store cannot be reached.",
    }.items()
}
