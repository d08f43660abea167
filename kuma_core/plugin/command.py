"""What a plugin gives for a command of its own, or an output format: its name, what it does in a line, and which module
holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PROGRAMS = ("kumactl", "kuma-cp")
"""The programs that take commands of plugins."""

OWN_FORMATS = ("table", "yaml", "json")
"""The output formats that kumactl itself has."""

_WORD = re.compile(r"[a-z][a-z0-9-]*")
_PLACE = re.compile(r"\w+(\.\w+)*:\w+")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of click that a plugin adds to a program.

    ``path`` are the words behind the program's name; all but the last lead to a group that the program itself has.
    ``place`` says where the command stands, as ``module:attribute``: the program imports that module when
    somebody calls the command, while lists show ``help`` and import nothing. Raises ValueError for what cannot be one.
    """

    program: str
    path: tuple[str, ...]
    help: str
    place: str

    def __post_init__(self) -> None:
        if self.program not in PROGRAMS:
            raise ValueError(f"the program of a command is {' or '.join(PROGRAMS)}, not {self.program!r}")
        words = self.path if isinstance(self.path, tuple) else ()
        if not words or not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
            raise ValueError(
                f'the path of a command is a tuple of words such as ("manage", "ca"), not {self.path!r}'
            )
        if not self.help or "\n" in self.help:
            raise ValueError(f'the help of the command "{self.name}" is one line of text, not {self.help!r}')
        if not _PLACE.fullmatch(self.place):
            raise ValueError(
                f'the place of the command "{self.name}" is module:attribute, not {self.place!r}'
            )

    @property
    def name(self) -> str:
        """The whole command as one types it."""
        return " ".join((self.program, *self.path))


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A format in which ``kumactl apply -o`` and ``kumactl get -o`` print resources.

    ``place`` says where its function stands, as ``module:attribute``: it gets the documents of the resources and
    returns the text of all of them. kumactl imports that module when somebody asks for the format. Raises ValueError
    for what cannot be one.
    """

    name: str
    help: str
    place: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _WORD.fullmatch(self.name) or self.name in OWN_FORMATS:
            raise ValueError(f"the name of an output format is a word of its own, not {self.name!r}")
        if not self.help or "\n" in self.help:
            raise ValueError(
                f'the help of the output format "{self.name}" is one line of text, not {self.help!r}'
            )
        if not _PLACE.fullmatch(self.place):
            raise ValueError(
                f'the place of the output format "{self.name}" is module:attribute, not {self.place!r}'
            )
