"""A thousand random meshes, each given to a live Envoy over ADS: none is refused."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import ExitStack
from functools import cache

import grpc
import pytest

import kuma_policy_traffic
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.policies import snapshot_of
from kuma_core.testing.ports import free_port
from kuma_core.xds.bootstrap import BootstrapParams, ads_cluster, bootstrap_yaml
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.server.ads import SERVER_OPTIONS, AdsService
from kuma_core.xds.server.hub import Hub
from kuma_core.xds.server.stream import Acknowledgement
from kuma_core.xds.snapshot import Snapshot

from .support import BIN, start

MESHES = 1000
SERVICES = ("web", "ledger", "mailer", "search")
VERSIONS = ("1", "2", "3")
RAW = (
    "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: extra\nconnect_timeout: 5s\ntype: STATIC\n",
    "'@type': type.googleapis.com/envoy.api.v2.Cluster\nname: old\nconnectTimeout: 1s\ntype: STATIC\n"
    "hosts: [{socketAddress: {address: 127.0.0.1, portValue: 8443}}]\n",
    "{'@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration, name: routes}",
)
FORMATS = ("", "%START_TIME% %KUMA_SOURCE_SERVICE%\n", "100% %NOT_AN_OPERATOR% %BYTES_SENT%\n", "%%\n")


@cache
def free_ports() -> list[int]:
    """Where nobody listens, neither other tests (``kuma_core.testing.ports``) nor the system takes ports."""
    return [port for port in (*range(1025, 10_000), *range(61_000, 65_536)) if _is_free(port)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


class Dice:
    """Random pieces of a mesh: addresses in 127/8, distinct free ports above 1024."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._ports = self.random.sample(free_ports(), 60)

    def ip(self) -> str:
        return f"127.{self.random.randrange(1, 255)}.{self.random.randrange(256)}.{self.random.randrange(1, 255)}"

    def port(self) -> int:
        return self._ports.pop()

    def tags(self, service: str) -> dict[str, str]:
        tags = {"service": service}
        if self.random.random() < 0.7:
            tags["version"] = self.random.choice(VERSIONS)
        return tags

    def some(self, choices, most: int) -> list:
        return [self.random.choice(choices) for _ in range(self.random.randrange(most + 1))]

    def selector(self) -> dict:
        return {"match": {"service": self.random.choice([*SERVICES, "*"])}}


def dataplane(dice: Dice, name: str, services: list[str]) -> dict:
    inbounds = [
        {"interface": f"{dice.ip()}:{dice.port()}:{dice.port()}", "tags": dice.tags(service)}
        for service in services
    ]
    outbounds = [
        {"interface": f"{dice.ip()}:{dice.port()}", "service": service} for service in dice.some(SERVICES, 4)
    ]
    networking: dict = {"outbound": outbounds}
    if inbounds:
        networking["inbound"] = inbounds
    else:
        networking["gateway"] = {"tags": dice.tags("edge")}
    return {"type": "Dataplane", "name": name, "mesh": "default", "networking": networking}


def policies(dice: Dice) -> list[dict]:
    found: list[dict] = [{"type": "Mesh", "name": "default", "logging": logging(dice)}]
    for number in range(dice.random.randrange(4)):
        found.append(connection(dice, "TrafficRoute", f"r{number}", conf=shares(dice)))
    if dice.random.random() < 0.5:
        found.append(connection(dice, "TrafficLog", "log", conf={"backend": "file"}))
    if dice.random.random() < 0.5:
        found.append(connection(dice, "HealthCheck", "check", conf=checks(dice)))
    if dice.random.random() < 0.3:
        raw = [{"name": "r", "version": "v", "resource": text} for text in dice.some(RAW, 2)]
        imports = ["default-proxy"] if dice.random.random() < 0.8 else []
        conf = {"imports": imports, "resources": raw}
        found.append({"type": "ProxyTemplate", "name": "t", "mesh": "default", "selectors": [], "conf": conf})
    return found


def connection(dice: Dice, kind: str, name: str, **conf) -> dict:
    ends = {"sources": [dice.selector()], "destinations": [dice.selector()]}
    return {"type": kind, "name": name, "mesh": "default", **ends, **conf}


def logging(dice: Dice) -> dict:
    backend = {"name": "file", "format": dice.random.choice(FORMATS), "file": {"path": "/dev/null"}}
    return {"backends": [backend]}


