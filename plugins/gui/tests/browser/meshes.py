"""Meshes that the tests of the pages look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kuma_core.testing.builders import dataplane, inbound, outbound

Document = dict[str, Any]

SLACK = 10
"""A machine that others use, too, may be so many times slower than the one that the promises are for."""


def in_mesh(mesh: str, *documents: Document) -> Iterator[Document]:
    """Documents as they are in another mesh than the builders write."""
    for document in documents:
        yield {**document, "mesh": mesh}


def policy(kind: str, name: str, source: str = "*", destination: str = "*", **more: object) -> Document:
    """A policy with one selector at each end."""
    ends = {
        "sources": [{"match": {"service": source}}],
        "destinations": [{"match": {"service": destination}}],
    }
    return {"type": kind, "name": name, "mesh": "default", **ends, **more}


def encrypted(name: str) -> Document:
    """A mesh with mTLS."""
    return {"type": "Mesh", "name": name, "mtls": {"enabled": True, "ca": {"builtin": {}}}}


WEB = dataplane("web-1", inbound("127.0.0.1:8000:1", "web"), outbounds=[outbound(":7100", "ledger")])
LEDGER = [
    dataplane(f"ledger-{n}", inbound(f"127.0.0.{n + 1}:9000:1", "ledger", version=str(n))) for n in (1, 2)
]


def shop(name: str) -> list[Document]:
    """A mesh with mTLS, a split, a service that nobody offers, and a log; ``SHOP_PROXIES`` are its dataplanes."""
    caller = dataplane(
        "web-1",
        inbound("127.0.0.1:8000:1", "web", zone="east"),
        outbounds=[outbound(":7101", "ledger"), outbound(":7102", "mailer")],
    )
    shares = [
        {"weight": weight, "destination": {"service": "ledger", "version": version}}
        for weight, version in ((90, "1"), (10, "2"))
    ]
    documents = [
        caller,
        *LEDGER,
        policy("TrafficPermission", "to-ledger", "*", "ledger"),
        policy("TrafficLog", "everything"),
        policy("TrafficRoute", "canary", "web", "ledger", conf=shares),
    ]
    return [encrypted(name), *in_mesh(name, *documents)]


SHOP_PROXIES = ("web-1", "ledger-1", "ledger-2")


def large(services: int, calls: int) -> list[Document]:
    """A mesh with so many services, one dataplane each, that call each other without any order."""
    pairs = {(n % services, (n * 37 + n // services * 11 + 1) % services) for n in range(calls * 2)}
    chosen = sorted(pair for pair in pairs if pair[0] != pair[1])[: calls * 2 : 2]
    called: dict[int, list[Document]] = {n: [] for n in range(services)}
    for source, target in chosen:
        called[source].append(outbound(f":{10000 + len(called[source])}", f"service-{target:03}"))
    return [
        dataplane(
            f"proxy-{n:03}",
            inbound(f"127.0.1.{n % 250 + 1}:9000:1", f"service-{n:03}", zone="east" if n % 2 else "west"),
            outbounds=called[n],
        )
        for n in range(services)
    ]
