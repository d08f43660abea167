"""Two Pods on one cable: network namespaces with a service, an Envoy and the rules of ``kuma-init`` each."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.policies import snapshot_of
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER
from kuma_core.xds.differences import readable

from .. import needs
from ..end_to_end.support import start
from ..namespaces import machine, run

ENVOY, APPLICATION = 5678, 65534
"""The users: of the proxies, which is exempt, and of what calls."""
REDIRECT, SERVED, UNKNOWN, SSH, CLOSED, ADMIN = 15001, 8080, 9999, 22, 7777, 9901
"""Ports: of redirected connections; of the inbound and its service; where a service listens without an inbound; that is
never redirected; where nobody listens; of Envoy's admin API."""

ECHO = """
import select, socket, sys
listeners = [socket.create_server(("", int(p)), family=socket.AF_INET6, dualstack_ipv6=True) for p in sys.argv[2:]]
print("ready", flush=True)
while True:
    for listener in select.select(listeners, [], [])[0]:
        client, peer = listener.accept()
        client.sendall(f"{sys.argv[1]} {peer[0].removeprefix('::ffff:')}".encode())
        client.close()
"""
"""A service on all addresses, which answers each connection with its name and the address that it comes from."""

INIT = "from kuma_core.redirection.kuma_init import main; main()"

CALLS = """
while read -r ip port; do
  answer=$( (exec 3<>/dev/tcp/$ip/$port && timeout 30 cat <&3) 2>/dev/null )
  echo "$ip $port=$answer"
done
"""


@dataclass(frozen=True)
class Addresses:
    """Where a Pod is, and the addresses of its Service and of the other Pod's, by version of IP."""

    own: Mapping[int, str]
    service: Mapping[int, str]


WEB = Addresses({4: "10.213.8.1", 6: "fd00:213::1"}, {4: "10.96.0.1", 6: "fd96::1"})
DB = Addresses({4: "10.213.8.2", 6: "fd00:213::2"}, {4: "10.96.0.2", 6: "fd96::2"})


def written(ip: str) -> str:
    """An address in front of a port."""
    return f"[{ip}]" if ":" in ip else ip


def document(name: str, addresses: Addresses, versions: Sequence[int]) -> dict[str, Any]:
    """A Dataplane as the control plane makes one of a Pod, with addresses of some versions of IP.

    Both Pods know both Services.
    """
    inbounds = [inbound(f"{written(addresses.own[v])}:{SERVED}:{SERVED}", f"{name}-{v}") for v in versions]
    outbounds = [
        outbound(f"{written(ips[v])}:80", f"{service}-{v}")
        for service, ips in (("web", WEB.service), ("db", DB.service))
        for v in versions
    ]
    made = dataplane(name, *inbounds, outbounds=outbounds)
    made["networking"]["transparentProxying"] = {"redirectPort": REDIRECT}
    return made


