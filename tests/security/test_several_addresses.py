"""Proxies that know several addresses of control planes: TLS, the token and failover, on 5678 and 5677."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine
from ..end_to_end.test_mtls import SETTINGS, address, encrypt
from ..end_to_end.test_traffic import instance
from .support import certificate_of

PLUGINS = [kuma_store_memory, kuma_ca_builtin]


@pytest.mark.parametrize("pinned", [False, True])
def test_12_6_where_nobody_listens_at_the_first_address_the_second_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: bool
) -> None:
    live, dead = free_port(), free_port()
    settings = {
        **SETTINGS,
        "KUMA_XDS_SERVER_GRPC_PORT": str(live),
        "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST": f"127.0.0.1:{dead},127.0.0.1:{live}",
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
