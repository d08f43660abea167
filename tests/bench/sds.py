"""How fast identities are made and handed out, beside bare ``cryptography`` and a bare gRPC server.

    python -m tests.bench.sds [--clients 1000] [--lifetime 30]

Every client is a proxy with its token and a TLS connection of its own, on which it opens two streams, one for its
identity and one for whom to trust, as Envoy does. All open at once; then the mesh changes its authority with one
``PUT``, which is news to every stream; and in a second run, in which identities live ``--lifetime`` seconds, all of
them are renewed once. Absolute times depend on the machine and on who else uses it; the ratios to the floors, taken
in the same run, are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import grpc

from kuma_ca_builtin.authority import BuiltinCa
from kuma_ca_builtin.root import new_root
from kuma_core.ca.authorities import OpenedAuthorities, OpenedAuthority
from kuma_core.ca.contract import IDENTITY_CERT, MESH_CA
from kuma_core.ca.identity import IdentityIssuer
from kuma_core.resources.secrets import SecretManager
from kuma_core.specs.mesh import MeshSpec
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.ports import free_port
from kuma_core.xds.encoding import tagged
from kuma_core.xds.fields import Fields
from kuma_store_memory.store import MemoryStore

from .bare_leaf import bare_leaves
from .control_plane import ControlPlane, Tls, allow_many_connections, line, row, start
from .floor import SDS

PLUGINS = "store_memory,ca_builtin,ca_provided"
ROUNDS = 3
PATIENCE = 120
"""Seconds after which whoever was not served counts as not served."""


# -- making identities


def issue(count: int) -> Callable[[], float]:
    """The seconds that the kernel takes for so many identities of the builtin authority."""
    provider = BuiltinCa(SecretManager(MemoryStore()))
    provider.ensure("default")
    authorities = OpenedAuthorities({"builtin": OpenedAuthority("builtin", "ca_builtin", provider)})
    issuer, spec = IdentityIssuer(authorities, timedelta(days=90)), MeshSpec().with_defaults()

    def once() -> float:
        began = time.perf_counter()
        for number in range(count):
            issuer.issue("default", spec, [f"web-{number}"])
        return time.perf_counter() - began

    return once


def measure_issuing(count: int) -> float:
    """Print how long identities take; returns the floor's seconds for all of them."""
    kernel, bare = issue(count), bare_leaves(count)
    pairs = [(kernel(), bare()) for _ in range(ROUNDS)]
    took, floor = ([pair[side] for pair in pairs] for side in (0, 1))
    print(f"{count} identities by the builtin authority (P-256 keys, signed with RSA 2048), {ROUNDS} times")
    print(row("key, certificate and their PEM", took))
    print(row("floor: key and signature by bare cryptography", floor))
    print(line("ratio to the floor (medians)", statistics.median(took) / statistics.median(floor)))
    print(line("identities in a second", count / statistics.median(took)))
    return statistics.median(floor)


# -- handing them out


class Proxy:
    """A connection with two streams. ``arrived`` has the time of every response, by resource."""

    def __init__(self, name: str, token: str) -> None:
        self._metadata = (("authorization", token),)
        self._node = tagged(2, tagged(1, f"default.{name}".encode()))
        self.arrived: dict[str, list[float]] = {IDENTITY_CERT: [], MESH_CA: []}
        self.last: dict[str, bytes] = {}

    async def run(self, channel: grpc.aio.Channel) -> None:
        async with channel:
            await asyncio.gather(*(self._follow(channel, resource) for resource in self.arrived))

    async def _follow(self, channel: grpc.aio.Channel, resource: str) -> None:
        call, name = channel.stream_stream(SDS)(metadata=self._metadata), tagged(3, resource.encode())
        await call.write(self._node + name)
        while (data := await call.read()) is not grpc.aio.EOF:
            if data:
                self.arrived[resource].append(time.perf_counter())
                self.last[resource] = data
                found = Fields(data)
                await call.write(tagged(1, found.last(1) or b"") + name + tagged(5, found.last(5) or b""))


class Fleet:
    """Proxies that run until the fleet is closed."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self.proxies = [Proxy(name, token) for name, token in tokens.items()]
        self._tasks: list[asyncio.Task[None]] = []

    def connect(self, tls: Tls, port: int) -> float:
        """Open all streams; returns the moment before."""
        began = time.perf_counter()
        self._tasks = [asyncio.create_task(proxy.run(tls.channel(port))) for proxy in self.proxies]
        return began

    def counts(self, resources: Sequence[str] = (IDENTITY_CERT, MESH_CA)) -> list[int]:
        """How many responses every stream of these resources has got."""
        return [len(proxy.arrived[resource]) for proxy in self.proxies for resource in resources]

    async def served(self, number: int, began: float, resources: Sequence[str]) -> list[float]:
        """Wait until every stream has so many responses; the seconds after ``began``, sorted, of those that have."""
        while min(self.counts(resources)) < number and time.perf_counter() - began < PATIENCE:
            await asyncio.sleep(0.005)
            failed = [task.exception() for task in self._tasks if task.done()]
            assert not failed, f"a stream was ended: {failed[0]}"
        times = [proxy.arrived[resource] for proxy in self.proxies for resource in resources]
        return sorted(found[number - 1] - began for found in times if len(found) >= number)

    async def close(self) -> None:
        """End every stream."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


BOTH = (IDENTITY_CERT, MESH_CA)


def names(count: int) -> list[str]:
    return [f"web-{number}" for number in range(count)]


