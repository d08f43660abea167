"""Proxies that know several addresses of control planes: TLS, the token and failover, on 5678 and 5677."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.runtime import proxy_servers
from kuma_core.testing.builders import outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine
from ..end_to_end.test_mtls import SETTINGS, address, encrypt
from ..end_to_end.test_traffic import instance
from .relay import Relay
from .support import certificate_of

PLUGINS = [kuma_store_memory, kuma_ca_builtin]

NOTICED_SECONDS = 35.0
"""A channel is at rest for 15 s before it asks for a sign of life, and waits for it for 10 s; the rest is for a new
connection on a busy machine."""


@pytest.mark.parametrize(
    ("loopback", "pinned"), [("127.0.0.1", False), ("127.0.0.1", True), ("[::1]", False)]
)
def test_where_nobody_listens_at_the_first_address_the_second_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loopback: str, pinned: bool
) -> None:
    live, dead = free_port(), free_port()
    settings = {
        **SETTINGS,
        "KUMA_XDS_SERVER_GRPC_PORT": str(live),
        "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST": f"{loopback}:{dead},{loopback}:{live}",
    }
    with running_platform(PLUGINS, settings) as cp, ExitStack() as stack:
        if pinned:
            (tmp_path / "ca.pem").write_bytes(cp.trusted)
            monkeypatch.setenv("KUMA_CONTROL_PLANE_CA_CERT_FILE", str(tmp_path / "ca.pem"))
        machine = Machine(cp, tmp_path, stack)
        encrypt(machine)
        ledger = instance(machine, "ledger-1", "ledger")
        cp.apply(ledger)
        machine.sidecar("ledger-1")
        assert eventually(lambda: certificate_of(address(ledger)[1]), 20, "an identity over SDS")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def test_a_proxy_leaves_the_address_that_fell_silent(tmp_path: Path, stack: ExitStack) -> None:
    """Nothing ends the stream of ADS; a change arrives over the second address, and the control plane notices, too."""
    xds = free_port()
    relay = Relay(xds, stack)
    hosts = f"127.0.0.1:{relay.port},127.0.0.1:{xds}"
    settings = {
        **SETTINGS,
        "KUMA_XDS_SERVER_GRPC_PORT": str(xds),
        "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST": hosts,
    }
    cp = stack.enter_context(running_platform(PLUGINS, settings))
    machine = Machine(cp, tmp_path, stack)
    ledger = instance(machine, "ledger-1", "ledger")
    cp.apply(ledger)
    sidecar = machine.sidecar("ledger-1")
    assert relay.connections == 1
    relay.fall_silent()
    began = time.monotonic()
    late = outbound(f":{free_port()}", "late")
    cp.apply({**ledger, "networking": {**ledger["networking"], "outbound": [late]}})
    eventually(lambda: "late" in sidecar.clusters(), 2 * NOTICED_SECONDS, "the change")
    assert time.monotonic() - began < NOTICED_SECONDS
    eventually(lambda: [stream for stream in streams(cp) if "disconnectTime" in stream], NOTICED_SECONDS)


def streams(cp: RunningPlatform) -> list[dict[str, str]]:
    """The streams of the ledger that the control plane knows, oldest first."""
    insight = cp.get("/meshes/default/dataplanes+insights/ledger-1").body["dataplaneInsight"]
    found: list[dict[str, str]] = insight["subscriptions"]
    return found


def test_identities_are_renewed_at_the_second_address_when_the_first_falls_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> None:
    sds = free_port()
    relay = Relay(sds, stack)
    both = f"ipv4:127.0.0.1:{relay.port},127.0.0.1:{sds}"  # as for two hosts, which share one setting of the port
    monkeypatch.setattr(proxy_servers, "grpc_target", lambda _hosts: both)
    settings = {**SETTINGS, "KUMA_SDS_SERVER_GRPC_PORT": str(sds), "KUMA_CA_DEFAULTS_LEAF_LIFETIME": "6s"}
    cp = stack.enter_context(running_platform(PLUGINS, settings))
    machine = Machine(cp, tmp_path, stack)
    encrypt(machine)
    ledger = instance(machine, "ledger-1", "ledger")
    cp.apply(ledger)
    machine.sidecar("ledger-1")
    port = address(ledger)[1]
    seen = {eventually(lambda: certificate_of(port), 20, "an identity over SDS")}
    eventually(lambda: seen.add(certificate_of(port)) or len(seen) > 1, 20, "a renewal")
    assert relay.connections
    relay.fall_silent()
    began = time.monotonic()
    seen.add(certificate_of(port))
    eventually(lambda: certificate_of(port) not in seen, 2 * NOTICED_SECONDS, "an identity")
    assert time.monotonic() - began < NOTICED_SECONDS
