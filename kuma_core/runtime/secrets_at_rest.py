"""Opens the secrets at start: the control plane must read every one, or it does not start and makes none anew."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from kuma_core.errors import UnreadableResource
from kuma_core.resources.contract import OwnSecret, Store
from kuma_core.resources.encryption import PLAIN, Keyring
from kuma_core.resources.secrets import SecretManager, Survey

_log = structlog.get_logger("secrets")


def open_secrets(store: Store, keyring: Keyring, own: Iterable[OwnSecret] = ()) -> SecretManager:
    """The secrets of a store, after it decrypted each of them once.

    Raises ``UnreadableResource`` that names the first one that cannot be, or ``StoreUnavailable``.
    """
    secrets = SecretManager(store, keyring, own)
    survey = secrets.survey()
    if survey.unreadable:
        raise UnreadableResource(_refusal(survey))
    stale = sum(count for id, count in survey.readable.items() if id != keyring.key_id)
    if stale:
        wanted = f"with the key {keyring.key_id}" if keyring.key_id != PLAIN else "in the clear"
        _log.warning(
            "some secrets are not stored as they should be; run kuma-cp secrets rekey once every control "
            "plane has the same file of keys",
            secrets=stale,
            wanted=wanted,
        )
    return secrets


def _refusal(survey: Survey) -> str:
    first, *others = map(str, survey.unreadable)
    more = f". {len(others)} more cannot be read either" if others else ""
    return f"{first}{more}. Nothing was started, and nothing is made anew in its place"