def prepare(cp: ControlPlane, count: int) -> Fleet:
    """A Dataplane and a token for every proxy, and a second authority for their mesh."""
    cert, key = (pem.decode() for pem in new_root("default"))
    cp.post("/meshes/default/ca/provided/certificates", {"cert": cert, "key": key})
    for name in names(count):
        cp.put("meshes/default/dataplanes", dataplane(name, inbound("127.0.0.1:8080:80", name)))
    return Fleet({name: cp.token(name) for name in names(count)})


async def measure_control_plane(tls: Tls, count: int) -> dict[str, Any]:
    """All streams at once, then one change that concerns all of them."""
    with ExitStack() as stack:
        cp = ControlPlane(stack, tls, PLUGINS)
        fleet = prepare(cp, count)
        cpu = cp.cpu()
        opened = await fleet.served(1, fleet.connect(tls, cp.sds), BOTH)
        cpu_opened = cp.cpu() - cpu
        await asyncio.to_thread(cp.put, "meshes", mesh("default", mtls={"ca": {"provided": {}}}))
        began, cpu = time.perf_counter(), cp.cpu()
        pushed = await fleet.served(2, began, BOTH)
        cpu_pushed = cp.cpu() - cpu
        memory = cp.process.memory_info().rss
        await fleet.close()
    last = fleet.proxies[0].last
    cpus = {"cpu_opened": cpu_opened, "cpu_pushed": cpu_pushed}
    return {"opened": opened, "pushed": pushed, **cpus, "rss": memory, "bytes": last[IDENTITY_CERT]}


async def measure_floor(tls: Tls, count: int, data: bytes) -> dict[str, list[float]]:
    """The same from a server that has one answer ready, and signs nothing."""
    with ExitStack() as stack:
        port = free_port()
        start(stack, [sys.executable, "-m", "tests.bench.floor", str(port), str(tls.chain), str(tls.key)])
        async with tls.channel(port) as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
            await channel.unary_unary("/floor/Answer")(data)
            fleet = Fleet(dict.fromkeys(names(count), "token"))
            opened = await fleet.served(1, fleet.connect(tls, port), BOTH)
            await channel.unary_unary("/floor/Broadcast")(data)
            pushed = await fleet.served(2, time.perf_counter(), BOTH)
            await fleet.close()
    return {"opened": opened, "pushed": pushed}


async def measure_renewals(tls: Tls, count: int, lifetime: int) -> dict[str, Any]:
    """Every identity lives so many seconds, and all are of about one age."""
    with ExitStack() as stack:
        cp = ControlPlane(stack, tls, PLUGINS, {"CA_DEFAULTS_LEAF_LIFETIME": f"{lifetime}s"})
        fleet = prepare(cp, count)
        first = await fleet.served(1, fleet.connect(tls, cp.sds), BOTH)
        assert len(first) == 2 * count
        cpu = cp.cpu()
        await fleet.served(2, time.perf_counter(), [IDENTITY_CERT])
        cpu = cp.cpu() - cpu
        await fleet.close()
    arrived = [proxy.arrived[IDENTITY_CERT][:2] for proxy in fleet.proxies]
    renewed = [times for times in arrived if len(times) == 2]
    ages = sorted(second - first for first, second in renewed)
    return {"ages": ages, "peak": _peak([second for _, second in renewed]), "cpu": cpu}


def _peak(moments: Sequence[float]) -> int:
    """The most that came within one second."""
    return max(sum(1 for other in moments if 0 <= other - moment < 1) for moment in moments)


# -- telling it


def spread(name: str, times: list[float], of: int) -> str:
    """A line with how many were served, and after how long the middle one, all but a hundredth, and the last."""
    middle, most, last = times[len(times) // 2], times[int(len(times) * 0.99)], times[-1]
    numbers = f"{middle:>9.2f}{most:>9.2f}{last:>9.2f}"
    return f"{name:<46}{numbers}  s (median, 99 %, last)   {len(times)} of {of} served"


def tell(title: str, found: dict[str, Any], floor: dict[str, list[float]], what: str, signing: float) -> None:
    """A paragraph on what happened to all streams at once."""
    times, count = found[what], len(floor[what])
    print(f"\n{title}")
    print(spread("control plane", times, count))
    print(spread("floor: as many bytes by bare grpc.aio", floor[what], count))
    print(line("floor: the keys and signatures in them", signing, "s"))
    print(line("ratio of the last to both floors", times[-1] / (floor[what][-1] + signing)))
    print(line("CPU of the control plane", found[f"cpu_{what}"], "s"))


def tell_renewals(found: dict[str, Any], count: int, lifetime: int) -> None:
    ages = found["ages"]
    print(f"\n{count} identities that live {lifetime} s, of about one age, are renewed once")
    print(f"renewed at the age of {ages[0]:.1f} to {ages[-1]:.1f} s: {len(ages)} of {count}")
    print(line("the most in one second", found["peak"]))
    print(line("CPU of the control plane", found["cpu"], "s"))


async def main(count: int, lifetime: int) -> None:
    allow_many_connections()
    signing = measure_issuing(count)
    with ExitStack() as stack:
        tls = Tls(stack)
        found = await measure_control_plane(tls, count)
        floor = await measure_floor(tls, count, found["bytes"])
        renewals = await measure_renewals(tls, count, lifetime)
    opened = (
        f"{count} proxies open {2 * count} SDS streams at once, over {count} TLS connections, with tokens"
    )
    tell(opened, found, floor, "opened", signing)
    tell("one PUT changes the mesh's authority: both secrets of every proxy", found, floor, "pushed", signing)
    print(line("resident memory of the control plane", found["rss"] / 2**20, "MiB"))
    tell_renewals(renewals, count, lifetime)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--lifetime", type=int, default=30)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.clients, arguments.lifetime))
