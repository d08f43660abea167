"""Who may follow events: readers, and whom the policy of a plugin lets read from all meshes that they name.

A look at a credential, or a question to a plugin, may take its time, and so is made beside the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from kuma_core.api.audit import tell_of_a_denial
from kuma_core.api.audit_ring import AuditRing
from kuma_core.auth.access import AccessControl
from kuma_core.auth.contract import NOBODY, Asked, Right, Unauthenticated, User, Verb
from kuma_core.auth.users import MODE, Caller, passed_on

PATH = "/events"
CONFIRM_SECONDS = 1.0
"""How often an open stream's credential is looked at again, when there is something to send."""


class Denied(Exception):
    """Somebody may not follow; ``status`` is 401 for who proved nothing, else 403."""

    def __init__(self, status: int, details: str) -> None:
        super().__init__(details)
        self.status = status


class Visitor:
    """One client: who it is, and whether it still is."""

    def __init__(self, access: AccessControl, ring: AuditRing, caller: Caller) -> None:
        self._access, self._ring, self._caller = access, ring, caller
        self._looked = time.monotonic()

    async def require(self, meshes: Iterable[str]) -> None:
        """Go on if the client may follow events of these meshes (none: of all); raises ``Denied``."""
        await asyncio.to_thread(self._require, sorted(meshes) or [""])

    async def may_stay(self) -> bool:
        """Whether the credential that it showed is still good."""
        if not self._caller.authorization or time.monotonic() < self._looked + CONFIRM_SECONDS:
            return True
        self._looked = time.monotonic()
        try:
            await asyncio.to_thread(self._access.users.who, self._caller)
        except Unauthenticated:
            return False
        return True

    def _require(self, meshes: list[str]) -> None:
        try:
            user = self._access.users.who(self._caller)
        except Unauthenticated as error:
            self._tell(401, None, str(error))
            raise Denied(401, str(error)) from None
        for mesh in meshes:
            asked = Asked(user, Verb.READ, mesh=mesh, name=PATH)
            decision = self._access.authorizer.decide(Right.READER, asked)
            if not decision.allowed:
                status = 401 if user.by == NOBODY else 403
                self._tell(status, user, decision.why)
                raise Denied(status, _refusal(asked, decision.why, decision.ways))

    def _tell(self, status: int, user: User | None, why: str) -> None:
        source = {"address": self._caller.address[:100]}
        if user:
            source |= {"user": user.name, "by": user.by}
        tell_of_a_denial(self._ring, {"asked": f"read {PATH}"}, status, why, source)


def caller_of(scope: Mapping[str, Any], headers: Mapping[str, str], foreign_page: bool) -> Caller:
    """What a request tells of who asks."""
    address = str((scope.get("client") or ("",))[0])
    return Caller(address, headers.get("authorization", ""), "", passed_on(headers), foreign_page)


def _refusal(asked: Asked, why: str, ways: Iterable[str]) -> str:
    of = f" of mesh {asked.mesh!r:.100}" if asked.mesh else ""
    known = "show a user's token (Authorization: Bearer …), or ask an admin for the right of a reader"
    helps = "; or ".join([*ways, f"{known}, or change {MODE}"])
    return f'User "{asked.user.name:.100}" may not follow events{of}: {why}. What helps: {helps}'
