"""From a file and an environment to the effective configuration of ``kuma-cp``, checked with the plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kuma_core.errors import ConfigError, KumaError

if TYPE_CHECKING:
    from kuma_core.config import Check, Config, Setting
    from kuma_core.kinds import Kinds
    from kuma_core.plugin.catalog import Catalog

MAX_CONFIG_BYTES = 1024 * 1024
STORES = ("postgres", "kubernetes", "memory")
"""The stores of 0.3.1. Plugins may bring more; where one of these is not installed, the error names its plugin."""


def read_config(catalog: Catalog, path: str | None, environ: Mapping[str, str]) -> Config:
    """The effective configuration of a file and an environment; raises ``ConfigError``."""
    from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
    from kuma_core.config import build_config

    document = _read_file(path) if path else {}
    return autoconfigured(build_config(settings_of(catalog), document, path or "the file", environ))


def settings_of(catalog: Catalog) -> tuple[Setting, ...]:
    """All settings; those whose valid values depend on plugins have the checks that these give."""
    checks = {"store.type": _store_type(catalog.stores), "defaults.mesh": _default_mesh(catalog.kinds)}
    return tuple(replace(s, check=checks.get(s.path, s.check)) for s in catalog.settings)


def _store_type(brought: Iterable[str]) -> Check:
    *most, last = dict.fromkeys((*STORES, *sorted(brought)))
    message = f"Type should be either {', '.join(most)} or {last}"
    return lambda value: None if value in (*most, last) else message


def _default_mesh(kinds: Kinds) -> Check:
    def check(text: str) -> str | None:
        problem = _mesh_problem(text, kinds)
        return f"Mesh is not valid: {problem}" if problem else None

    return check


def _mesh_problem(text: str, kinds: Kinds) -> str:
    """Why ``text`` is no Mesh, or ``""``. What needs other resources is found when the mesh is created."""
    from kuma_core.documents import load_documents, shown
    from kuma_core.resources.codec import spec_part
    from kuma_core.specs.base import parse_spec
    from kuma_core.specs.mesh import MESH

    try:
        documents = load_documents(text, "defaults.mesh")
        document = documents[0] if documents else {}
        if len(documents) > 1 or not isinstance(document, dict):
            return "expected one YAML mapping"
        if document.get("type", MESH) != MESH:
            return f"its type is {shown(document['type'])}"
        parse_spec(kinds[MESH].spec, spec_part(document))
    except KumaError as error:
        return str(error)
    return ""


def _read_file(path: str) -> Mapping[str, Any]:
    from kuma_core.documents import load_documents

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f'Failed to access configuration file "{path}": {reason}') from None
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(f'Failed to read configuration from file "{path}": it has more than 1 MiB')
    try:
        documents = load_documents(text, path)
    except KumaError as error:
        raise ConfigError(f'Failed to parse configuration from file "{path}": {error}') from None
    document = documents[0] if documents else {}
    if len(documents) > 1 or not isinstance(document, dict):
        raise ConfigError(f'Failed to parse configuration from file "{path}": expected one YAML mapping')
    return document
