"""Units of systemd, read as systemd reads them, as far as ours go."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "systemd"
UNITS = ("kuma-cp.service", "kuma-dp@.service")


class Unit:
    """The values of each key, in order: a key may stand there several times."""

    def __init__(self, name: str) -> None:
        self.text = (FOLDER / name).read_text(encoding="utf-8")
        self._values: dict[tuple[str, str], list[str]] = {}
        section = ""
        for line in self.text.splitlines():
            if found := re.fullmatch(r"\[(\w+)\]", line):
                section = found[1]
            elif line and not line.startswith("#"):
                key, equals, value = line.partition("=")
                assert equals, f"{name}: {line!r} is no assignment"
                assert key == key.strip()
                assert section
                self._values.setdefault((section, key), []).append(value)

    def all(self, key: str, section: str = "Service") -> list[str]:
        """Every value of a key."""
        return self._values.get((section, key), [])

    def one(self, key: str, section: str = "Service") -> str:
        """The value of a key that stands there once."""
        (value,) = self.all(key, section)
        return value

    def command(self) -> list[str]:
        """The words of ``ExecStart``."""
        return shlex.split(self.one("ExecStart"))

    def environment(self, specifiers: Mapping[str, str]) -> dict[str, str]:
        """What ``Environment`` sets, with specifiers such as ``%i`` replaced."""
        text = dict(line.split("=", 1) for line in self.all("Environment"))
        return {
            name: re.sub(r"%(.)", lambda found: specifiers[found[1]], value) for name, value in text.items()
        }


def environment_file(path: Path) -> dict[str, str]:
    """The variables of an ``EnvironmentFile`` without quotes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
