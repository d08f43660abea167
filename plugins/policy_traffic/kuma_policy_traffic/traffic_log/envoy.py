"""What a TrafficLog does to the listener of an outbound: one record for every connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kuma_core.sdk import Match, Subject, log_pipe
from kuma_policy_traffic.settings import DIRECTORY
from kuma_policy_traffic.traffic_log.formats import DEFAULT_FORMAT, render

TCP_PROXY = "envoy.filters.network.tcp_proxy"
FILE_LOG = "envoy.access_loggers.file"
LOG_PIPE, LOG_FILES = "accessLogPipe", "accessLogFiles"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FileLog:
    """A file or pipe that Envoy writes to, and the format of what it writes."""

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
    pipe = subject.metadata.get(LOG_PIPE)
    if backend.file and not _may_be_written(backend.file.path, subject):
        return None
    if backend.file and pipe and subject.metadata.get(LOG_FILES):
        return FileLog(pipe, log_pipe.for_file(_verbatim(backend.file.path), text))
    if backend.file:  # an older kuma-dp: Envoy writes, and refuses a listener whose file cannot be opened
        return FileLog(backend.file.path, text)
    if backend.tcp and pipe:
        return FileLog(pipe, log_pipe.for_server(_verbatim(backend.tcp.address), text))
    return None  # a backend without a place, or a proxy that has no pipe for logs over TCP


def _may_be_written(path: str, subject: Subject) -> bool:
    """A mesh that was stored before the files were confined logs into none outside."""
    directory = subject.setting(DIRECTORY)
    return not directory or log_pipe.is_below(path, directory)


def _verbatim(text: str) -> str:
    """A text in which Envoy finds no operator of its own."""
    return text.replace("%", "%%")


def _values(subject: Subject) -> dict[str, str]:
    services = subject.dataplane.services()
    source = services[0] if services else UNKNOWN
    return {
        "KUMA_SOURCE_SERVICE": source,
        "KUMA_DESTINATION_SERVICE": subject.service,
        "KUMA_SOURCE_ADDRESS": f"{_source_host(subject, source)}:0",
    }


def _source_host(subject: Subject, service: str) -> str:
    """The IP of the first inbound of the source's service; empty for a gateway."""
    inbounds = subject.dataplane.networking.inbound
    return next((item.address.host for item in inbounds if item.tags.get("service") == service), "")


def apply(draft: Any, conf: FileLog) -> None:
    """Have the TCP proxy of the listener write the log."""
    from kuma_core.sdk.envoy import access_log

    draft.filter(TCP_PROXY).access_log = [access_log(FILE_LOG, conf.path, conf.format)]
