"""What a TrafficLog does to the listener of an outbound: one record for every connection (data plane, 7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kuma_core.sdk import Match, Subject
from kuma_policy_traffic.traffic_log.formats import DEFAULT_FORMAT, render

TCP_PROXY = "envoy.filters.network.tcp_proxy"
FILE_LOG = "envoy.access_loggers.file"
LOG_PIPE = "accessLogPipe"
RECORD, FIELD = "\x1e", "\x1f"
"""A record in the pipe is ``RECORD host:port FIELD text`` (architecture, 11)."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FileLog:
    """A file that Envoy writes to, and the format of its lines."""

    path: str
    format: str


def resolve(matches: tuple[Match, ...], subject: Subject) -> FileLog | None:
    """The backend that the policy names, or the mesh's default; none of that name means no log."""
    (match,) = matches
    logging = subject.mesh.logging
    wanted = (match.spec.conf.backend if match.spec.conf else "") or (
        logging.default_backend if logging else ""
    )
    found = [item for item in (logging.backends if logging else ()) if item.name == wanted and wanted]
    return _log(found[0], subject) if found else None


def _log(backend: Any, subject: Subject) -> FileLog | None:
    text = render(backend.format or DEFAULT_FORMAT, _values(subject))
    if backend.file:
        return FileLog(backend.file.path, text)
    pipe = subject.metadata.get(LOG_PIPE)
    if backend.tcp and pipe:
        address = backend.tcp.address.replace("%", "%%")
        return FileLog(pipe, f"{RECORD}{address}{FIELD}{_without_marks(text)}")
    return None  # a backend without a place, or a proxy that has no pipe for logs over TCP


def _without_marks(text: str) -> str:
    """What would begin another record in the pipe has no place in a text."""
    return text.replace(RECORD, "").replace(FIELD, "")


def _values(subject: Subject) -> dict[str, str]:
    services = subject.dataplane.services()
    source = services[0] if services else UNKNOWN
    return {
        "KUMA_SOURCE_SERVICE": source,
        "KUMA_DESTINATION_SERVICE": subject.service,
        "KUMA_SOURCE_ADDRESS": f"{_source_ip(subject, source)}:0",
    }


def _source_ip(subject: Subject, service: str) -> str:
    """The IP of the first inbound of the source's service; empty for a gateway."""
    inbounds = subject.dataplane.networking.inbound
    return next((item.address.ip for item in inbounds if item.tags.get("service") == service), "")


def apply(draft: Any, conf: FileLog) -> None:
    """Have the TCP proxy of the listener write the log."""
    from kuma_core.sdk.envoy import access_log

    draft.filter(TCP_PROXY).access_log = [access_log(FILE_LOG, conf.path, conf.format)]
