"""Where the admin server's Unix socket is if nobody says: in a folder that its user alone can write to.

The name holds the port of the admin server, which two control planes of one machine cannot share either.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def default_path(port: int, environ: Mapping[str, str], user: int) -> str:
    """The path for a user id: what systemd made (``RuntimeDirectory=``), ``/run`` for root, else the user's own folder
    or, without one, a folder in ``/tmp``."""
    name = f"admin-{port}.sock"
    made = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if os.path.isabs(made):
        return os.path.join(made, name)
    if user == 0:
        return f"/run/kuma-cp/{name}"
    own = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(own) and os.path.isdir(own):
        return os.path.join(own, "kuma-cp", name)
    return f"/tmp/kuma-cp-{user}/{name}"
