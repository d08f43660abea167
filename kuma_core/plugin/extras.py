"""What a plugin needs to work in a control plane is its extra ``cp``; this room tells what of that is missing.

Installed bare, a plugin brings its commands only: kumactl on another machine needs no more.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kuma_core import packages

if TYPE_CHECKING:
    from packaging.requirements import Requirement

CONTROL_PLANE = "cp"
"""The extra of every distribution that takes part in a control plane."""


def lacking(requires: Iterable[str], extra: str) -> list[str]:
    """The distributions that an extra asks for and that are not installed, sorted; also for extras it asks for.

    One whose version does not fit is among them, with that version.

    ``requires`` are a distribution's requirements, as its metadata has them.
    """
    return sorted(_lacking(requires, extra, set()))


def _lacking(requires: Iterable[str], extra: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in requires:
        try:
            needed = Requirement(line)
        except InvalidRequirement:
            continue  # pip could not have installed it by this line either
        if not _asked_by(needed, extra):
            continue
        try:
            found = importlib.metadata.distribution(needed.name)
        except importlib.metadata.PackageNotFoundError:
            yield needed.name
            continue
        if not needed.specifier.contains(found.version, prereleases=True):
            yield f"{needed.name} {needed.specifier} instead of {found.version}"
            continue
        for further in needed.extras:
            if (needed.name, further) not in seen:
                seen.add((needed.name, further))
                yield from _lacking(found.requires or (), further, seen)


def _asked_by(needed: Requirement, extra: str) -> bool:
    """Whether an extra needs it; what a distribution needs in any case came with it."""
    marker = needed.marker
    return bool(marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}))


def advice(distribution: str, requires: Iterable[str], extra: str) -> str:
    """What is missing for an extra and how to install it; empty if nothing is."""
    missing = lacking(requires, extra)
    if not missing:
        return ""
    return (
        "was installed without what it needs in a control plane "
        f"({', '.join(missing)}): {packages.pip_install(distribution, extra)}"
    )
