"""What the tests of ``kumactl export`` and ``import`` share: two control planes, and a file between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.model import ResourceKey
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_store_memory.store import MemoryStore

from .conftest import Call, Result, configure
from .test_real_control_plane import greeter

PLUGINS = [kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided, greeter()]
PASSPHRASE = "correct horse battery"


def lasting() -> Callable[[], Any]:
    """A store that outlives control planes; starts one of them over it at each call."""
    store = SharedStore(MemoryStore())
    return lambda: running_platform([*PLUGINS, store])


class Places:
    """Two control planes, of which kumactl knows one at a time, and files."""

    def __init__(self, kumactl: Call, home: Path, old: RunningPlatform, new: RunningPlatform) -> None:
        self._kumactl, self._home = kumactl, home
        self.old, self.new = old, new
        self.file, self.passphrase = home / "backup.yaml", home / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.passphrase.chmod(0o600)

    def at(self, cp: RunningPlatform, *argv: str, stdin: str = "") -> Result:
        """Call kumactl about one of them."""
        configure(self._home, cp.api_url)
        return self._kumactl(*argv, stdin=stdin)

    def export(self, cp: RunningPlatform, *argv: str, secrets: bool = False) -> str:
        """The text of an export, which must succeed; it is in the file too."""
        flags = ("--with-secrets", f"--passphrase-file={self.passphrase}") if secrets else ()
        result = self.at(cp, "export", "-o", str(self.file), *flags, *argv)
        assert result.code == 0, result
        return self.file.read_text()

    def import_(self, *argv: str, passphrase: bool = False) -> Result:
        """Import the file into the new one."""
        flags = (f"--passphrase-file={self.passphrase}",) if passphrase else ()
        return self.at(self.new, "import", "-f", str(self.file), *flags, *argv)


@contextmanager
def two_control_planes(kumactl: Call, home: Path) -> Iterator[Places]:
    """Two empty ones, each with a store in memory."""
    with ExitStack() as stack:
        cps = [stack.enter_context(running_platform([kuma_store_memory, *PLUGINS])) for _ in range(2)]
        yield Places(kumactl, home, *cps)


def everything(cp: RunningPlatform) -> dict[str, list[tuple[ResourceKey, str]]]:
    """What stands in the store, but for what control planes keep for each other and report."""
    kinds = [kind for kind in cp.platform.catalog.kinds if kind.served or kind.name == "Secret"]
    return {
        kind.name: [(record.key, record.document) for record in cp.platform.core.store.list(kind.name)]
        for kind in kinds
        if kind.stored and not kind.status
    }
