"""How long pushes in a quiet mesh take while another mesh keeps the control plane busy.

    python -m tests.bench.fair [--loads template,mesh,large] [--seconds 15] [--proxies 50] [--dataplanes 5000]

Three loads: changes in a mesh whose proxies all have a ProxyTemplate of 540 kB, dry runs of a Mesh by four clients,
and a dry run over very many dataplanes. Measured from the request of a ``PUT`` until the last of the quiet mesh's
clients wrote its ACK.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from kuma_core.testing.builders import dataplane, inbound, outbound

from .control_plane import ControlPlane, Tls, allow_many_connections, line, row
from .push import Client, connect, disconnect

QUIET, BUSY = "quiet", "default"
QUIET_CLIENTS = 5
TEMPLATE_BYTES = 540_000
PLUGINS = "store_memory,policy_traffic,ca_builtin"


def web(mesh: str, name: str) -> dict[str, Any]:
    return dataplane(
        name, inbound("127.0.0.1:8000:8001", "web"), mesh=mesh, outbounds=[outbound(":7100", "echo")]
    )


def echo(mesh: str, number: int) -> dict[str, Any]:
    return dataplane(f"echo-{number}", inbound(f"127.0.0.1:{20000 + number}:9000", "echo"), mesh=mesh)


def raw_cluster(number: int, endpoints: int = 50) -> str:
    """A cluster of Envoy as an operator writes it, some 5 kB of JSON."""
    addresses = [
        {"address": f"10.0.{number % 250}.{k % 250}", "portValue": 8000 + k} for k in range(endpoints)
    ]
    return json.dumps(
        {
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": f"raw-{number}",
            "type": "STATIC",
            "connectTimeout": "5s",
            "loadAssignment": {
                "clusterName": f"raw-{number}",
                "endpoints": [
                    {"lbEndpoints": [{"endpoint": {"address": {"socketAddress": a}}} for a in addresses]}
                ],
            },
        }
    )


def template(mesh: str, name: str = "large", size: int = TEMPLATE_BYTES) -> dict[str, Any]:
    """A ProxyTemplate for every proxy of the service web, with about so many bytes of raw resources."""
    texts: list[str] = []
    while sum(map(len, texts)) < size:
        texts.append(raw_cluster(len(texts)))
    resources = [{"name": f"r{i}", "version": "1", "resource": text} for i, text in enumerate(texts)]
    conf = {"imports": ["default-proxy"], "resources": resources}
    selectors = [{"match": {"service": "web"}}]
    return {"type": "ProxyTemplate", "mesh": mesh, "name": name, "selectors": selectors, "conf": conf}


@dataclass
class Quiet:
    """The mesh that nothing happens in but its own changes, and the clients that follow them."""

    cp: ControlPlane
    clients: list[Client]
    took: list[float] = field(default_factory=list)
    number: int = 0

    async def push(self, seconds: float) -> None:
        """Change an endpoint again and again, and note how long each change took to be acknowledged by all."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self.number += 1
            targets = [client.acknowledged + 1 for client in self.clients]
            document = echo(QUIET, self.number % 100)
            document["networking"]["inbound"][0]["tags"]["round"] = str(self.number)
            began = time.perf_counter()
            await asyncio.to_thread(self.cp.put, f"meshes/{QUIET}/dataplanes", document)
            while any(c.acknowledged < t for c, t in zip(self.clients, targets, strict=True)):
                await asyncio.sleep(0.001)
                assert time.perf_counter() - began < 90, "a push to the quiet mesh took more than 90 s"
            self.took.append(time.perf_counter() - began)
            await asyncio.sleep(0.1)

    def take(self) -> list[float]:
        took, self.took = self.took, []
        return took


def make_meshes(cp: ControlPlane) -> None:
    for mesh in (QUIET, BUSY):
        cp.put("meshes", {"type": "Mesh", "name": mesh})
        cp.put(f"meshes/{mesh}/dataplanes", echo(mesh, 0))


async def clients_of(cp: ControlPlane, tls: Tls, mesh: str, names: Sequence[str]) -> tuple[list[Client], Any]:
    for name in names:
        cp.put(f"meshes/{mesh}/dataplanes", web(mesh, name))
    cheap = mesh == BUSY
    clients = [Client(name, cp.token(name, mesh), cheap, mesh) for name in names]
    return clients, await connect(
        clients, tls, cp.xds, lambda client: client.acknowledged >= 1 + 2 * (not cheap)
    )


