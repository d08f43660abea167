"""How proxies and control planes notice that the other one is gone without a word."""

from __future__ import annotations

from types import MappingProxyType

KEEPALIVE = MappingProxyType(
    {
        "grpc.keepalive_time_ms": 15_000,
        "grpc.keepalive_timeout_ms": 10_000,
        "grpc.http2.ping_timeout_ms": 10_000,
        "grpc.keepalive_permit_without_calls": 1,
    }
)
"""Arguments of gRPC, for both sides: each asks for a sign of life after 15 s of silence, and gives up 10 s later. Of
the two time-outs for a ping's answer the longer one holds, and that of HTTP/2 is a minute unless it is set, too."""
