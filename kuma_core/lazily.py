"""A package that hands names on without importing what they need: each is found when it is first asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping


def handing_on(package: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """The ``__getattr__`` of a package (PEP 562) some of whose names lie in modules that are not imported yet.

    ``places`` gives for each of these modules the names in it, separated by spaces; ``a:b`` is ``a`` there, ``b`` here.
    """
    found: dict[str, tuple[str, str]] = {}
    for module, names in places.items():
        for name in names.split():
            there, _, here = name.partition(":")
            found[here or there] = (module, there)

    def getattr_(name: str) -> object:
        if name not in found:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, there = found[name]
        value = getattr(importlib.import_module(module), there)
        setattr(sys.modules[package], name, value)
        return value

    return getattr_
