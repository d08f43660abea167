"""The kinds of resources that the server knows, and which of them a word on the command line means.

kumactl asks ``GET /kinds``, as kubectl does, so that kinds of other people's plugins work with nothing installed
beside kumactl. The only kinds that it knows by itself are those of Kuma 0.3, which cannot tell them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kuma_core import packages
from kuma_core.commandline import tell
from kuma_core.errors import KumaError
from kuma_core.kumactl import kuma_0_3
from kuma_core.kumactl.client import ApiError, Client, Unreachable, check_steps, item_path, known_shape
from kuma_core.model import CellFormat, Column, Scope
from kuma_core.visible import printable


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as the server describes it; the names are those of ``kuma_core.model.ResourceType``."""

    name: str
    path: str
    singular: str
    aliases: tuple[str, ...]
    scope: Scope
    read_only: bool
    status: bool
    columns: tuple[Column, ...]

    def path_of(self, mesh: str, name: str | None = None) -> str:
        """The path of an item, or for None of the whole collection; a global kind has no mesh in it.

        Raises KumaError for a name that cannot stand in a path.
        """
        check_steps(mesh, name or "")
        return item_path(mesh if self.scope is Scope.MESH else None, self.path, name)

    def missing(self, mesh: str, name: str) -> KumaError:
        """The error for an item that is not there."""
        where = f' in mesh "{mesh}"' if self.scope is Scope.MESH else ""
        return KumaError(f'there is no {self.name} with name "{name}"{where}')


class UnknownKind(KumaError):
    """No kind has that name; the message lists those that there are, or says which package brings one of ours."""


class ServedKinds:
    """All kinds of a server; ``older`` is what it is called if it is a control plane of Kuma 0.3, else empty.

    ``hidden`` are sentences about resources that are stored there and that none of its plugins brings.
    """

    def __init__(self, kinds: Sequence[Kind], older: str = "", hidden: Sequence[str] = ()) -> None:
        self._kinds = tuple(kinds)
        self.older = older
        self.hidden = tuple(hidden)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds)

    def find(self, word: str) -> Kind:
        """The kind that a word means: its path, singular, alias or name, whatever the case and the dashes.

        Raises UnknownKind.
        """
        wanted = _bare(word)
        for names in (_paths, _singulars, _aliases, _type_names):
            for kind in self._kinds:
                if wanted in map(_bare, names(kind)):
                    return kind
        raise _unknown_type(word, [k.path for k in self._kinds])

    def find_singular(self, word: str) -> Kind:
        """As ``find``, but the error lists singulars."""
        try:
            return self.find(word)
        except UnknownKind:
            raise _unknown_type(word, [k.singular for k in self._kinds]) from None

    def find_type(self, word: str) -> Kind:
        """As ``find``, but the error lists the names that a document's ``type`` may have."""
        try:
            return self.find(word)
        except UnknownKind:
            known = "this control plane has " + ", ".join(k.name for k in self._kinds)
            raise UnknownKind(f'unknown type "{word}"; {packages.of_kind(word) or known}') from None

    def check_dry_run(self) -> None:
        """Raise KumaError if the server would take a dry run for a write, as those do that know no dry runs."""
        if self.older:
            raise KumaError(
                f"{self.older} knows no dry runs, and would do what it is only asked about; nothing was sent"
            )


def _unknown_type(word: str, allowed: Sequence[str]) -> UnknownKind:
    known = "Allowed values: " + ", ".join(allowed)
    return UnknownKind(f"unknown TYPE: {word}. {packages.of_kind(word) or known}")


def _bare(word: str) -> str:
    return word.replace("-", "").lower()


def _paths(kind: Kind) -> Sequence[str]:
    return (kind.path,)


def _singulars(kind: Kind) -> Sequence[str]:
    return (kind.singular,)


def _aliases(kind: Kind) -> Sequence[str]:
    return kind.aliases


def _type_names(kind: Kind) -> Sequence[str]:
    return (kind.name,)


def fetch(client: Client) -> ServedKinds:
    """Ask the server for its kinds. Raises what ``Client.get`` does."""
    try:
        value = client.get("/kinds")
    except ApiError as error:
        if error.status != 404:
            raise
        return _of_kuma_0_3(client)
    with known_shape(f"{client.url}/kinds"):
        hidden = [_hidden(item) for item in value.get("missing", [])]
        return ServedKinds([_kind(k) for k in _list(value["kinds"])], hidden=hidden)


def _hidden(item: dict[str, Any]) -> str:
    kind, plugin, package = (_text(item[key]) for key in ("name", "plugin", "package"))
    return printable(
        f'{int(item["count"])} of the kind {kind}, which the plugin "{plugin}" ({package}) brings'
    )


def _of_kuma_0_3(client: Client) -> ServedKinds:
    """The kinds of a server that cannot tell them, if it is Kuma 0.3; says so."""
    with suppress(ApiError):
        index = client.get("/")
        if index.get("tagline") == "Kuma" and kuma_0_3.is_version(index.get("version")):
            older = printable(f"Kuma {index['version']} at {client.url}")
            tell(f"Note: {older} does not tell which kinds it has; kumactl takes those of Kuma 0.3")
            return ServedKinds([_kind(kind) for kind in kuma_0_3.KINDS], older)
    raise Unreachable(f"{client.url}/kinds is not there: this is not a control plane of ours")


def _kind(value: dict[str, Any]) -> Kind:
    return Kind(
        name=_text(value["name"]),
        path=_text(value["path"]),
        singular=_text(value.get("singular", value["path"])),
        aliases=tuple(_text(a) for a in _list(value.get("aliases", []))),
        scope=Scope(value["scope"]),
        read_only=value.get("readOnly", False) is True,
        status=value.get("status", False) is True,
        columns=tuple(_column(c) for c in _list(value.get("columns", []))),
    )


def _column(value: dict[str, Any]) -> Column:
    """A column; a format of a newer server is shown as text."""
    known = {f.value: f for f in CellFormat}
    cell_format = known.get(_text(value.get("format", "text")), CellFormat.TEXT)
    return Column(_text(value["header"]), _text(value["path"]), cell_format, _text(value.get("default", "")))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value
