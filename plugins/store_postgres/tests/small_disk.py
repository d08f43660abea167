"""A PostgreSQL whose data lie on a small disk of their own, which can be filled up and freed again."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import needs

from .server import OwnServer

MEGABYTES = 256
_HOLD = "mount -t tmpfs -o size={size}m,mode=0700,uid={uid},gid={gid} tmpfs {at} && echo ready && exec sleep infinity"


class SmallDiskServer(OwnServer):
    """A server in a mount namespace of its own, where a file system in memory is mounted over its data."""

    def __init__(self, folder: Path, holder: int) -> None:
        super().__init__(folder)
        user = pwd.getpwnam("nobody")
        self._inside = ["nsenter", f"--target={holder}", "--mount"]
        self._inside += [f"--setuid={user.pw_uid}", f"--setgid={user.pw_gid}"]
        self._as = {}
        self._filler = Path(f"/proc/{holder}/root{folder}/data/filler")

    def fill(self) -> None:
        """Write until nothing more can be written, not one block."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()


@contextmanager
def small_disk_server() -> Iterator[SmallDiskServer]:
    """Runs until the end of the block; skips the test where there are no mount namespaces."""
    for name in ("unshare", "nsenter"):
        needs.program(name, "util-linux")
    if os.geteuid() != 0:
        needs.missing("util-linux", "a disk that can be filled up needs root: run the tests as root")
    user = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="kuma-postgres-") as folder:
        (Path(folder) / "data").mkdir()
        shutil.chown(folder, "nobody", "nogroup")
        line = _HOLD.format(size=MEGABYTES, uid=user.pw_uid, gid=user.pw_gid, at=Path(folder) / "data")
        command = ["unshare", "--mount", "--propagation=private", "sh", "-c", line]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
            try:
                assert holder.stdout is not None
                if holder.stdout.readline() != "ready\n":
                    why = "a disk that can be filled up needs the right to mount one (CAP_SYS_ADMIN)"
                    needs.missing("util-linux", why)
                server = SmallDiskServer(Path(folder), holder.pid)
                server.prepare()
                try:
                    server.start()
                    yield server
                finally:
                    server.kill()
            finally:
                holder.kill()
