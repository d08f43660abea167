"""What the benchmarks share: a control plane as a process, a certificate for its ports, and requests to it."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import psutil

from kuma_core.ca.server_tls import ServerTls, own_tls
from kuma_core.resources.secrets import SecretManager
from kuma_core.testing.ports import own_ports
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

BIN = Path(sys.executable).parent
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]
"""Every client has a connection of its own."""


class Tls:
    """One certificate for the control plane and for the floors, as files, for as long as the stack lasts."""

    def __init__(self, stack: ExitStack) -> None:
        made: ServerTls = own_tls(SecretManager(MemoryStore()), ["127.0.0.1"])
        folder = Path(stack.enter_context(TemporaryDirectory()))
        self.chain, self.key = folder / "chain.pem", folder / "key.pem"
        self.chain.write_bytes(made.chain)
        self.key.write_bytes(made.key)
        self._root = made.root

    def channel(self, port: int) -> grpc.aio.Channel:
        """A connection of its own to a server on loopback."""
        trusted = grpc.ssl_channel_credentials(self._root)
        return grpc.aio.secure_channel(f"127.0.0.1:{port}", trusted, OPTIONS)


class ControlPlane:
    """``kuma-cp run`` with these plugins and settings (``KUMA_`` is put before their names)."""

    def __init__(self, stack: ExitStack, tls: Tls, plugins: str, settings: Mapping[str, str] = {}) -> None:
        ports = own_ports()
        given = {
            **{name: str(port) for name, port in ports.items()},
            "API_SERVER_INTERFACE": "127.0.0.1",
            "PLUGINS": plugins,
            "XDS_SERVER_ENDPOINTS": "registered",  # behind the instances that change nobody is
            "SDS_SERVER_TLS_CERT_FILE": str(tls.chain),
            "SDS_SERVER_TLS_KEY_FILE": str(tls.key),
            **settings,
        }
        environ = {**os.environ, **{f"KUMA_{name}": value for name, value in given.items()}}
        self.process = start(stack, [str(BIN / "kuma-cp"), "--log-level", "off", "run"], environ)
        self.xds, self.sds = ports["XDS_SERVER_GRPC_PORT"], ports["SDS_SERVER_GRPC_PORT"]
        self.events = ports["EVENTS_SERVER_PORT"]
        self.api, self._admin = (
            f"http://127.0.0.1:{ports[name]}" for name in ("API_SERVER_PORT", "ADMIN_SERVER_LOCAL_PORT")
        )
        self._diagnostics = f"http://127.0.0.1:{ports['XDS_SERVER_DIAGNOSTICS_PORT']}"
        ready = f"{self._diagnostics}/ready"
        eventually(lambda: urllib.request.urlopen(ready, timeout=5).status == 200, 30)

    def put(self, collection: str, document: Mapping[str, Any]) -> None:
        """Store a resource in a collection, such as ``meshes/default/dataplanes``."""
        _send(f"{self.api}/{collection}/{document['name']}", document, "PUT")

    def get(self, path: str) -> str:
        """What the API answers at a path, such as ``meshes/default/dataplanes``."""
        with urllib.request.urlopen(f"{self.api}/{path}", timeout=60) as response:
            return str(response.read().decode())

    def delete(self, path: str) -> None:
        """Delete a resource."""
        request = urllib.request.Request(f"{self.api}/{path}", method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()

    def post(self, path: str, document: Mapping[str, Any]) -> str:
        """POST to the admin server; its answer."""
        return _send(f"{self._admin}{path}", document, "POST")

    def token(self, name: str, mesh: str = "default") -> str:
        """A token for a dataplane."""
        return self.post("/tokens", {"name": name, "mesh": mesh})

    def try_out(self, path: str, document: Mapping[str, Any]) -> tuple[int, Any]:
        """What a write would change (``?dry-run=xds``): the status, and the answer or the error."""
        url = f"{self.api}/{path}?dry-run=xds"
        header = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(document).encode(), header, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """A number without labels of ``/metrics``."""
        with urllib.request.urlopen(f"{self._diagnostics}/metrics", timeout=30) as response:
            text = response.read().decode()
        (value,) = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(value)

    def cpu(self) -> float:
        """The seconds of processor time that were used so far."""
        return float(sum(self.process.cpu_times()[:2]))


def start(
    stack: ExitStack, command: Sequence[str], environ: Mapping[str, str] | None = None
) -> psutil.Process:
    """Start a program, which is ended with the stack."""
    process = stack.enter_context(psutil.Popen(command, env=environ, stdout=subprocess.DEVNULL))
    stack.callback(process.kill)
    return process


def _send(url: str, document: Mapping[str, Any], method: str) -> str:
    header = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(document).encode(), header, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.read().decode())


def allow_many_connections() -> None:
    """As many open files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def row(name: str, values: Sequence[float]) -> str:
    """A line with the least, the middle and the largest of some seconds."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{name:<46}{low * 1000:>9.1f}{middle * 1000:>9.1f}{high * 1000:>9.1f}  ms (min, median, max)"


def line(name: str, value: float, unit: str = "") -> str:
    """A line with one number."""
    return f"{name:<46}{value:>9.2f}  {unit}".rstrip()
