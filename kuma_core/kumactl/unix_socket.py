"""The Unix socket of a control plane on this machine, as its catalog names it: whether we may use it."""

from __future__ import annotations

import os
import stat

from kuma_core.errors import KumaError


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
    """The owner of the nearest thing that we can see, in words; empty if that is nobody we know."""
    import pwd

    for place in (path, os.path.dirname(path)):
        try:
            owner = os.stat(place).st_uid
        except OSError:
            continue
        try:
            return f": it belongs to {pwd.getpwuid(owner).pw_name}"
        except KeyError:
            return f": it belongs to the user {owner}"
    return ""
