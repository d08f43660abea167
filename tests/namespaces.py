"""Network namespaces for tests: machines of their own, on which all well-known ports are free."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import needs

NEAR, FAR = "10.213.7.1", "10.213.7.2"
"""The addresses of two machines on one cable."""

OWN_SOCKETS = "mkdir -p /run/kuma-cp && mount -t tmpfs tmpfs /run/kuma-cp && "
"""Sockets are files, which a network of one's own does not part: kumactl would ask another machine's control plane."""

PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2"}
"""What makes a machine of its own, and the packages that bring it."""


@contextmanager
def network_namespace() -> Iterator[list[str]]:
    """Yields the words that put a command into a new namespace; skips the test where there are none."""
    with machine(["--net", "--mount"], OWN_SOCKETS) as words:
        yield words


@contextmanager
def two_machines(folder: Path, name: str) -> Iterator[tuple[list[str], list[str]]]:
    """Two machines on one cable; both know the first one by ``name``. Yields the words for each of them.

    ``folder`` gets their file of hosts. Skips the test where there are no namespaces.
    """
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n::1 localhost\n{NEAR} {name}\n")
    prepare = f"{OWN_SOCKETS}mount --bind {shlex.quote(str(hosts))} /etc/hosts && "
    spaces = ["--net", "--mount"]
    with machine(spaces, prepare) as near, machine(spaces, prepare) as far:
        other = next(word for word in far if word.startswith("--target=")).partition("=")[2]
        run([*near, "ip", "link", "add", "cable", "type", "veth", "peer", "cable", "netns", other])
        for words, address in ((near, NEAR), (far, FAR)):
            run([*words, "ip", "address", "add", f"{address}/24", "dev", "cable"])
            run([*words, "ip", "link", "set", "cable", "up"])
        yield near, far


def run(command: list[str]) -> None:
    """Run a command that makes a network; skips the test where that is not possible."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        needs.missing("iproute2", f"no cable between two network namespaces here: {done.stderr.strip()}")


@contextmanager
def machine(spaces: list[str], prepare: str = "") -> Iterator[list[str]]:
    """A process that holds namespaces open until the end; yields the words that put a command into them."""
    for name, package in PROGRAMS.items():
        needs.program(name, package)
    script = f"{prepare}ip link set lo up && echo ready && exec sleep infinity"
    holder = subprocess.Popen(["unshare", *spaces, "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            needs.missing("util-linux", "no network namespaces here: run as root, or allow unprivileged ones")
        stay = ["--wd=."] if "--mount" in spaces else []
        yield ["nsenter", f"--target={holder.pid}", *spaces, *stay]
    finally:
        holder.kill()
        holder.wait(timeout=10)
        if holder.stdout is not None:
            holder.stdout.close()