def shares(dice: Dice) -> list[dict]:
    count = dice.random.randrange(1, 4)
    return [
        {
            "weight": dice.random.choice([0, 1, 30, 100]),
            "destination": dice.tags(dice.random.choice(SERVICES)),
        }
        for _ in range(count)
    ]


def checks(dice: Dice) -> dict:
    active = {"interval": "10s", "timeout": "500ms", "unhealthyThreshold": 3, "healthyThreshold": 1}
    passive = {"unhealthyThreshold": 3, "penaltyInterval": "1m30s"}
    return dice.random.choice(
        [
            {"activeChecks": active},
            {"passiveChecks": passive},
            {"activeChecks": active, "passiveChecks": passive},
        ]
    )


def random_snapshot(catalog, seed: int) -> Snapshot:
    dice = Dice(seed)
    first = dataplane(dice, "proxy", dice.some(SERVICES, 2))
    others = [dataplane(dice, f"other-{n}", [service]) for n, service in enumerate(dice.some(SERVICES, 5))]
    return snapshot_of(catalog, [first, *others], policies(dice))


class Recorder:
    """Remembers what Envoy refused."""

    def __init__(self, refused: list[str]) -> None:
        self._refused = refused

    def sent(self, type_url: str) -> None: ...

    def answered(self, type_url: str, answer: Acknowledgement) -> None:
        if answer.error is not None:
            self._refused.append(f"{type_url}: {answer.error}")

    def up_to_date(self, type_url: str, version: str) -> None: ...

    def known(self) -> None: ...

    def close(self, reason: str = "") -> None: ...


class Audience:
    def __init__(self) -> None:
        self.arrived = asyncio.Event()

    def opened(self, proxy: Proxy) -> None:
        self.arrived.set()

    def closed(self, proxy: Proxy) -> None: ...


async def give_all(catalog, folder, stack: ExitStack, variant: str, meshes: int) -> list[str]:
    """Give every mesh to one Envoy, one after the other; returns what it refused."""
    refused: list[str] = []
    audience = Audience()
    hub: Hub[Proxy] = Hub(audience)
    server, port = grpc.aio.server(options=SERVER_OPTIONS), free_port()
    service = AdsService(hub, lambda node: Proxy("default", "proxy"), lambda key, address: Recorder(refused))
    server.add_generic_rpc_handlers([service.handler()])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        start_envoy(folder, stack, variant, port)
        await asyncio.wait_for(audience.arrived.wait(), 20)
        for seed in range(meshes):
            snapshot = random_snapshot(catalog, seed)
            hub.publish({Proxy("default", "proxy"): snapshot}, {})
            (session,) = hub.sessions()
            await settled(session, f"mesh {seed}", refused)
    finally:
        await server.stop(0)
    return refused


async def settled(session, what: str, refused: list[str]) -> None:
    for _ in range(4000):
        stream = session.stream
        if refused or all(stream.settled(url) for url in (CLUSTER, ENDPOINTS, LISTENER)):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{what} is not acknowledged after 20 s")


def start_envoy(folder, stack: ExitStack, variant: str, port: int) -> None:
    api = {"delta": "DELTA_GRPC", "sotw": "GRPC"}[variant]
    params = BootstrapParams((("127.0.0.1", port),), api, "1s", "127.0.0.1", free_port(), "/dev/null")
    spec, _ = parse_spec(DataplaneSpec, {"networking": {"gateway": {"tags": {"service": "proxy"}}}})
    file = folder / "bootstrap.yaml"
    fragments = (ads_cluster(params),)
    file.write_text(bootstrap_yaml(Proxy("default", "proxy"), spec, params, 0, "", "", fragments=fragments))
    command = [
        str(BIN / "envoy"),
        "-c",
        str(file),
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "--drain-time-s",
        "1",
    ]
    start(command, folder / "envoy.log", stack)


@pytest.mark.parametrize(("variant", "meshes"), [("delta", MESHES), ("sotw", 100)])
def test_random_meshes_are_accepted(variant, meshes, tmp_path):
    catalog = make_catalog([kuma_policy_traffic])
    with ExitStack() as stack:
        refused = asyncio.run(give_all(catalog, tmp_path, stack, variant, meshes))
    assert refused == []
