"""The certificate of the admission server: two files in a folder, looked at with each handshake."""

from __future__ import annotations

import structlog

from kuma_core.sdk.programs import LiveCertificate

_log = structlog.get_logger("admission")


def certificate(folder: str) -> LiveCertificate:
    """The one in ``tls.crt`` and ``tls.key`` of a folder; a pair that cannot be used is told in the log."""
    return LiveCertificate(folder, _told)


def _told(folder: str, problem: str) -> None:
    _log.warning("a certificate cannot be used", folder=folder, problem=problem)
