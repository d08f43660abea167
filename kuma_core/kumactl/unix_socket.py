"""The Unix socket of a control plane on this machine, as its catalog names it: whether we may use it, and whether
those who listen there are to be told a passphrase.

While a control plane is down, any user of the machine may listen on its port and name a socket of their own.
"""

from __future__ import annotations

import os
import socket
import stat
import struct

from kuma_core.errors import KumaError

SERVICES = "/run"
"""Where root, and nobody else, makes a folder for each service."""

_FOLDER = "kuma-cp"
"""How that of a control plane begins."""


def may_use(path: str) -> bool:
    """Whether there is a socket that we may connect to."""
    return _is_there(path) and os.access(path, os.R_OK | os.W_OK)


def refuse_closed(path: str) -> None:
    """Raise KumaError, which says who may, if there is a socket that we may not connect to."""
    if path and _is_closed(path):
        raise KumaError(
            f"secrets leave the control plane over its Unix socket {path}, and you may not use it{_whose(path)}. "
            "Run kumactl as that user, have the control plane open the socket to your group (adminServer.socket.group "
            "and adminServer.socket.mode 0660), or configure certificates on both sides: adminServer.public"
        )


def stranger(path: str) -> bool:
    """Whether somebody listens there to whom nothing is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(1)
        try:
            asked.connect(path)
            refuse_stranger(path, asked)
        except OSError:
            return False  # whoever connects is told
        except KumaError:
            return True
    return False


def refuse_stranger(path: str, connected: socket.socket) -> None:
    """Raise KumaError unless who listens at the other end is root, is our own user, or is the user for whom root made
    the socket's folder: ``/run/kuma-cp``. Where the system does not tell, everybody passes.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return
    size = struct.calcsize("3i")
    _, peer, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if peer not in (0, os.geteuid()) and not is_service(path, peer):
        raise KumaError(
            f"the Unix socket {path} is listened on by {_name(peer)}, and you are {_name(os.geteuid())}: kumactl tells "
            "secrets only to a control plane of root, of your own user, or with its socket in "
            f"{SERVICES}/{_FOLDER}. Find out who listens there; if that is your control plane, run kumactl as its user"
        )


def is_service(path: str, user: int) -> bool:
    """Whether root made the folder of this socket for a control plane of this user, as systemd does."""
    folder = os.path.realpath(os.path.dirname(path))
    parent, name = os.path.split(folder)
    try:
        above, own = os.stat(parent), os.lstat(folder)
    except OSError:
        return False
    only_roots = above.st_uid == 0 and not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    closed = own.st_uid == user and not own.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return parent == os.path.realpath(SERVICES) and name.startswith(_FOLDER) and only_roots and closed


def _is_there(path: str) -> bool:
    try:
        return bool(path) and stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _is_closed(path: str) -> bool:
    """Whether it is kept from us: it, or the folder in which it is."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return not may_use(path)


def _whose(path: str) -> str:
    """The owner of the nearest thing that we can see, in words; empty if there is none."""
    for place in (path, os.path.dirname(path)):
        try:
            return f": it belongs to {_name(os.stat(place).st_uid)}"
        except OSError:
            continue
    return ""


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"the user {user}"
