"""All programs of a mesh in one network namespace."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

from .support import BIN, start

APPLICATION = 65534
"""The user whose connections are redirected; Envoy's own must not be."""


class Inside:
    """A machine of its own: control plane, services, sidecars and rules in one network namespace."""

    def __init__(self, words: list[str], folder: Path, stack: ExitStack) -> None:
        self._words, self._folder, self._stack = words, folder, stack

    def run(self, *command: str, user: int = 0) -> subprocess.CompletedProcess[str]:
        words = [*self._words, f"--setuid={user}", *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, cwd="/")

    def start(self, name: str, *arguments: str, **settings: str) -> None:
        command, log = [*self._words, str(BIN / name), *arguments], self._folder / f"{name}.log"
        start(command, log, self._stack, env={**os.environ, **settings})

    def apply(self, document: dict) -> None:
        path = self._folder / f"{document['name']}.yaml"
        path.write_text(json.dumps(document))
        result = self.run(str(BIN / "kumactl"), "apply", "-f", str(path))
        assert result.returncode == 0, result.stderr

    def fetch(self, port: int, user: int = APPLICATION, path: str = "/") -> str:
        """The whole answer; raises ``AssertionError`` with the reason if no connection comes about."""
        request = f"GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n"
        script = f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf '{request}' >&3 && timeout 5 cat <&3"
        result = self.run("bash", "-c", script, user=user)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def stat(self, name: str) -> int:
        """One of the counters of web's Envoy."""
        answer = self.fetch(9901, 0, f"/stats?filter=^{name}$")
        return int(answer.rpartition(": ")[2].split()[0])
