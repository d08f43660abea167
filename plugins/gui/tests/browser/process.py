"""A control plane in a process of its own, which can be stopped, killed and started again on the same ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from kuma_core.http_client import HttpFailure, Rules, exchange
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

PORTS = {
    "KUMA_API_SERVER_PORT": "api",
    "KUMA_API_SERVER_HTTPS_PORT": "https",
    "KUMA_ADMIN_SERVER_LOCAL_PORT": "admin",
    "KUMA_BOOTSTRAP_SERVER_PORT": "bootstrap",
    "KUMA_EVENTS_SERVER_PORT": "events",
    "KUMA_GUI_SERVER_PORT": "gui",
    "KUMA_SDS_SERVER_GRPC_PORT": "sds",
    "KUMA_XDS_SERVER_DIAGNOSTICS_PORT": "diagnostics",
    "KUMA_XDS_SERVER_GRPC_PORT": "xds",
}


class ControlPlane:
    """``kuma-cp run`` with the store in memory: what it knew is gone after a start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environ = {env: str(free_port()) for env in PORTS}
        self.ports = {PORTS[env]: int(number) for env, number in self._environ.items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        """Where its GUI is."""
        return f"http://127.0.0.1:{self.ports['gui']}"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KUMA_")}
        with open(self._folder / "kuma-cp.log", "ab") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).parent / "kuma-cp", "run"],
                env={**clean, **self._environ, "HOME": str(self._folder)},
                stdout=log,
                stderr=log,
            )
        eventually(self._is_ready, 120, "a ready control plane")

    def _is_ready(self) -> bool:
        assert self._process, "it was not started"
        assert self._process.poll() is None, (self._folder / "kuma-cp.log").read_text()
        try:
            rules = Rules(timeout=5, limit=1024 * 1024)
            return (
                exchange("GET", f"http://127.0.0.1:{self.ports['diagnostics']}/ready", {}, None, rules).status
                == 200
            )
        except HttpFailure:
            return False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None
