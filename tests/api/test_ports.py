"""Two control planes on one port: the second ends with one sentence that names the setting."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kuma_core.runtime.http import port_error
from kuma_core.testing.ports import own_ports

KUMA_CP = Path(sys.executable).with_name("kuma-cp")
PORTS = {
    "apiServer.port": "KUMA_API_SERVER_PORT",
    "bootstrapServer.port": "KUMA_BOOTSTRAP_SERVER_PORT",
    "xdsServer.diagnosticsPort": "KUMA_XDS_SERVER_DIAGNOSTICS_PORT",
    "xdsServer.grpcPort": "KUMA_XDS_SERVER_GRPC_PORT",
    "adminServer.local.port": "KUMA_ADMIN_SERVER_LOCAL_PORT",
    "eventsServer.port": "KUMA_EVENTS_SERVER_PORT",
    "apiServer.https.port": "KUMA_API_SERVER_HTTPS_PORT",
}


@pytest.mark.parametrize("path", PORTS)
def test_a_port_that_is_taken_is_told_in_one_sentence(path: str) -> None:
    ports = {f"KUMA_{name}": str(port) for name, port in own_ports().items()}
    port = ports[PORTS[path]]
    with socket.create_server(("", int(port))):
        result = subprocess.run(
            [KUMA_CP, "--log-level", "off", "run", "--plugins", "store_memory"],
            env={**os.environ, **ports},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith(f"Error: cannot listen on port {port} ({path}, {PORTS[path]}): ")
    assert f"choose another port with {PORTS[path]}" in lines[0]


def test_an_address_of_another_machine_is_what_is_named() -> None:
    for reason in ("Cannot assign requested address", "Name or service not known"):
        said = str(port_error("apiServer.port", "KUMA_API_SERVER_PORT", 5681, reason))
        assert said.endswith("Name an address of this machine with apiServer.interface, or leave it empty")
    said = str(port_error("apiServer.port", "KUMA_API_SERVER_PORT", 5681, "Address already in use"))
    assert "Is another kuma-cp running?" in said