def configuration(own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What our control plane would send the Envoy of the first, as one that asks nobody for more."""
    snapshot = snapshot_of(make_catalog([]), [own, other], [mesh("default")], {"dataplane.ipv6": "true"})
    kinds = {
        url: {n: readable(x) for n, x in snapshot.resources(url).items()}
        for url in (CLUSTER, ENDPOINTS, LISTENER)
    }
    clusters = [_still(cluster, kinds[ENDPOINTS]) for cluster in kinds[CLUSTER].values()]
    address = {"socketAddress": {"address": "127.0.0.1", "portValue": ADMIN}}
    resources = {"clusters": clusters, "listeners": list(kinds[LISTENER].values())}
    return {"node": {"id": "x", "cluster": "x"}, "admin": {"address": address}, "staticResources": resources}


def _still(cluster: dict[str, Any], endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """A cluster with the endpoints that it would ask for."""
    if cluster.get("type") != "EDS":
        return cluster
    known = {key: value for key, value in cluster.items() if key != "edsClusterConfig"}
    return {**known, "type": "STATIC", "loadAssignment": endpoints[cluster["name"]]}


class Pod:
    """One of the two: its namespace, its service, and its Envoy."""

    def __init__(self, name: str, words: list[str], folder: Path, stack: ExitStack) -> None:
        self.name, self.words, self._folder, self._stack = name, words, folder, stack

    def run(self, *command: str, user: int = 0, text: str = "") -> str:
        """What a command prints; it fails the test if the command fails."""
        words = [*self.words, f"--setuid={user}", f"--setgid={user}", *command]
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, timeout=240, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def init(self, *arguments: str) -> str:
        """Run ``kuma-init`` here."""
        return self.run(sys.executable, "-c", INIT, *arguments)

    def redirect(self, back_end: str, *arguments: str) -> str:
        """Run it as the init container of a Pod does."""
        words = f"-p {REDIRECT} -u {ENVOY} -g {ENVOY} -m REDIRECT -i * -b *".split()
        return self.init(*words, "--back-end", back_end, *arguments)

    def call(self, user: int, *places: tuple[str, int]) -> list[str]:
        """Who answers at each place, as "name peer"; nothing if the connection is refused or ends without a word."""
        lines = "".join(f"{ip} {port}\n" for ip, port in places)
        found = self.run("bash", "-c", CALLS, user=user, text=lines).splitlines()
        return [line.partition("=")[2] for line in found]

    def passed(self) -> int:
        """How many connections its Envoy has let pass so far."""
        lines = [
            "GET /stats?filter=pass_through.upstream_cx_total HTTP/1.1",
            "Host: x",
            "Connection: close",
            "",
            "",
        ]
        request = "\\r\\n".join(lines)
        script = f"exec 3<>/dev/tcp/127.0.0.1/{ADMIN}; printf '{request}' >&3; timeout 30 cat <&3"
        return int(self.run("bash", "-c", script, user=ENVOY).rpartition(": ")[2].split()[0])

    def begin(self, config: dict[str, Any]) -> None:
        """Start the service and the Envoy, which may not read our folders."""
        ports = map(str, (SERVED, UNKNOWN, SSH))
        start([*self.words, sys.executable, "-c", ECHO, self.name, *ports], self._log("service"), self._stack)
        envoy = os.open(str(files("envoy") / "_bin" / "envoy"), os.O_RDONLY)
        self._stack.callback(os.close, envoy)
        flags = ["--disable-hot-restart", "--concurrency", "1", "--config-yaml", json.dumps(config)]
        words = [*self.words, f"--setuid={ENVOY}", f"--setgid={ENVOY}", f"/proc/self/fd/{envoy}", *flags]
        start(words, self._log("envoy"), self._stack, cwd="/", pass_fds=[envoy])

    def await_ready(self) -> None:
        """Wait until both are there."""
        eventually(
            lambda: self.call(ENVOY, ("127.0.0.1", UNKNOWN)) == [f"{self.name} 127.0.0.1"], 60, "the service"
        )
        eventually(
            lambda: self.passed() == 0, 60, f"the Envoy of {self.name}, whose log is {self._log('envoy')}"
        )

    def _log(self, program: str) -> Path:
        return self._folder / f"{self.name}-{program}.log"


@contextmanager
def two_pods(folder: Path, versions: Sequence[int] = (4, 6)) -> Iterator[tuple[Pod, Pod]]:
    """A web and a db with a cable between them, each with the way to everywhere; no rules are set up yet.

    They have addresses of both versions of IP, of which their Dataplanes name ``versions``.
    """
    with ExitStack() as stack:
        near, far = (stack.enter_context(machine(["--net"])) for _ in range(2))
        other = next(word for word in far if word.startswith("--target=")).partition("=")[2]
        run([*near, "ip", "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", other])
        pods = []
        for name, words, own, gateway in (("web", near, WEB, DB), ("db", far, DB, WEB)):
            _connect(words, own, gateway)
            pods.append(Pod(name, words, folder, stack))
        documents = {"web": document("web", WEB, versions), "db": document("db", DB, versions)}
        pods[0].begin(configuration(documents["web"], documents["db"]))
        pods[1].begin(configuration(documents["db"], documents["web"]))
        for pod in pods:
            pod.await_ready()
        yield pods[0], pods[1]


def _connect(words: list[str], own: Addresses, gateway: Addresses) -> None:
    """Addresses, and a default route: without one a Pod has no way to the address of a Service."""
    for version, ip in own.own.items():
        prefix = [f"{ip}/24"] if version == 4 else [f"{ip}/64", "nodad"]
        run([*words, "ip", f"-{version}", "address", "add", *prefix, "dev", "eth0"])
    run([*words, "ip", "link", "set", "eth0", "up"])
    for version, ip in gateway.own.items():
        run([*words, "ip", f"-{version}", "route", "add", "default", "via", ip])


@functools.cache
def has_ipv6() -> bool:
    """Whether this kernel speaks IPv6."""
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return False
    return os.path.exists("/proc/net/if_inet6")


def usable(pod: Pod, back_end: str) -> None:
    """Skip the test if this back-end is not here, or if the kernel does not take its rules."""
    program, package = ("nft", "nftables") if back_end == "nft" else (f"{back_end}-restore", "iptables")
    needs.program(program, package)
    try:
        pod.redirect(back_end)
    except AssertionError as error:
        needs.missing(package, f"{back_end} cannot redirect here: {error}")
