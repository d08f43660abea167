"""Proxies with so many outbounds that one response of the control plane is larger than gRPC takes unasked."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Machine
from .test_mtls import SETTINGS, encrypt

OUTBOUNDS = 3000
GRPC_LIMIT = 4 * 1024 * 1024


@pytest.mark.parametrize("protocol", ["delta", "sotw"])
def test_a_proxy_of_thousands_of_outbounds_gets_all_of_them(tmp_path: Path, protocol: str) -> None:
    settings = {**SETTINGS, "KUMA_XDS_SERVER_PROTOCOL": protocol}
    with running_platform([kuma_store_memory, kuma_ca_builtin], settings) as cp, ExitStack() as stack:
        machine = Machine(cp, tmp_path, stack)
        encrypt(machine)
        own = inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web")
        others = [outbound(f"127.1.{n >> 8}.{n & 255}:9000", f"service-{n}") for n in range(OUTBOUNDS)]
        cp.apply(dataplane("web", own, outbounds=others))
        sidecar = machine.sidecar("web", wait=False)
        for name in ("cluster_manager.active_clusters", "listener_manager.total_listeners_active"):
            eventually(lambda name=name: sidecar.stat(name) > OUTBOUNDS, 60, name)  # type: ignore[misc]
        dumped = sidecar.config()["ClustersConfigDump"]
        assert len(str(dumped)) > GRPC_LIMIT, "this test is about responses that are larger than that"
