"""What ``setup.cfg`` cannot say: a wheel, and an sdist, holds what it was built from (``kuma_core/built.py`` reads it).

Without git, or from an sdist, what is known already is kept. ``KUMA_BUILD_COMMIT`` and ``KUMA_BUILD_TAG`` are for
builds that have no git, ``SOURCE_DATE_EPOCH`` (seconds) for those that are to give the same bytes again.
"""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
STAMP = Path("kuma_core", "built.json")


def git(*words: str) -> str:
    """What git prints about this checkout, or nothing: ``ROOT`` may lie in somebody else's."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def commit() -> str:
    """The commit, with a mark if files of it were changed."""
    found = git("rev-parse", "HEAD")
    changed = found and git("status", "--porcelain", "--untracked-files=no")
    return f"{found} (changed)" if changed else found


def stamp(folder: Path) -> None:
    """Write what is known into a tree that is about to be packed; a stamp that is there is kept if nothing is."""
    found = {
        "commit": os.environ.get("KUMA_BUILD_COMMIT") or commit(),
        "tag": os.environ.get("KUMA_BUILD_TAG") or git("describe", "--tags", "--exact-match", "HEAD"),
    }
    known = {key: value for key, value in found.items() if value}
    place = folder / STAMP
    if place.exists() and not known:
        return
    place.unlink(missing_ok=True)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    known["date"] = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    place.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


class BuildPy(build_py):
    """The files of a wheel; those of an editable installation are the checkout's own."""

    def run(self) -> None:
        """Copy the package, and write the stamp beside it."""
        stale = Path(self.build_lib, STAMP)
        if not self.editable_mode:
            stale.unlink(missing_ok=True)  # of a build before, which may have known more than is true now
        super().run()
        if not self.editable_mode:
            stamp(Path(self.build_lib))


class Sdist(sdist):
    """The files of an sdist."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the files, and write the stamp among them."""
        super().make_release_tree(base_dir, files)
        stamp(Path(base_dir))


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
