"""The bootstrap configuration as kuma-dp reads it, before Envoy does. Only what prepares a run needs YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ADS: Final = ("dynamicResources", "adsConfig", "grpcServices", 0)
"""Where it says how Envoy reaches its control plane."""


def load(text: bytes) -> Any:
    """What a text says. Raises ``ValueError`` with the kind of the fault if it cannot be read."""
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(type(error).__name__) from error


def read(text: bytes) -> Mapping[str, Any] | None:
    """The same; ``None`` for what is no configuration at all: Envoy says what is wrong with it."""
    try:
        found = load(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def at(document: Any, *steps: str | int) -> Any:
    """What is at a place in a document; ``None`` if there is no such place."""
    for step in steps:
        try:
            document = document[step]
        except (LookupError, TypeError):
            return None
    return document
