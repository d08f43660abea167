"""The opened certificate authorities by name: code that needs one for a mesh asks here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from kuma_core.ca.contract import CaProvider, CaProviderFactory, SigningCaProvider, WatchedCaProvider
from kuma_core.config import Config
from kuma_core.errors import KumaError, PluginError, StoreUnavailable, Violation
from kuma_core.lifecycle import Stop
from kuma_core.model import Resource
from kuma_core.plugin.asking import PASSES, Asking
from kuma_core.plugin.boundary import Boundary, PluginFailed, bounded, told
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.registration import leave_out
from kuma_core.resources.contract import Secrets
from kuma_core.specs.mesh import MESH, MeshSpec

T = TypeVar("T")

_log = structlog.get_logger("certificate-authorities")

ANSWER_SECONDS = 10.0
"""How long a write waits for an authority, which may be a remote service."""
MOST_VALUES = 1000
"""How many certificates a mesh may trust, and how many violations a provider may find."""
RETRY_SECONDS = 5.0
"""How long to wait before calling a provider's watch again, after it broke or ended."""


@dataclass(frozen=True, slots=True)
class OpenedAuthority:
    """An opened provider and the plugin that brought it; errors name that plugin."""

    name: str
    plugin: str
    provider: CaProvider
    boundary: Boundary = field(default_factory=Boundary, repr=False, compare=False)
    asking: Asking | None = field(default=None, repr=False, compare=False)
    _signing: SigningCaProvider | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # looked at once: to ask whether something has the form of a Protocol takes longer than most calls
        signing = self.provider if isinstance(self.provider, SigningCaProvider) else None
        object.__setattr__(self, "_signing", signing)

    def call(self, verb: str, function: Callable[[], T]) -> T:
        """What ``function``, a call of the provider, returns; its errors name the plugin and the ``verb``."""
        return self._through(verb, function)

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> list[Violation]:
        """What is wrong with the content of ``mtls.ca.<name>``, with paths from the mesh's root."""
        found = self._asked("validate", lambda: _violations(self.provider.validate(mesh, conf)))
        start = f"mtls.ca.{self.name}"
        return [Violation(f"{start}.{v.field}".rstrip("."), v.message, v.severity) for v in found]

    def ensure(self, mesh: str) -> None:
        """Make what the authority of a mesh needs, unless it is there."""
        self._asked("ensure", lambda: self.provider.ensure(mesh))

    def trust_anchors(self, mesh: str) -> tuple[str, ...]:
        """The certificates to trust in a mesh, each in PEM."""
        return self._through("trust_anchors", lambda: _anchors(self.provider.trust_anchors(mesh)))

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A certificate chain in PEM, the leaf first."""
        return self._through("issue", lambda: _text(self.provider.issue(mesh, public_key, uris, ttl)))

    def signer(self, mesh: str) -> str | None:
        """The trust anchor of the leaves that the provider issues now, in PEM; ``None`` if it does not tell."""
        signing = self._signing
        if signing is None:
            return None
        return self._through("signer", lambda: _text(signing.signer(mesh)))

    def _through(self, verb: str, function: Callable[[], T]) -> T:
        """Call the provider in this thread, which is one that it may hold."""
        return self._attributed(verb, lambda what: self.boundary.call(self.plugin, what, function, PASSES))

    def _asked(self, verb: str, function: Callable[[], T]) -> T:
        """Call the provider while somebody waits for a write; a remote one may be slow, and that is no offence."""
        asking = self.asking
        if asking is None:
            return self._through(verb, function)
        return self._attributed(
            verb,
            lambda what: asking.ask(self.plugin, what, function, PASSES, ANSWER_SECONDS, offends=False),
        )

    def _attributed(self, verb: str, call: Callable[[str], T]) -> T:
        what = f'{verb} of the certificate authority "{self.name}"'
        try:
            return call(what)
        except PluginFailed as error:
            text = error.__cause__
            said = str(text) if isinstance(text, KumaError) else error.said
            raise PluginError(f'plugin "{self.plugin}": {what} failed: {said}', self.plugin) from error


def _violations(found: Iterable[Violation]) -> list[Violation]:
    violations = bounded(found, MOST_VALUES)
    for value in violations:
        if not isinstance(value, Violation):
            raise TypeError(f"it returned a {type(value).__name__}, which is no Violation")
    return violations


def _anchors(found: Sequence[str]) -> tuple[str, ...]:
    return tuple(_text(anchor) for anchor in bounded(found, MOST_VALUES))


def _text(found: str) -> str:
    if not isinstance(found, str):
        raise TypeError(f"it returned a {type(found).__name__}, which is no text")
    return found


class OpenedAuthorities(Mapping[str, OpenedAuthority]):
    """Every authority that the loaded plugins bring, opened, by the name that ``mtls.ca`` knows it by."""

    def __init__(self, authorities: Mapping[str, OpenedAuthority]) -> None:
        self._authorities = dict(authorities)
        self._listeners: list[Callable[[str], None]] = []

    def __getitem__(self, name: str) -> OpenedAuthority:
        return self._authorities[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._authorities)

    def __len__(self) -> int:
        return len(self._authorities)

    def of(self, mesh: MeshSpec) -> OpenedAuthority | None:
        """The authority that a mesh selects; ``None`` if no loaded plugin brings it."""
        return self.get(mesh.authority())

    def prepare(self, resource: Resource) -> None:
        """Make what the authority of a mesh needs; any other resource needs nothing.

        Call it before storing the mesh: a proxy that sees the mesh then finds its root too, and a crash in
        between leaves nothing but a root that the next creation takes. A root that went missing comes back
        with the next write of the mesh and at each start.
        """
        authority = self.of(resource.spec) if resource.key.type == MESH else None
        if authority:
            authority.ensure(resource.name)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with each mesh whose authority changed by itself. Call this before any server starts."""
        self._listeners.append(listener)

    def watch(self, stop: Stop) -> None:
        """Tell the listeners until ``stop`` is set."""
        threads = [
            threading.Thread(
                target=_watch, args=(authority, self._tell, stop), name=f"ca-{name}", daemon=True
            )
            for name, authority in self.items()
            if isinstance(authority.provider, WatchedCaProvider)
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        for thread in threads:
            thread.join(timeout=RETRY_SECONDS)

    def _tell(self, mesh: str) -> None:
        for listener in self._listeners:
            listener(mesh)


class AuthorityWatch:
    """A component: hears what certificate authorities say by themselves."""

    name = "certificate-authorities"
    leader_only = False

    def __init__(self, authorities: OpenedAuthorities) -> None:
        self._authorities = authorities

    def run(self, stop: Stop) -> None:
        """Listen until ``stop`` is set."""
        self._authorities.watch(stop)


def _watch(authority: OpenedAuthority, changed: Callable[[str], None], stop: Stop) -> None:
    provider = authority.provider
    assert isinstance(provider, WatchedCaProvider)
    while not stop.is_set():
        try:
            provider.watch(changed, stop)
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything when its backend is lost
            _log.warning("a watch broke; attaching it again", plugin=authority.plugin, problem=told(error))
        stop.wait(RETRY_SECONDS)


def open_authorities(
    providers: Mapping[str, Contributed[CaProviderFactory]],
    config: Config,
    secrets: Secrets,
    boundary: Boundary | None = None,
    asking: Asking | None = None,
) -> OpenedAuthorities:
    """Open every registered provider; raises ``PluginError``, which names the one that fails.

    They are called through ``boundary``, and with ``asking`` in threads aside where somebody waits for a write.
    """
    boundary = boundary or Boundary()
    opened = {}
    for name, contributed in providers.items():
        try:
            provider = contributed.value.open(config, secrets)
        except (StoreUnavailable, PluginError):
            raise
        except BaseException as error:  # a start ends with a sentence, whatever a plugin raises
            raise PluginError(
                f'plugin "{contributed.plugin}": the certificate authority "{name}" cannot be opened: '
                f"{told(error)}. Repair it, or {leave_out(contributed.plugin)}",
                contributed.plugin,
            ) from error
        opened[name] = OpenedAuthority(name, contributed.plugin, provider, boundary, asking)
    return OpenedAuthorities(opened)
