"""Calls from Pod to Pod while something happens: not one may fail."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kuma_core.testing.waiting import eventually

from .images import SOURCE
from .node import Node

URL = "http://backend:8080/"
RATE = 100
CALLS = SOURCE / "tests/node/apps/calls.py"
END_SECONDS = 180.0


@dataclass
class Calls:
    """What is known of them so far, after each second."""

    fine: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    other: str = ""

    def note(self, line: str) -> None:
        """Take in a line of the program."""
        try:
            told = json.loads(line)
        except ValueError:
            self.other += line
            return
        self.fine, self.failed, self.failures = told["fine"], told["failed"], told["failures"]

    def more(self, count: int) -> None:
        """Wait until so many more went well, or one failed."""
        wanted = self.fine + count
        eventually(lambda: self.fine >= wanted or self.failed, END_SECONDS, f"{count} calls more: {self}")


@contextmanager
def calls(node: Node, namespace: str = "demo", url: str = URL, rate: int = RATE) -> Iterator[Calls]:
    """Calls of ``web`` while the block runs; fails if any of them did."""
    command = [str(node.assets.kubectl), f"--kubeconfig={node.kubeconfig}", "-n", namespace]
    command += ["exec", "-i", "deployment/web", "-c", "web", "--", "python3", str(CALLS), url, str(rate)]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert running.stdin
    assert running.stdout
    found, told = Calls(), running.stdout
    reader = threading.Thread(target=lambda: [found.note(line) for line in told])
    reader.start()
    try:
        found.more(1)
        yield found
        running.stdin.close()
        running.wait(END_SECONDS)
    finally:
        running.kill()
        running.wait()
        reader.join()
        running.stdin.close()
        told.close()
    assert (found.failed, found.failures) == (0, []), found
