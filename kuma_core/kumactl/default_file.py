"""The configuration file on disk: where it is, its first version, and how it is written without a gap.

Apart from ``config`` because every command needs this, and ``kumactl version`` must not pay for YAML.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from kuma_core.errors import ConfigError
from kuma_core.kumactl import files

DEFAULT_TEXT = """\
contexts:
- controlPlane: local
  name: local
controlPlanes:
- coordinates:
    apiServer:
      url: http://localhost:5681
  name: local
currentContext: local
"""
"""The configuration of a first start: one control plane on this machine."""


def accessible(path: str) -> str:
    """``path``, if it is a file that can be read, else ConfigError."""
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        reason = error.strerror or str(error)
        message = (
            f'Failed to access configuration file "{path}": {reason}. Create it, or leave --config-file out'
        )
        raise ConfigError(message) from None
    except ValueError as error:  # a NUL byte in the name
        raise ConfigError(f"Failed to access configuration file {path!r}: {error}") from None


def ensure(warn: Callable[[str], None]) -> str | None:
    """The path of the default file, which is created if it is missing; None, and a warning, if that fails."""
    path = default_path()
    if path is None:
        warn("there is no home directory to keep the configuration in; using http://localhost:5681")
        return None
    if os.path.exists(path):
        return path
    try:
        write(path, DEFAULT_TEXT)
    except ConfigError as error:
        warn(f"{error}; using http://localhost:5681")
        return None
    return path


def default_path() -> str | None:
    """``$HOME/.kumactl/config``; without HOME the home directory of the user database, else None."""
    home = os.environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(home, ".kumactl", "config") if os.path.isabs(home) else None


def write(path: str, text: str) -> None:
    """Replace the file by ``text`` in one step, mode 0600; its directory is made with mode 0755.

    Raises ConfigError with the system's reason if that is not possible.
    """
    try:
        os.makedirs(os.path.dirname(os.path.realpath(path)), mode=0o755, exist_ok=True)
        files.replace(path, text.encode(), 0o600)
    except OSError as error:
        raise ConfigError(f'Failed to write configuration file "{path}": {files.reason(error)}') from None
