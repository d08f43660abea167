"""Control planes with the default setting, and what a caller's Envoy has of a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment

import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import Fleet, fleet
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import ENDPOINTS
from kuma_core.xds.proxy import TELLS_SERVING

SERVING = {"KUMA_XDS_SERVER_ENDPOINTS": "serving"}
CALLER = dataplane("caller", gateway={"service": "caller"}, outbounds=[outbound(":9000", "web")])
TELLS = {TELLS_SERVING: "true"}


def web(number: int, mesh: str = "default") -> dict[str, Any]:
    """An instance of the service, at an address of its own."""
    return dataplane(f"web-{number}", inbound(f"10.0.0.{number}:80:8080", "web"), mesh=mesh)


@contextmanager
def control_plane(
    *plugins: Any, settings: Mapping[str, str] = SERVING
) -> Iterator[tuple[RunningPlatform, Fleet]]:
    """A control plane, on a store of its own unless a plugin brings one, and Envoys for it."""
    found = list(plugins) or [kuma_store_memory]
    with running_platform(found, settings) as cp, fleet(cp) as envoys:
        yield cp, envoys


def envoy(name: str, tells: bool = False) -> DeltaClient:
    """An Envoy; with ``tells`` somebody beside it says when it serves."""
    return DeltaClient(f"default.{name}", metadata=TELLS if tells else {})


def endpoints(client: DeltaClient) -> list[str]:
    """The addresses that a client runs with, of all services."""
    found = [ClusterLoadAssignment.parse(item) for item in client.resources[ENDPOINTS].values()]
    return sorted(
        place.endpoint.address.socket_address.address
        for assignment in found
        for locality in assignment.endpoints
        for place in locality.lb_endpoints
    )


@contextmanager
def silent(client: DeltaClient) -> Iterator[None]:
    """In the block an Envoy reads what comes, and never answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "take", lambda data: [])
        yield


def tell(cp: RunningPlatform, name: str, serving: bool | None, token: str | None = None) -> JsonAnswer:
    """Say of an instance whether it serves, as its kuma-dp does; ``None`` asks alone."""
    shown = cp.token(name) if token is None else token
    body = {"mesh": "default", "name": name, "dataplaneToken": shown}
    return cp.request(
        "POST", "/serving", body if serving is None else {**body, "serving": serving}, cp.bootstrap
    )
