"""The spec of a Mesh."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator

from kuma_core.errors import Severity, Violation
from kuma_core.specs.base import Spec
from kuma_core.specs.metrics import Metrics, metrics_problems, metrics_with_defaults

MESH = "Mesh"
"""The kind."""

BUILTIN_CA = "builtin"
ENABLED = "enabled"

WITHOUT_CONTENT = (BUILTIN_CA, "provided")
"""Members of ``mtls.ca`` that are empty objects. What others hold is their plugin's affair."""


def _null_selects(raw: Any) -> Any:
    """YAML writes an empty choice as ``provided:``, which is null; it selects nevertheless."""
    if isinstance(raw, Mapping):
        return {key: _content(key, value) for key, value in raw.items()}
    return raw


def _content(name: str, value: Any) -> Any:
    drop = name in WITHOUT_CONTENT and isinstance(value, Mapping)
    return {} if value is None or drop else value


CaChoice = Annotated[
    Mapping[str, Mapping[str, Any]], BeforeValidator(_null_selects), AfterValidator(MappingProxyType)
]
"""One member, its name the kind of authority. Members that nobody knows are kept, to be refused later."""


class Mtls(Spec):
    """Mutual TLS between the proxies of the mesh, and who signs their certificates."""

    ca: CaChoice | None = None
    enabled: bool = False

    @classmethod
    def unknown_fields(cls, raw: Mapping[str, Any], path: str) -> Iterator[str]:
        """Also what was dropped from the members that have no content."""
        yield from super().unknown_fields(raw, path)
        ca = _mapping(raw.get("ca"))
        for name in WITHOUT_CONTENT:
            yield from (f"{path}ca.{name}.{key}" for key in _mapping(ca.get(name)))


class Zipkin(Spec):
    """Stored, without effect in this generation of the API."""

    address: str = ""


class Tracing(Spec):
    """A choice of one tracing backend."""

    zipkin: Zipkin | None = None


class FileBackend(Spec):
    """Access logs into a file of the proxy's machine."""

    path: str = ""


class TcpBackend(Spec):
    """Access logs to a TCP server at ``HOST:PORT``."""

    address: str = ""


class LoggingBackend(Spec):
    """A named place for access logs: at most one of ``file`` and ``tcp``."""

    name: str = ""
    format: str = ""
    file: FileBackend | None = None
    tcp: TcpBackend | None = None

    def problems(self, path: str, earlier: set[str]) -> Iterator[Violation]:
        """What is wrong with this backend; ``earlier`` holds the names before it."""
        if not self.name:
            yield Violation(f"{path}.name", "cannot be empty")
        if self.file and self.tcp:
            yield Violation(path, "only one of file and tcp can be set")
        if self.file and not self.file.path:
            yield Violation(f"{path}.file.path", "cannot be empty")
        elif self.file and not self.file.path.startswith("/"):
            yield Violation(f"{path}.file.path", _RELATIVE, Severity.WARNING)
        elif self.file and (problem := _never_a_file(self.file.path)):
            yield Violation(f"{path}.file.path", problem, Severity.WARNING)
        if self.tcp and not self.tcp.address:
            yield Violation(f"{path}.tcp.address", "cannot be empty")
        elif self.tcp and not _is_host_port(self.tcp.address):
            yield Violation(f"{path}.tcp.address", "has to be in format of HOST:PORT")
        elif self.tcp and not _is_port(self.tcp.address.rpartition(":")[2]):
            yield Violation(f"{path}.tcp.address", "its port has to be in range of [1, 65535]")
        if self.name and self.name in earlier:
            yield Violation(f"{path}.name", f'"{self.name}" name is already used for another backend')


_RELATIVE = (
    "is no absolute path: every kuma-dp begins it in the folder that it was started in, and neither ~ nor ${HOME} is "
    "replaced; begin it with /"
)


class Logging(Spec):
    """Where access logs may go, and where they go when a policy does not say."""

    default_backend: str = ""
    backends: tuple[LoggingBackend, ...] = ()


