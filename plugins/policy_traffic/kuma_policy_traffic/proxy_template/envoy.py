"""What a ProxyTemplate does: it replaces everything that was generated, or adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from kuma_core.sdk import Draft, Match, Subject
from kuma_policy_traffic.proxy_template.memory import MEMORY
from kuma_policy_traffic.proxy_template.spec import DEFAULT_PROFILE


@dataclass(frozen=True, slots=True)
class Template:
    """Whether what was generated is kept, and the texts of raw resources, in order."""

    keeps_generated: bool
    resources: tuple[str, ...]


def resolve(matches: tuple[Match, ...], subject: Subject) -> Template:
    """The one template of the proxy. Without imports nothing that was generated is kept."""
    del subject
    (match,) = matches
    conf = match.spec.conf
    if conf is None:
        return Template(keeps_generated=False, resources=())
    return Template(DEFAULT_PROFILE in conf.imports, tuple(raw.resource for raw in conf.resources))


SHORT = 4_000
"""Characters that take some milliseconds to read."""


def prepare(conf: Template) -> Callable[[], object] | None:
    """Reading what nobody read yet, if it is long: one of 540 kB takes half a second."""
    unread = [text for text in conf.resources if MEMORY.find(text) is None]
    return partial(_read_all, tuple(unread)) if sum(map(len, unread)) > SHORT else None


def _read_all(texts: tuple[str, ...]) -> None:
    from kuma_policy_traffic.proxy_template.known import read_all

    read_all(texts)


def apply(drafts: dict[tuple[str, str], Draft], conf: Template) -> None:
    """A raw resource replaces a generated one of the same type and name."""
    from kuma_policy_traffic.proxy_template.known import known_resource

    if not conf.keeps_generated:
        drafts.clear()
    for text in conf.resources:
        found = known_resource(text)
        key = (found.type_url, found.name)
        drafts[key] = Draft(*key, text, build, encoded=found.encoded)


def build(text: str) -> Any:
    """The live message of a raw resource."""
    from kuma_policy_traffic.proxy_template.convert import read_resource

    return read_resource(text).message
