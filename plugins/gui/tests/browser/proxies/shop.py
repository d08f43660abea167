"""A small mesh for pages to show: proxies in each of the four states, policies that apply and some that do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import FakeEnvoy, Fleet, fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import CLUSTER, LISTENER, PREFIX

from ..support import NARROW, WIDE

LOOKS = [pytest.param(NARROW, "dark", id="narrow-dark"), pytest.param(WIDE, "light", id="wide-light")]
"""Each width and each theme once: what is wrong with a width is so in both themes, and the other way round."""
ANY = [{"match": {"service": "*"}}]
BAD_CLUSTER, WORDS = "broken", "Error adding/updating cluster(s) broken: no such thing"
PLANES = [
    dataplane(
        "web-1",
        inbound("127.0.0.1:8000:80", "web", version="2"),
        outbounds=[outbound(":7100", "ledger"), outbound(":7101", "mail")],
    ),
    dataplane("ledger-1", inbound("127.0.0.1:8001:80", "ledger", zone="east")),
    dataplane("ledger-2", inbound("127.0.0.1:8002:80", "ledger", zone="west")),
    dataplane("odd-1", inbound("127.0.0.1:8003:80", "odd")),
]


def policy(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    """A policy of the mesh ``default`` from everything to everything."""
    return {"type": kind, "mesh": "default", "name": name, "sources": ANY, "destinations": ANY, **rest}


def template(service: str, mesh: str, resource: dict[str, Any]) -> dict[str, Any]:
    """The ProxyTemplate ``bad`` of a service, which adds one resource of Envoy."""
    raw = {"name": "r", "version": "v1", "resource": json.dumps(resource)}
    conf = {"imports": ["default-proxy"], "resources": [raw]}
    selectors = [{"match": {"service": service}}]
    return {"type": "ProxyTemplate", "mesh": mesh, "name": "bad", "selectors": selectors, "conf": conf}


def broken_template(service: str) -> dict[str, Any]:
    """One whose cluster the fake Envoys refuse."""
    cluster = {"@type": CLUSTER, "name": BAD_CLUSTER, "type": "STATIC", "connect_timeout": "1s"}
    return template(service, "default", cluster)


def taken_template(service: str, mesh: str, port: int) -> dict[str, Any]:
    """One whose listener a real Envoy refuses, since the port is somebody else's."""
    config = {
        "@type": f"{PREFIX}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "taken",
    }
    filters = [
        {"name": "envoy.filters.network.tcp_proxy", "typed_config": {**config, "cluster": "localhost:1"}}
    ]
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    chains = [{"filters": filters}]
    listener = {"@type": LISTENER, "name": "taken", "address": address, "filter_chains": chains}
    return template(service, mesh, listener)


def state(cp: RunningPlatform, name: str) -> str:
    """The word for a dataplane's proxies."""
    found: str = cp.get(f"/meshes/default/dataplanes+insights/{name}").body["status"]["state"]
    return found


class Shop:
    """The mesh ``default`` with its proxies."""

    def __init__(self, cp: RunningPlatform, envoys: Fleet) -> None:
        self.cp, self._envoys = cp, envoys
        self._open: dict[str, FakeEnvoy] = {}

    def connect(self, name: str) -> None:
        """Have the Envoy of a dataplane come; it refuses the cluster of the broken template."""
        client = DeltaClient(f"default.{name}")
        client.bad = {(CLUSTER, BAD_CLUSTER): WORDS}
        self._open[name] = self._envoys.connect(client)
        eventually(lambda: state(self.cp, name) in ("Online", "Degraded"))

    def leave(self, name: str) -> None:
        """Have it go, as one that is killed does."""
        self._envoys.disconnect(self._open.pop(name))


@contextmanager
def opened(cp: RunningPlatform) -> Iterator[Shop]:
    """``web-1`` online, ``odd-1`` degraded, ``ledger-1`` offline, and ``ledger-2`` never connected."""
    logging = {"defaultBackend": "f", "backends": [{"name": "f", "file": {"path": "/tmp/access.log"}}]}
    cp.apply(
        mesh("default", logging=logging), *PLANES, policy("TrafficLog", "all-calls"), broken_template("odd")
    )
    cp.catch_up()
    with fleet(cp) as envoys:
        shop = Shop(cp, envoys)
        for name in ("web-1", "ledger-1", "odd-1"):
            shop.connect(name)
        shop.leave("ledger-1")
        eventually(lambda: state(cp, "ledger-1") == "Offline")
        eventually(lambda: state(cp, "odd-1") == "Degraded")
        eventually(lambda: cp.get("/meshes/default/services/mail").status == 200)
        yield shop