class MeshSpec(Spec):
    """A mesh: an isolated set of proxies."""

    mtls: Mtls | None = None
    tracing: Tracing | None = None
    logging: Logging | None = None
    metrics: Metrics | None = None

    @classmethod
    def misread(cls, raw: Mapping[str, Any]) -> Iterator[Violation]:
        """Fields of ``mtls`` that nobody knows, unless the document says ``enabled`` itself.

        Later formats, and slips of the pen, say by them that mutual TLS is on; without them it would be off. So it is
        where ``mtls`` itself is misspelt.
        """
        if raw.get("mtls") is None:
            meant = (key for key, value in raw.items() if value is not None and _is_like_mtls(key))
            yield from (Violation(key, _NOT_MTLS) for key in meant)
        said = [key for key, value in _mapping(raw.get("mtls")).items() if value is not None]
        if ENABLED not in said:
            unknown = (key for key in said if key not in Mtls.model_fields)
            yield from (Violation(f"mtls.{key}", _unknown_in_mtls(key)) for key in unknown)

    def with_defaults(self) -> Self:
        """The builtin authority is selected where none is, on every write; so for metrics."""
        update: dict[str, Any] = {}
        mtls = self.mtls or Mtls()
        if not mtls.ca:
            update["mtls"] = mtls.model_copy(update={"ca": _BUILTIN})
        if self.metrics:
            update["metrics"] = metrics_with_defaults(self.metrics)
        return self.model_copy(update=update) if update else self

    def violations(self) -> Iterator[Violation]:
        """Rules of the kernel; which authorities there are is known to ``builtin.mesh_rules``."""
        yield from self._authority_problems()
        yield from self._logging_problems()
        yield from metrics_problems(self.metrics)

    def authority(self) -> str:
        """The name of the selected certificate authority; ``""`` if there is none."""
        return next(iter(self.mtls.ca or ()), "") if self.mtls else ""

    def is_encrypted(self) -> bool:
        """Whether mutual TLS is on."""
        return bool(self.mtls and self.mtls.enabled)

    def _authority_problems(self) -> Iterator[Violation]:
        chosen = list(self.mtls.ca or ()) if self.mtls else []
        if len(chosen) > 1:
            yield Violation("mtls.ca", f"only one authority can be set, not {' and '.join(sorted(chosen))}")
        if self.is_encrypted() and not chosen:
            yield Violation("mtls.ca", "has to be set when mTLS is enabled")

    def _logging_problems(self) -> Iterator[Violation]:
        logging = self.logging or Logging()
        names: set[str] = set()
        for index, backend in enumerate(logging.backends):
            yield from backend.problems(f"logging.backends[{index}]", names)
            names.add(backend.name)
        if logging.default_backend and logging.default_backend not in names:
            yield Violation("logging.defaultBackend", "has to be set to one of the logging backend in mesh")


_BUILTIN: Mapping[str, Mapping[str, Any]] = MappingProxyType({BUILTIN_CA: MappingProxyType({})})


_NOT_MTLS = (
    'unknown field (did you mean "mtls"?); as it says nothing here, mTLS would be off: '
    'write "mtls", or leave it out'
)


def _is_like_mtls(key: str) -> bool:
    bare = key.lower().replace("_", "").replace("-", "")
    known = key in MeshSpec.model_fields
    return not known and bool(difflib.get_close_matches(bare[:20], ["mtls", "mutualtls"], cutoff=0.75))


def _unknown_in_mtls(key: str) -> str:
    meant = f' (did you mean "{ENABLED}"?)' if difflib.get_close_matches(key, [ENABLED]) else ""
    return (
        f"unknown field{meant}; as it says nothing here, mTLS would be off: "
        f'write "{ENABLED}: true" or "{ENABLED}: false", too'
    )


def _mapping(raw: Any) -> Mapping[str, Any]:
    """A value of a document if it is an object, else an empty one."""
    return raw if isinstance(raw, Mapping) else {}


def _is_host_port(text: str) -> bool:
    """One colon, unless the host is bracketed; the port need not be a number."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return False
    return bool(host and port) and not set("[]") & set(host + port)


def _is_port(text: str) -> bool:
    """A number that a port may have, or the name of a service."""
    return not (text.isascii() and text.isdigit()) or (len(text) <= 5 and 1 <= int(text) <= 65535)


def _never_a_file(path: str) -> str:
    """Why nobody can write a file of this name, on whatever machine."""
    if path.endswith("/"):
        return "names a folder: no proxy can write a file there; name a file in it"
    if len(path.encode(errors="replace")) > LONGEST_PATH:
        return f"is longer than the {LONGEST_PATH} bytes that a path may have: no proxy can write there"
    return ""


LONGEST_PATH = 4095
