"""The configuration file of kumactl: YAML to values and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kuma_core.errors import ConfigError
from kuma_core.kumactl import default_file
from kuma_core.kumactl.config import Configuration, ControlPlane, NamedContext, problem_of


def load(path: str | None) -> Configuration:
    """The configuration in the file ``path``; for None the built-in one. An empty file is an empty one.

    Raises ConfigError: unreadable, not YAML, wrong types, or against the rules.
    """
    text = default_file.DEFAULT_TEXT if path is None else _read(path)
    value = _parse(text, path or "built-in")
    try:
        configuration = replace(_configuration(value), path=path)
    except _Wrong as error:
        raise ConfigError(f'Failed to parse configuration from file "{path}": {error}') from None
    problem = problem_of(configuration)
    if problem:
        raise ConfigError(f'Failed to load invalid configuration from file "{path}": {problem}')
    return configuration


def save(configuration: Configuration) -> None:
    """Write the configuration to the file that it came from, in one step.

    Raises ConfigError if it breaks a rule or cannot be written.
    """
    from kuma_core.kumactl.output import dump_yaml

    problem = problem_of(configuration)
    if problem:
        raise ConfigError(f"Failed to save an invalid configuration: {problem}")
    path = configuration.path
    if path is None:
        raise ConfigError("there is no configuration file to write to; name one with --config-file")
    default_file.write(path, dump_yaml(to_value(configuration)))


def to_value(configuration: Configuration) -> dict[str, Any]:
    """The configuration as the file holds it: camelCase, nothing empty, unknown keys as they were."""
    known = {
        "contexts": [_context_value(c) for c in configuration.contexts],
        "controlPlanes": [_control_plane_value(c) for c in configuration.control_planes],
        "currentContext": configuration.current_context,
    }
    return _beside(configuration.raw, known)


def _control_plane_value(plane: ControlPlane) -> dict[str, Any]:
    return _beside(plane.raw, {"name": plane.name, "coordinates": {"apiServer": {"url": plane.url}}})


def _context_value(context: NamedContext) -> dict[str, Any]:
    value = {
        "name": context.name,
        "controlPlane": context.control_plane,
        "credentials": {
            "adminApi": {
                "clientCert": context.client_cert,
                "clientKey": context.client_key,
                "caCert": context.ca_cert,
            },
            "api": {
                "type": context.auth_type,
                "tokenFile": context.token_file,
                "caCert": context.api_ca_cert,
                "allowPlain": context.allow_plain,
            },
        },
        "defaults": {"mesh": context.mesh},
    }
    return _beside(context.raw, value)


def _beside(raw: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """``known`` without what is empty, and the members of ``raw`` that it does not know, at all levels."""
    value = {key: member for key, member in raw.items() if not {key, _camel(key)} & known.keys()}
    for key, member in known.items():
        if isinstance(member, dict):
            member = _beside(_member(raw, key) or {}, member)
        if member:
            value[key] = member
    return value


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f'Failed to access configuration file "{path}": {reason}') from None
    except UnicodeDecodeError as error:
        message = f'Failed to parse configuration from file "{path}": byte {error.start} is not UTF-8 text'
        raise ConfigError(message) from None


def _parse(text: str, path: str) -> Any:
    from kuma_core.documents import DocumentError, load_documents

    try:
        documents = load_documents(text, path)
    except DocumentError as error:
        where = f"line {error.line}, column {error.column}: {error.problem}"
        raise ConfigError(f'Failed to parse configuration from file "{path}": {where}') from None
    if len(documents) > 1:
        count = f"it holds {len(documents)} documents, but must hold one"
        raise ConfigError(f'Failed to parse configuration from file "{path}": {count}')
    return documents[0] if documents else {}


class _Wrong(ValueError):
    """A value in the file has the wrong type, or something is missing."""


def _configuration(value: Any) -> Configuration:
    root = _mapping(value, "the document")
    return Configuration(
        control_planes=tuple(
            _control_plane(v, f"controlPlanes[{i}]") for i, v in enumerate(_list(root, "controlPlanes"))
        ),
        contexts=tuple(_context(v, f"contexts[{i}]") for i, v in enumerate(_list(root, "contexts"))),
        current_context=_text(root, "currentContext", ""),
        raw=root,
    )


def _control_plane(value: Any, where: str) -> ControlPlane:
    plane = _mapping(value, where)
    coordinates = _mapping(_member(plane, "coordinates"), f"{where}.coordinates")
    server = _mapping(_member(coordinates, "apiServer"), f"{where}.coordinates.apiServer")
    url = _text(server, "url", f"{where}.coordinates.apiServer.")
    return ControlPlane(_text(plane, "name", f"{where}."), url, plane)


def _context(value: Any, where: str) -> NamedContext:
    context = _mapping(value, where)
    credentials = _mapping(_member(context, "credentials"), f"{where}.credentials")
    admin = _mapping(_member(credentials, "adminApi"), f"{where}.credentials.adminApi")
    api = _mapping(_member(credentials, "api"), f"{where}.credentials.api")
    allow_plain = _member(api, "allowPlain") or False
    if not isinstance(allow_plain, bool):
        raise _Wrong(f"{where}.credentials.api.allowPlain must be true or false")
    defaults = _mapping(_member(context, "defaults"), f"{where}.defaults")
    return NamedContext(
        name=_text(context, "name", f"{where}."),
        control_plane=_text(context, "controlPlane", f"{where}."),
        client_cert=_text(admin, "clientCert", f"{where}.credentials.adminApi."),
        client_key=_text(admin, "clientKey", f"{where}.credentials.adminApi."),
        ca_cert=_text(admin, "caCert", f"{where}.credentials.adminApi."),
        auth_type=_text(api, "type", f"{where}.credentials.api."),
        token_file=_text(api, "tokenFile", f"{where}.credentials.api."),
        api_ca_cert=_text(api, "caCert", f"{where}.credentials.api."),
        allow_plain=allow_plain,
        mesh=_text(defaults, "mesh", f"{where}.defaults."),
        raw=context,
    )


def _member(mapping: Mapping[str, Any], name: str) -> Any:
    """A member by its camelCase name, else by its snake_case name."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    value = mapping.get(name)
    return mapping.get(snake) if value is None else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise _Wrong(f"{where} must be a mapping")
    return value or {}


def _list(mapping: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = _member(mapping, name)
    if value is not None and not isinstance(value, list):
        raise _Wrong(f"{name} must be a list")
    return value or []


def _text(mapping: Mapping[str, Any], name: str, where: str) -> str:
    value = _member(mapping, name)
    if value is not None and not isinstance(value, str):
        raise _Wrong(f"{where}{name} must be text")
    return value or ""
