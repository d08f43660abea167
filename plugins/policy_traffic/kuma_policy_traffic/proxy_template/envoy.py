"""What a ProxyTemplate does: it replaces everything that was generated, or adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from kuma_core.sdk import Draft, Match, PluginError, Subject
from kuma_policy_traffic.proxy_template.memory import MEMORY
from kuma_policy_traffic.proxy_template.met import Met
from kuma_policy_traffic.proxy_template.spec import DEFAULT_PROFILE
from kuma_policy_traffic.settings import ALLOWED, DIRECTORY


@dataclass(frozen=True, slots=True)
class Template:
    """Whether what was generated is kept, and the texts of raw resources, in order.

    The rest decides whether the proxy may get them: what the setting allows, where files of logs have to be, the port
    of Envoy's admin API, and the addresses of the proxy's machine.
    """

    keeps_generated: bool
    resources: tuple[str, ...]
    allowed: frozenset[str] = frozenset()
    directory: str = ""
    admin_port: int = 0
    own: frozenset[str] = frozenset()


def resolve(matches: tuple[Match, ...], subject: Subject) -> Template:
    """The one template of the proxy. Without imports nothing that was generated is kept."""
    (match,) = matches
    conf = match.spec.conf
    if conf is None:
        return Template(keeps_generated=False, resources=())
    return Template(
        DEFAULT_PROFILE in conf.imports,
        tuple(raw.resource for raw in conf.resources),
        frozenset(subject.setting(ALLOWED) or ()),
        subject.setting(DIRECTORY) or "",
        subject.admin_port,
        frozenset(item.address.host for item in subject.dataplane.networking.inbound),
    )


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
        if problem := _refusal(found.met, conf):
            said = f'{found.type_url.rpartition(".")[2]} "{found.name:.100}" is not sent: {problem}'
            raise PluginError(said, "policy_traffic")
        key = (found.type_url, found.name)
        drafts[key] = Draft(*key, text, build, encoded=found.encoded)


def _refusal(met: Met, conf: Template) -> str:
    """Why the proxy does not get a resource that is stored all the same: by an earlier version, or another setting.

    It keeps what it has, as a whole: without a part of its template it might let in whom that part kept out.
    """
    from kuma_policy_traffic.proxy_template.met import admin_refusal, outside, refusals

    found = next(refusals(met, conf.allowed), "") or outside(met, conf.directory)
    return found or admin_refusal(met, conf.allowed, conf.admin_port, conf.own)


def build(text: str) -> Any:
    """The live message of a raw resource."""
    from kuma_policy_traffic.proxy_template.convert import read_resource

    return read_resource(text).message
