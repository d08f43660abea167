"""A new token reaches the control plane with the proxy's next stream; kuma-dp and Envoy go on running."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.kumactl import tls_pair
from kuma_core.testing.platform import PORTS, RunningPlatform, make_catalog, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine
from ..end_to_end.test_mtls import address, encrypt
from ..end_to_end.test_traffic import instance
from .support import certificate_of

PLUGINS = [kuma_store_memory, kuma_ca_builtin]
UNAUTHENTICATED = "grpc.ads.streams_closed_16"


@pytest.fixture(params=["delta", "sotw"])
def start(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], AbstractContextManager[RunningPlatform]]:
    """A control plane on the same ports and with the same TLS each time, but with new keys for all else."""
    pair = tls_pair.generate(["127.0.0.1"], is_client=False)
    (tmp_path / "cert.pem").write_bytes(pair.cert)
    (tmp_path / "key.pem").write_bytes(pair.key)
    settings = {item.env: str(free_port()) for item in make_catalog(PLUGINS).settings if item.path in PORTS}
    settings |= {
        "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1",
        "KUMA_SDS_SERVER_TLS_CERT_FILE": str(tmp_path / "cert.pem"),
        "KUMA_SDS_SERVER_TLS_KEY_FILE": str(tmp_path / "key.pem"),
        "KUMA_XDS_SERVER_PROTOCOL": request.param,
    }
    return lambda: running_platform(PLUGINS, settings)


def test_scenario_61_a_token_of_a_new_key_is_shown_on_both_ports_without_a_restart(
    start: Callable[[], AbstractContextManager[RunningPlatform]], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        with start() as cp:
            machine = Machine(cp, tmp_path, stack)
            encrypt(machine)
            ledger = instance(machine, "ledger-1", "ledger")
            cp.apply(ledger)
            sidecar = machine.sidecar("ledger-1")
            port = address(ledger)[1]
            before = eventually(lambda: certificate_of(port))
            refused = sidecar.stat(UNAUTHENTICATED)
        with start() as cp:
            machine.cp = cp
            encrypt(machine)
            cp.apply(ledger)
            eventually(lambda: sidecar.stat(UNAUTHENTICATED) > refused, 30, "the old token to be refused")
            assert certificate_of(port) == before
            (tmp_path / "default-ledger-1-token").write_text(cp.token("ledger-1") + "\n")
            eventually(lambda: is_online(cp, "ledger-1"), 30, "the proxy to come back")
            eventually(lambda: certificate_of(port) != before, 30, "an identity of the new authority")
            assert sidecar.process.poll() is None


def is_online(cp: RunningPlatform, name: str) -> bool:
    """Whether a stream of the dataplane is open."""
    overview = cp.get(f"/meshes/default/dataplanes+insights/{name}").body
    subscriptions = overview["dataplaneInsight"].get("subscriptions", [])
    return any("disconnectTime" not in item for item in subscriptions)