def mtls(number: int) -> dict[str, Any]:
    return {"type": "Mesh", "name": BUSY, "mtls": {"enabled": bool(number % 2), "ca": {"builtin": {}}}}


async def changing(cp: ControlPlane, seconds: float) -> list[Any]:
    """Change an endpoint of every proxy that has the large template, once a second."""
    until = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < until:
        number += 1
        await asyncio.to_thread(cp.put, f"meshes/{BUSY}/dataplanes", echo(BUSY, number))
        await asyncio.sleep(1)
    return []


async def trying(cp: ControlPlane, clients: int, seconds: float) -> list[tuple[int, float, Any]]:
    """Dry runs of a Mesh by so many clients at once: status, seconds and answer of each."""
    until = time.perf_counter() + seconds

    async def one() -> Iterator[tuple[int, float, Any]]:
        found = []
        while time.perf_counter() < until or not found:
            began = time.perf_counter()
            status, answer = await asyncio.to_thread(cp.try_out, f"meshes/{BUSY}", mtls(1))
            found.append((status, time.perf_counter() - began, answer))
        return iter(found)

    return [item for found in await asyncio.gather(*(one() for _ in range(clients))) for item in found]


async def measure(quiet: Quiet, seconds: float, load: Callable[[], Awaitable[list[Any]]] | None) -> list[Any]:
    """Push in the quiet mesh while the load lasts, and at least for so long."""
    if load is None:
        await quiet.push(seconds)
        return []
    loading = asyncio.ensure_future(load())
    while not loading.done():
        await quiet.push(0.5)
    return loading.result()


def p99(took: Sequence[float]) -> float:
    """What all but one of a hundred took at most."""
    ordered = sorted(took)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def tell(name: str, took: Sequence[float], dry_runs: Sequence[tuple[int, float, Any]] = ()) -> None:
    print(row(f"{name}: pushes in the quiet mesh ({len(took)})", took))
    print(line(f"{name}: p99", p99(took) * 1000, "ms"))
    for status in sorted({item[0] for item in dry_runs}):
        seconds = [item[1] for item in dry_runs if item[0] == status]
        print(row(f"{name}: dry runs answered {status} ({len(seconds)})", seconds))
    for _, _, answer in dry_runs[:1]:
        shown = answer if isinstance(answer, str) else {**answer, "proxies": len(answer["proxies"])}
        print(f"{name}: first answer {shown!s:.200}")


async def main(loads: Sequence[str], seconds: float, proxies: int, dataplanes: int) -> None:
    allow_many_connections()
    with ExitStack() as stack:
        tls = Tls(stack)
        cp = ControlPlane(stack, tls, PLUGINS)
        make_meshes(cp)
        quiet_clients, quiet_tasks = await clients_of(
            cp, tls, QUIET, [f"q-{n}" for n in range(QUIET_CLIENTS)]
        )
        quiet = Quiet(cp, quiet_clients)
        _, busy_tasks = await clients_of(cp, tls, BUSY, [f"web-{n}" for n in range(proxies)])
        await measure(quiet, min(seconds, 5), None)
        tell("nothing else", quiet.take())
        if "template" in loads:
            cp.put(f"meshes/{BUSY}/proxytemplates", template(BUSY))
            await measure(quiet, seconds, lambda: changing(cp, seconds))
            tell("template", quiet.take())
            cp.delete(f"meshes/{BUSY}/proxytemplates/large")
        for number in range(1000 if "mesh" in loads else 0):
            cp.put(f"meshes/{BUSY}/dataplanes", web(BUSY, f"idle-{number:04}"))
        if "mesh" in loads:
            found = await measure(quiet, seconds, lambda: trying(cp, 4, seconds))
            tell("mesh", quiet.take(), found)
        if "large" in loads:
            for number in range(dataplanes):
                cp.put(f"meshes/{BUSY}/dataplanes", web(BUSY, f"idle-{number:04}"))
            found = await measure(quiet, 1, lambda: trying(cp, 1, 1))
            tell("large", quiet.take(), found)
        with suppress(asyncio.CancelledError):
            await disconnect([*quiet_tasks, *busy_tasks])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", default="template,mesh,large")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--proxies", type=int, default=50)
    parser.add_argument("--dataplanes", type=int, default=5000)
    given = parser.parse_args()
    asyncio.run(main(given.loads.split(","), given.seconds, given.proxies, given.dataplanes))
