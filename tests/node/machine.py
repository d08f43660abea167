"""A machine of our own: namespaces for its network, mounts and processes, which end together.

The first process of the machine reads from a pipe of ours. When that ends, by us or since we were killed, the kernel
ends every process of the machine, containers too, and its mounts and interfaces go.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence, Set
from contextlib import suppress
from pathlib import Path

from kuma_core.testing.waiting import eventually

ADDRESS = "10.250.0.1"
"""The machine's own address."""
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
OVER = ("/run", "/var/lib", "/var/log")
"""Folders that programs of a node write to wherever they are told to: the machine has empty ones of its own."""
PREPARE = "\n".join(
    [
        "set -e",
        *(f"mount -t tmpfs -o mode=755 tmpfs {path}" for path in OVER),
        "ip link set lo up",
        "ip link add eth0 type bridge",
        f"ip address add {ADDRESS}/24 dev eth0",
        "ip link set eth0 up",
        "ip route add default dev eth0",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        # What goes from Pod to Pod by the address of a Service has to come back the same way, in one bridge, too.
        "if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then",
        "  echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables",
        "fi",
    ]
)
TRIAL = "\n".join(
    [
        PREPARE,
        "mkdir -p /run/trial && mount -t proc proc /run/trial",
        "nft add table ip trial",
        "nft add chain ip trial c '{ type nat hook output priority -100; }'",
        "nft add rule ip trial c ip daddr 10.96.0.1 dnat to 10.250.0.1",
        "for one in /sys/fs/cgroup/memory /sys/fs/cgroup; do",
        "  if [ -d $one ]; then mkdir $one/kuma-trial-$$; rmdir $one/kuma-trial-$$; break; fi",
        "done",
    ]
)
CGROUPS, PARENT = Path("/sys/fs/cgroup"), "k8s.io"
"""Where cgroups are, and where containerd puts those of Pods, unless it is told otherwise."""


def trial() -> list[str]:
    """A command that goes well where such a machine can be had."""
    return [*UNSHARE, "sh", "-c", TRIAL]


def only_child(pid: int) -> int:
    """The one child of a process. Raises ``LookupError`` if there is none yet."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if len(children) != 1:
        raise LookupError(f"process {pid} has {len(children)} children")
    return int(children[0])


class Machine:
    """Begins with ``start``, and is gone after ``end``."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "machine.log"
        self._holder: subprocess.Popen[bytes] | None = None
        self.first = 0
        """The process id of its first process, as we see it."""

    def start(self) -> None:
        """Make it, and wait until its network is there."""
        script = f"{PREPARE}\necho ready\nwhile read -r line; do :; done"
        with self.log.open("wb") as log:
            self._holder = subprocess.Popen(
                [*UNSHARE, "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == b"ready\n", self.log.read_text()
        self.first = only_child(self._holder.pid)

    def inside(self) -> list[str]:
        """The words that run a command as one of its own processes; it ends with it."""
        return ["nsenter", f"--target={self.first}", "--net", "--mount", "--pid", "--wd=/"]

    def run(self, *command: str, seconds: float = 300) -> str:
        """What a command in it prints; it has to go well."""
        done = subprocess.run(
            [*self.inside(), *command], capture_output=True, text=True, timeout=seconds, check=False
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def end(self, containers: Sequence[str] = ()) -> None:
        """End all of it, and take away the cgroups of containers, which outlive everything."""
        if self._holder is None:
            return
        assert self._holder.stdin
        assert self._holder.stdout
        with suppress(ProcessLookupError):
            self._holder.send_signal(signal.SIGKILL)
        self._holder.wait()
        for pipe in (self._holder.stdin, self._holder.stdout):
            pipe.close()
        self._holder = None
        eventually(lambda: not Path(f"/proc/{self.first}").exists(), 60, "the end of the machine")
        take_away(set(containers))


def take_away(containers: Set[str]) -> None:
    """Remove what is left of the cgroups of containers, and the folder that they were in, if it is empty."""
    found = [Path(path) for path, _, _ in os.walk(CGROUPS, topdown=False)]
    for path in found:
        if path.name in containers:
            with suppress(OSError):
                path.rmdir()
    for path in found:
        if path.name == PARENT:
            with suppress(OSError):
                path.rmdir()
