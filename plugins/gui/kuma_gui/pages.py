"""The built pages as they lie in the package: each read once, with its type and what a browser may do with it."""

from __future__ import annotations

import gzip
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "pages"
INDEX = "/index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Told to browsers whatever the machine's own tables say: a script of another type is refused by them."""
STAMP = "stamp.txt"
"""What the build writes last."""
UNSEEN = ("/manifest.json", f"/{STAMP}")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the pages. ``packed`` is the same in gzip, empty where that saves nothing; ``kept`` says that its name
    changes with its content, so that a browser may keep it for good."""

    body: bytes
    packed: bytes
    type: str
    kept: bool


class Pages:
    """The files of a folder, read once they are there, and again after they were built anew."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder, self._built = folder, 0
        self._files: Mapping[str, File] = {}

    def files(self) -> Mapping[str, File]:
        """All files by path; nothing as long as the pages were not built."""
        try:
            built = (self._folder / STAMP).stat().st_mtime_ns
        except OSError:  # not yet, or at this moment: what was there is served meanwhile
            return self._files
        if built != self._built:
            self._files, self._built = dict(_files(self._folder)), built
        return self._files


def _files(folder: Path) -> Iterator[tuple[str, File]]:
    for path in sorted(folder.rglob("*")):
        place = "/" + path.relative_to(folder).as_posix()
        if path.is_file() and place not in UNSEEN and not path.name.startswith("."):
            yield place, _file(path, place)


def _file(path: Path, place: str) -> File:
    body = path.read_bytes()
    packed = gzip.compress(body, mtime=0)
    type_ = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(body, packed if len(packed) < len(body) else b"", type_, place.startswith("/assets/"))
