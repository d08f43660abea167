"""Which gRPC status an error has: one table for ADS and SDS."""

from __future__ import annotations

import grpc

from kuma_core.auth.contract import Unauthenticated
from kuma_core.errors import KumaError, NotFound, StoreUnavailable
from kuma_core.xds.server.bounds import TooMany, TooSlow
from kuma_core.xds.server.guard import Stopping
from kuma_core.xds.server.stream import ProtocolError
from kuma_core.xds.server.wire import CompressedRequest, ExcessiveRequest, MalformedRequest

Failure = ProtocolError | MalformedRequest | KumaError
"""What ends a stream. The text of each is for the client."""

FAILURES = (ProtocolError, MalformedRequest, KumaError)

_CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (StoreUnavailable, grpc.StatusCode.UNAVAILABLE),
    (Stopping, grpc.StatusCode.UNAVAILABLE),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (TooMany, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TooSlow, grpc.StatusCode.DEADLINE_EXCEEDED),
    (KumaError, grpc.StatusCode.INTERNAL),  # nothing that another request or credential would mend
    (CompressedRequest, grpc.StatusCode.UNIMPLEMENTED),
    (ExcessiveRequest, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (MalformedRequest, grpc.StatusCode.INVALID_ARGUMENT),
)


def code_of(error: Exception) -> grpc.StatusCode:
    """The status with which a stream ends for this reason."""
    if isinstance(error, ProtocolError):
        return grpc.StatusCode.UNIMPLEMENTED if error.unimplemented else grpc.StatusCode.INVALID_ARGUMENT
    return next(code for kind, code in _CODES if isinstance(error, kind))
