"""Whether connections may come in, as ``explain`` says it: the same words as the service map."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

MTLS = {"enabled": True, "ca": {"builtin": {}}}


def permission(name: str, source: str, destination: str) -> dict[str, object]:
    ends = {
        "sources": [{"match": {"service": source}}],
        "destinations": [{"match": {"service": destination}}],
    }
    return {"type": "TrafficPermission", "mesh": "default", "name": name, **ends}


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """Two services of a dataplane, and permissions for one of them, for both, and for none."""
    with running_platform([kuma_store_memory, kuma_ca_builtin, kuma_policy_traffic]) as found:
        called = dataplane(
            "ledger-1",
            inbound("127.0.0.1:9001:1", "ledger"),
            inbound("127.0.0.1:9002:1", "ledger-admin"),
        )
        caller = dataplane(
            "web-1", inbound("127.0.0.1:8001:1", "web"), outbounds=[outbound(":7100", "ledger")]
        )
        found.apply({"type": "Mesh", "name": "default", "mtls": MTLS}, called, caller)
        found.apply(permission("half", "web", "ledger"), permission("all", "api", "*"))
        yield found


@pytest.mark.parametrize(
    ("source", "access", "reason"),
    [
        ("web-1", "partly", 'TrafficPermission "half" lets them in at 1 of 2 inbounds'),
        ("service:api", "allowed", 'TrafficPermission "all" lets them in'),
        (
            "service:mailer",
            "denied",
            'the mesh has mTLS on, and no policy lets "service:mailer" in at "dataplane:ledger-1"',
        ),
    ],
)
def test_who_may_come_in(cp: RunningPlatform, source: str, access: str, reason: str) -> None:
    found = cp.get(f"/meshes/default/explain?source={source}&destination=ledger-1").body
    assert (found["access"], found["reason"]) == (access, reason)


def test_without_mtls_nobody_asks(cp: RunningPlatform) -> None:
    cp.apply({"type": "Mesh", "name": "open"})
    found = cp.get("/meshes/open/explain?source=web&destination=ledger").body
    assert found["access"] == "plaintext"


def test_a_proxy_alone_has_no_verdict(cp: RunningPlatform) -> None:
    assert "access" not in cp.get("/meshes/default/explain?source=web-1").body


def test_the_map_says_the_same(cp: RunningPlatform) -> None:
    cp.apply(
        dataplane("probe-1", inbound("127.0.0.1:8009:1", "probe"), outbounds=[outbound(":7100", "ledger")])
    )

    def accesses() -> dict[str, str]:
        edges = cp.get("/meshes/default/service-map").body["edges"]
        return {edge["source"]: edge["access"] for edge in edges}

    eventually(lambda: "probe" in accesses())
    for source, access in accesses().items():
        found = cp.get(f"/meshes/default/explain?source=service:{source}&destination=service:ledger").body
        assert found["access"] == access
