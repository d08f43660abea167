"""``/tokens/signing-keys``: which keys sign and verify dataplane tokens, the next one, and the end of an old one."""

from __future__ import annotations

from typing import Any

import falcon
import structlog

from kuma_core.api.audit import wrote
from kuma_core.api.exchange import answer_json, answer_list
from kuma_core.builtin.tokens.keys import Key, SigningKeys

_log = structlog.get_logger("dataplane-tokens")


class SigningKeyCollection:
    """Lists the keys, the one that signs first, and makes the next one."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Ids and serials; nothing of the keys themselves is ever shown."""
        req.context.title = "Could not list the signing keys"
        answer_list(resp, [_shown(key, signs=place == 0) for place, key in enumerate(self._keys.all())])

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make the next key, which signs from now on; tokens of the others stay good."""
        req.context.title = "Could not make a signing key"
        key = self._keys.rotate()
        wrote(req, "created", kind="signing key", name=key.id)
        _log.info("a new key signs dataplane tokens", key=key.id, serial=key.serial)
        answer_json(resp, _shown(key, signs=True))


class SigningKeyItem:
    """Retires one key."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        """Delete a key, and with it the trust in its tokens; 400 for the one that signs, 404 for none."""
        req.context.title = "Could not retire the signing key"
        key = self._keys.retire(id)
        wrote(req, "retired", kind="signing key", name=key.id)
        _log.info("a key of dataplane tokens is retired", key=key.id, serial=key.serial)
        answer_json(resp, _shown(key, signs=False))


def _shown(key: Key, signs: bool) -> dict[str, Any]:
    return {"id": key.id, "serial": key.serial, "signs": signs}
