"""What a program was built from, as far as it is known: ``version --detailed``.

``setup.py`` writes the commit, its tag and the time into the wheel. In a checkout git's own files tell the commit; no
program is started for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kuma_core import __version__

STAMP = "built.json"
"""The file in this package: an object with ``commit``, ``tag`` and ``date``, of which each may be missing."""

_HERE = os.path.dirname(os.path.abspath(__file__))
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_LARGEST = 1024 * 1024


def detailed_version() -> str:
    """The five lines of ``version --detailed``; what is not known is ``unknown``."""
    import platform

    found = built_from(_HERE)
    rows = [
        ("Version:", __version__),
        ("Git Tag:", found.get("tag", "unknown")),
        ("Git Commit:", found.get("commit", "unknown")),
        ("Build Date:", found.get("date", "unknown")),
        ("Python:", platform.python_version()),
    ]
    return "\n".join(f"{label:<12}{value}" for label, value in rows)


def built_from(package: str) -> Mapping[str, str]:
    """What is known of the package in a folder: what its build wrote down, else the commit of the checkout."""
    import json

    try:
        stamp = json.loads(_text(os.path.join(package, STAMP)))
        return {key: value for key, value in stamp.items() if isinstance(value, str) and value.isprintable()}
    except (OSError, ValueError, AttributeError, RecursionError):
        commit = _commit(os.path.join(os.path.dirname(package), ".git"))
        return {"commit": commit} if commit else {}


def _commit(git: str) -> str:
    """The commit of a checkout, by its folder ``.git``, or the file of that name in a further worktree."""
    try:
        if os.path.isfile(git):
            git = os.path.join(os.path.dirname(git), _text(git).removeprefix("gitdir:").strip())
        head = _text(os.path.join(git, "HEAD")).strip()
        if head.startswith("ref:"):
            head = _resolved(git, head.removeprefix("ref:").strip())
    except (OSError, ValueError):
        return ""
    return head if _COMMIT.fullmatch(head) else ""


def _resolved(git: str, name: str) -> str:
    """The commit that a branch is at; branches are where all worktrees share them."""
    try:
        shared = os.path.join(git, _text(os.path.join(git, "commondir")).strip())
    except OSError:
        shared = git
    try:
        return _text(os.path.join(shared, name)).strip()
    except OSError:
        lines = _text(os.path.join(shared, "packed-refs")).splitlines()
        return next((line.split(" ")[0] for line in lines if line.endswith(f" {name}")), "")


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read(_LARGEST)
