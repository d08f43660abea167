"""The file of ``kumactl export``: a stream of YAML documents with a first and a last line by which it is known.

Each document is a resource as REST shows it; the last one may be the encrypted secrets. The lines around them are
comments, so that whatever reads YAML reads the file; they tell a newer format, and one that was cut off.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kuma_core.errors import KumaError
from kuma_core.kumactl.session import warn

FORMAT = 1
SECRETS = "SecretsArchive"
"""The type of the document with the secrets; only the admin server looks into it."""

MAX_BYTES = 256 * 1024 * 1024
MAX_PASSPHRASE_FILE = 4096

_HEAD = "# kumactl export, format "
_END = "# the end of the export"
_BASE64 = re.compile(r"([A-Za-z0-9+/=]+\n)+")
_DOCUMENT = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: documents, each with the words by which messages call it, and the secrets if any."""

    documents: Sequence[tuple[Any, str]]
    archive: Mapping[str, Any] | None


def compose(resources: Sequence[Mapping[str, Any]], archive: Mapping[str, Any] | None, about: str) -> str:
    """The text of a file; ``about`` is told in comments at its head."""
    from kuma_core.kumactl.output import dump_yaml

    head = "".join(f"# {line}\n" for line in about.splitlines())
    documents = "".join(f"---\n{dump_yaml(resource)}" for resource in resources)
    return f"{_HEAD}{FORMAT}\n{head}{documents}{_archive_text(archive) if archive else ''}{_END}\n"


def _archive_text(archive: Mapping[str, Any]) -> str:
    """The data line by line: YAML's writer takes a minute for what may be in it."""
    from kuma_core.kumactl.output import dump_yaml

    data = archive.get("data")
    if not (isinstance(data, str) and _BASE64.fullmatch(data)):
        return f"---\n{dump_yaml(archive)}"
    lines = "".join(f"  {line}\n" for line in data.splitlines())
    return f"---\ndata: |\n{lines}{dump_yaml({k: v for k, v in archive.items() if k != 'data'})}"


def read(place: str) -> Content:
    """The content of a file or of standard input (``-``).

    Raises KumaError: not there, too large, no YAML, of a newer format, cut off, or secrets twice. A file without the
    first line of an export is taken as one that somebody wrote.
    """
    from kuma_core.kumactl import source

    text, name = source.read(place, MAX_BYTES)
    _check_frame(text, name)
    values = list(_documents(text, name))
    if not values:
        raise KumaError(f"nothing to import: {name} holds no document")
    found = [(value, f"document {number} of {name}") for number, value in enumerate(values, start=1)]
    archives = [value for value, _ in found if _is_archive(value)]
    if len(archives) > 1:
        raise KumaError(f"{name} holds secrets twice; take one of the documents with the type {SECRETS} out")
    return Content([each for each in found if not _is_archive(each[0])], archives[0] if archives else None)


def _is_archive(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == SECRETS


def _check_frame(text: str, name: str) -> None:
    first = text.partition("\n")[0].rstrip()
    if not first.startswith(_HEAD):
        return
    if first != f"{_HEAD}{FORMAT}":
        found = first.removeprefix(_HEAD)[:20]
        raise KumaError(
            f"{name} has the format {found} of a newer kumactl, and this one knows {FORMAT}; upgrade it"
        )
    if text.rstrip().rpartition("\n")[2] != _END:
        raise KumaError(f'{name} was cut off: its last line is not "{_END}"; take another copy of it')


def _documents(text: str, name: str) -> Iterator[Any]:
    """Document by document: what they may hold is bounded for each, not for all together."""
    from kuma_core.documents import DocumentError, load_documents

    starts = [0, *(found.start() for found in _DOCUMENT.finditer(text)), len(text)]
    line = 0
    for start, end in pairwise(starts):
        try:
            yield from load_documents(text[start:end], name)
        except DocumentError as error:
            raise DocumentError(name, error.line + line, error.column, error.problem) from None
        line += text.count("\n", start, end)


def passphrase(path: str) -> str:
    """The passphrase in a file, without the newline at its end; warns if others may read it.

    Raises KumaError that shows nothing of it.
    """
    from kuma_core.kumactl.files import reason

    try:
        with open(path, "rb") as file:
            exposed = os.fstat(file.fileno()).st_mode & 0o077
            data = file.read(MAX_PASSPHRASE_FILE + 1)
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise KumaError(f'cannot use the passphrase in "{path}": it is not UTF-8 text') from None
    except (OSError, ValueError) as error:
        raise KumaError(f'cannot read the passphrase in "{path}": {reason(error)}') from None
    if len(data) > MAX_PASSPHRASE_FILE:
        raise KumaError(
            f'cannot use the passphrase in "{path}": it has more than {MAX_PASSPHRASE_FILE} bytes'
        )
    if exposed:
        warn(f'others than you may read the passphrase in "{path}"; run: chmod 600 {path}')
    return text.removesuffix("\n").removesuffix("\r")
