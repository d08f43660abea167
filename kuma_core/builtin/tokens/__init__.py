"""Dataplane tokens: the keys that sign them, issuing, verifying and revoking. A stranger finds all of it here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.tokens.feature import TokensFeature
    from kuma_core.plugin.contract import Context
    from kuma_core.resources.contract import OwnSecret


@hookimpl
def kuma_register_secrets() -> Iterable[OwnSecret]:
    """The keys that sign, and the revocations: an import of an older backup makes no token good again."""
    from kuma_core.builtin.tokens.secrets import OWN_SECRETS

    return OWN_SECRETS


@hookimpl
def kuma_open(context: Context) -> TokensFeature:
    """The keys and the revocations, which the parts share."""
    from kuma_core.builtin.tokens.feature import TokensFeature

    return TokensFeature(context)
