"""The configuration of kumactl as values: which control planes there are, and which one is meant.

kumactl 0.3.1 reads the same file, so names and rules are its. No file and no network here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kuma_core.errors import ConfigError

TOKEN, CERTIFICATE = "token", "certificate"
AUTH_TYPES = (TOKEN, CERTIFICATE)
"""How a context proves to the API server who we are."""

_ADD = "run `kumactl config control-planes add` to add a Control Plane and make it the active one"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane: its name here, and the absolute URL of its API server.

    ``raw`` is, here and below, what the file held: keys that only another version knows are written again.
    """

    name: str
    url: str
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NamedContext:
    """How to use a control plane. Paths are kept as they were typed; ``mesh`` is the default mesh.

    ``ca_cert`` is the file with what the admin server is trusted by; without one it is not verified. ``auth_type`` is
    how we prove to the API server who we are: ``token``, from the file ``token_file``, ``certificate``, by the client
    certificate, or ``""``. ``api_ca_cert`` is what an https API server is trusted by; without one by what the system
    trusts. ``allow_plain`` lets a token go over plain HTTP.
    """

    name: str
    control_plane: str
    client_cert: str = ""
    client_key: str = ""
    mesh: str = ""
    ca_cert: str = ""
    auth_type: str = ""
    token_file: str = ""
    api_ca_cert: str = ""
    allow_plain: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything in the file. ``path`` is the file, or None if there is none that could be written."""

    control_planes: tuple[ControlPlane, ...] = ()
    contexts: tuple[NamedContext, ...] = ()
    current_context: str = ""
    path: str | None = field(default=None, compare=False)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def current(self) -> NamedContext | None:
        """The current context, or None if none is set or the name is nobody's."""
        return next((c for c in self.contexts if c.name == self.current_context), None)

    @property
    def current_mesh(self) -> str:
        """The default mesh of the current context, or ``""``."""
        return self.current.mesh if self.current else ""

    @property
    def current_control_plane(self) -> ControlPlane:
        """The control plane that commands talk to; ConfigError if the file does not name one."""
        if not self.current_context:
            raise ConfigError(f"no active Control Plane is set: {_ADD}")
        if self.current is None:
            missing = f'the current context "{self.current_context}" does not exist'
            raise ConfigError(f"kumactl configuration is broken: {missing}; {_ADD}")
        found = self.control_plane(self.current.control_plane)
        if found is None:
            missing = f'context "{self.current.name}" points to Control Plane "{self.current.control_plane}"'
            raise ConfigError(f"kumactl configuration is broken: {missing}, which does not exist; {_ADD}")
        return found

    def control_plane(self, name: str) -> ControlPlane | None:
        """The control plane of that name, if there is one."""
        return next((c for c in self.control_planes if c.name == name), None)

    def add(self, control_plane: ControlPlane, context: NamedContext) -> Configuration:
        """As this, with both put in place of what had their names, and the context made current."""
        planes = [c for c in self.control_planes if c.name != control_plane.name]
        contexts = [c for c in self.contexts if c.name != context.name]
        return replace(
            self,
            control_planes=(*planes, control_plane),
            contexts=(*contexts, context),
            current_context=context.name,
        )

    def remove(self, name: str) -> Configuration:
        """As this, without that control plane and the contexts that point to it.

        If the current context goes, the first remaining one becomes current.
        """
        contexts = tuple(c for c in self.contexts if c.control_plane != name)
        kept = any(c.name == self.current_context for c in contexts)
        first = contexts[0].name if contexts else ""
        planes = tuple(c for c in self.control_planes if c.name != name)
        current = self.current_context if kept else first
        return replace(self, control_planes=planes, contexts=contexts, current_context=current)

    def switch(self, name: str) -> Configuration:
        """As this, with the context of that name current, else the first one of that control plane."""
        ordered = sorted(self.contexts, key=lambda c: c.name != name)
        context = next((c for c in ordered if name in (c.name, c.control_plane)), None)
        if context is None:
            raise ConfigError(no_such_control_plane(name, self))
        return replace(self, current_context=context.name)


def no_such_control_plane(name: str, configuration: Configuration) -> str:
    """The sentence about a name that nobody has, with the names that there are."""
    known = ", ".join(c.name for c in configuration.control_planes) or "none"
    return f'there is no Control Plane with name "{name}" (known: {known})'


def problem_of(configuration: Configuration) -> str:
    """What makes the configuration unusable, with its path; ``""`` if nothing does."""
    for i, plane in enumerate(configuration.control_planes):
        if not plane.name:
            return f"controlPlanes[{i}].name must not be empty"
        if problem := url_problem(plane.url):
            return f"controlPlanes[{i}].coordinates.apiServer.url {problem}"
    for i, context in enumerate(configuration.contexts):
        for member, value in (("name", context.name), ("controlPlane", context.control_plane)):
            if not value:
                return f"contexts[{i}].{member} must not be empty"
        if context.auth_type not in ("", *AUTH_TYPES):
            return f"contexts[{i}].credentials.api.type must be one of {', '.join(AUTH_TYPES)}"
    return ""


def url_problem(url: str) -> str:
    """What is wrong with the URL of an API server; ``""`` if nothing is."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        absolute = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        absolute = False
    if absolute and not any(c.isspace() or not c.isprintable() for c in url):
        return ""
    return f'must be an absolute URL like http://localhost:5681, but is "{url}"'
