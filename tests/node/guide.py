"""The page on Kubernetes, executed: the mesh that all tests on a node are in is what a reader of it has."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from kuma_core.testing.ports import free_port

from .images import ROOT
from .node import Node

PAGE = (ROOT / "docs/how-to/kubernetes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
INSTALL, NAMESPACE, SERVICES, INSPECT, CALL, ENCRYPT, OUTSIDE = BLOCKS
SECONDS = 600.0
"""For a block: Pods start in it."""


class Reader:
    """Somebody who types what the page says, on a machine outside of the cluster."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._node, self._folder = node, folder
        self._port, self._door = free_port(), free_port()
        self._processes: list[int] = []
        (folder / "bin").mkdir()
        (folder / "bin/kubectl").symlink_to(node.assets.kubectl)
        (folder / ".kumactl").mkdir()
        for name, port in (("config", self._port), ("door", self._door)):
            (folder / ".kumactl" / name).write_text(
                f"controlPlanes: [{{name: cp, coordinates: {{apiServer: {{url: 'http://127.0.0.1:{port}'}}}}}}]\n"
                "contexts: [{name: cp, controlPlane: cp}]\ncurrentContext: cp\n"
            )

    def types(self, block: str) -> str:
        """What a block prints. It has to go well; what it leaves in the background goes on until ``end``."""
        programs = Path(sys.prefix) / "bin"
        environ = {
            "PATH": f"{self._folder / 'bin'}:{programs}:{os.environ['PATH']}",
            "HOME": str(self._folder),
            "KUBECONFIG": str(self._node.kubeconfig),
        }
        script = block.replace(" 5681 ", f" {self._port}:5681 ")
        errors = self._folder / "errors.log"
        with errors.open("w") as log:
            shell = subprocess.Popen(
                ["bash", "-eu", "-o", "pipefail", "-c", script],
                cwd=self._folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._processes.append(shell.pid)
        told, _ = shell.communicate(timeout=SECONDS)
        assert shell.returncode == 0, f"{script}\n{told}\n{errors.read_text()}"
        return told

    def open_door(self) -> None:
        """Find the control plane without ``kubectl port-forward``, which ends with the Pod that it leads to."""
        service = self._node.get("/api/v1/namespaces/kuma-system/services/kuma-control-plane")
        self._node.door.open(self._door, service["spec"]["clusterIP"], 5681)

    def kumactl(self, words: str) -> str:
        """What kumactl prints, which goes through that door."""
        return self.types(f"kumactl --config-file={self._folder / '.kumactl/door'} {words}")

    def end(self) -> None:
        """End what still runs of all blocks."""
        for group in self._processes:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
