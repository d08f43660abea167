"""The opened certificate authorities by name: code that needs one for a mesh asks here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from kuma_core.ca.contract import CaProvider, CaProviderFactory, SigningCaProvider, WatchedCaProvider
from kuma_core.config import Config
from kuma_core.errors import KumaError, PluginError, StoreUnavailable, Violation
from kuma_core.lifecycle import Stop
from kuma_core.model import Resource
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.registration import leave_out
from kuma_core.resources.contract import Secrets
from kuma_core.specs.mesh import MESH, MeshSpec

T = TypeVar("T")

_log = structlog.get_logger("certificate-authorities")

RETRY_SECONDS = 5.0
"""How long to wait before calling a provider's watch again, after it broke or ended."""


@dataclass(frozen=True, slots=True)
class OpenedAuthority:
    """An opened provider and the plugin that brought it; errors name that plugin."""

    name: str
    plugin: str
    provider: CaProvider
    _signing: SigningCaProvider | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # looked at once: to ask whether something has the form of a Protocol takes longer than most calls
        signing = self.provider if isinstance(self.provider, SigningCaProvider) else None
        object.__setattr__(self, "_signing", signing)

    def call(self, verb: str, function: Callable[[], T]) -> T:
        """What ``function``, a call of the provider, returns; its errors name the plugin and the ``verb``."""
        with self._attributed(verb):
            return function()

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> list[Violation]:
        """What is wrong with the content of ``mtls.ca.<name>``, with paths from the mesh's root."""
        with self._attributed("validate"):
            found = list(self.provider.validate(mesh, conf))
        start = f"mtls.ca.{self.name}"
        return [Violation(f"{start}.{v.field}".rstrip("."), v.message, v.severity) for v in found]

    def ensure(self, mesh: str) -> None:
        """Make what the authority of a mesh needs, unless it is there."""
        with self._attributed("ensure"):
            self.provider.ensure(mesh)

    def trust_anchors(self, mesh: str) -> tuple[str, ...]:
        """The certificates to trust in a mesh, each in PEM."""
        with self._attributed("trust_anchors"):
            return tuple(self.provider.trust_anchors(mesh))

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A certificate chain in PEM, the leaf first."""
        with self._attributed("issue"):
            return self.provider.issue(mesh, public_key, uris, ttl)

    def signer(self, mesh: str) -> str | None:
        """The trust anchor of the leaves that the provider issues now, in PEM; ``None`` if it does not tell."""
        if self._signing is None:
            return None
        with self._attributed("signer"):
            return self._signing.signer(mesh)

    @contextmanager
    def _attributed(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (StoreUnavailable, PluginError):
            raise
        except Exception as error:
            said = str(error) if isinstance(error, KumaError) else f"{type(error).__name__}: {error}"
            raise PluginError(
                f'plugin "{self.plugin}": {verb} of the certificate authority "{self.name}" failed: {said}',
                self.plugin,
            ) from error


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
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything when its backend is lost
            _log.warning("a watch broke; attaching it again", plugin=authority.plugin, problem=str(error))
        stop.wait(RETRY_SECONDS)


def open_authorities(
    providers: Mapping[str, Contributed[CaProviderFactory]], config: Config, secrets: Secrets
) -> OpenedAuthorities:
    """Open every registered provider; raises ``PluginError``, which names the one that fails."""
    opened = {}
    for name, contributed in providers.items():
        try:
            provider = contributed.value.open(config, secrets)
        except (StoreUnavailable, PluginError):
            raise
        except Exception as error:
            raise PluginError(
                f'plugin "{contributed.plugin}": the certificate authority "{name}" cannot be opened: '
                f"{type(error).__name__}: {error}. Repair it, or {leave_out(contributed.plugin)}",
                contributed.plugin,
            ) from error
        opened[name] = OpenedAuthority(name, contributed.plugin, provider)
    return OpenedAuthorities(opened)
