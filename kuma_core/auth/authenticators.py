"""How proxies prove who they are in this control plane: the one way that the loaded plugins offer, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from kuma_core.auth.contract import (
    Authenticator,
    Claim,
    Proof,
    Tags,
    Unauthenticated,
    WatchedProxyAuthenticator,
)
from kuma_core.errors import KumaError, NotFound, PluginError, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.plugin.boundary import told
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.registration import is_builtin
from kuma_core.xds.proxy import Proxy

_log = structlog.get_logger("proxy-authenticator")

RETRY_SECONDS = 5.0


class Attributed:
    """An authenticator and the plugin that brought it; errors name that plugin."""

    def __init__(self, entry: Contributed[Authenticator]) -> None:
        self.name, self._plugin = entry.value.name, entry.plugin
        self._authenticator = entry.value.authenticator
        self.spares_plain = entry.value.spares_plain

    def recognise(self, credential: str) -> Claim:
        """As ``ProxyAuthenticator`` has it."""
        with self.attributed():
            claim = self._authenticator.recognise(credential)
            proof = getattr(claim, "proof", None)
            if not isinstance(proof, Proof):
                raise TypeError(f"it returned a {type(claim).__name__}, which is no Claim: it has no Proof")
        return _AttributedClaim(self, claim, replace(proof, confirm=lambda: self._confirm(proof)))

    def watch(self, changed: Callable[[], None], stop: Stop) -> None:
        """Call ``changed`` whenever a proof may be good no longer, until ``stop`` is set."""
        while not stop.is_set():
            if isinstance(self._authenticator, WatchedProxyAuthenticator):
                try:
                    self._authenticator.watch(changed, stop)
                except BaseException as error:  # noqa: BLE001 - a plugin may raise anything when its backend is lost
                    _log.warning(
                        "a watch broke; attaching it again", plugin=self._plugin, problem=told(error)
                    )
                stop.wait(RETRY_SECONDS)
            else:
                stop.wait()

    def _confirm(self, proof: Proof) -> None:
        with self.attributed():
            proof.confirm()

    @contextmanager
    def attributed(self) -> Iterator[None]:
        """Have whatever the plugin raises name it."""
        try:
            yield
        except (StoreUnavailable, PluginError, NotFound, Unauthenticated):
            raise
        except BaseException as error:  # a plugin may raise anything
            said = str(error) if isinstance(error, KumaError) else told(error)
            raise PluginError(
                f'plugin "{self._plugin}": the authenticator "{self.name}" failed: {said}', self._plugin
            ) from error


@dataclass(frozen=True, slots=True)
class _AttributedClaim:
    """A claim of a plugin's authenticator."""

    authenticator: Attributed
    claim: Claim
    proof: Proof

    def allows(self, proxy: Proxy, tags: Tags) -> None:
        with self.authenticator.attributed():
            self.claim.allows(proxy, tags)


def one_authenticator(found: Sequence[Contributed[Authenticator]]) -> Attributed | None:
    """The one way to prove who one is, or ``None``, where the control plane believes everybody.

    Raises ``PluginError`` if there are several: a proxy has one credential to show.
    """
    if len(found) > 1:
        said = " and ".join(f'"{entry.value.name}" of plugin "{entry.plugin}"' for entry in found)
        foreign = [entry.plugin for entry in found if not is_builtin(entry.plugin)]
        without = " or ".join(f"--plugins no:{plugin}" for plugin in foreign)
        raise PluginError(
            f"proxies can prove who they are in one way only, and there are {said}; start without a plugin "
            f"({without}), or turn dataplane tokens off "
            "(adminServer.apis.dataplaneToken.enabled: false)",
            found[-1].plugin,
            "kuma_register_authenticators",
        )
    return Attributed(found[0]) if found else None
