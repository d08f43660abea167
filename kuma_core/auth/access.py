"""What a user may do: the two groups of the kernel, and for everybody else the policy of a plugin, if there is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import structlog

from kuma_core.auth.contract import (
    ADMINS,
    NOBODY,
    READERS,
    AccessPolicy,
    Asked,
    Decide,
    Decision,
    Right,
    Snapshot,
)
from kuma_core.auth.users import Users
from kuma_core.errors import Busy, KumaError, PluginError, UnreadableResource
from kuma_core.kinds import Kinds
from kuma_core.plugin.asking import Asking
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.registration import is_builtin
from kuma_core.resources.contract import Change, Resources

_log = structlog.get_logger("access")

HOOK = "kuma_register_access"
REMEMBERED = 10_000
"""How many decisions are remembered until something changes."""
MOST_SETS, MOST_CHARACTERS = 20, 2000
"""How long a question may be that is remembered, so that all of them fit into some 30 MB."""
RETRY_SECONDS = 2.0
"""How long the last good state is used after what a policy decides by could not be read."""


@dataclass(frozen=True, slots=True)
class AttributedPolicy:
    """A policy, and the plugin that brought it."""

    plugin: str
    policy: AccessPolicy


def one_access_policy(found: Sequence[Contributed[AccessPolicy]], kinds: Kinds) -> AttributedPolicy | None:
    """The one policy of all plugins, or ``None``: then the two groups of the kernel are all that there is.

    Raises ``PluginError`` if there are several, which could not both have the last word, or if it decides by a kind
    that nobody registered.
    """
    if len(found) > 1:
        said = " and ".join(f'"{entry.value.name}" of plugin "{entry.plugin}"' for entry in found)
        foreign = [entry.plugin for entry in found if not is_builtin(entry.plugin)]
        without = " or ".join(f"--plugins no:{plugin}" for plugin in foreign)
        raise PluginError(
            f"what users may do is decided in one way only, and there are {said}; start without a plugin ({without})",
            found[-1].plugin,
            HOOK,
        )
    for entry in found:
        if unknown := [kind for kind in entry.value.kinds if kind not in kinds]:
            raise PluginError(
                f'plugin "{entry.plugin}": the access policy "{entry.value.name}" decides by the kind "{unknown[0]}", '
                "which nobody registered; do so with kuma_register_resource_types",
                entry.plugin,
                HOOK,
            )
    return AttributedPolicy(found[0].plugin, found[0].value) if found else None


class Authorizer:
    """Decides what users may do. Safe for use from several threads.

    It answers from memory: what the policy of a plugin decides by is read anew after a hint that it changed, before the
    next decision.
    """

    def __init__(self, resources: Resources, asking: Asking, policy: AttributedPolicy | None = None) -> None:
        self._resources, self._asking = resources, asking
        self._policy = policy
        self._lock = threading.Lock()
        self._wanted, self._have = 1, 0
        self._decide: Decide | None = None
        self._retry_at = 0.0

    @property
    def has_policy(self) -> bool:
        """Whether a plugin decides about users of other groups."""
        return self._policy is not None

    def use(self, policy: AttributedPolicy | None) -> None:
        """Decide by this policy from now on: the kernel asks plugins for it once they are open."""
        self._policy = policy

    def changed(self, change: Change) -> None:
        """Hear of a change in the store."""
        if self._policy and (change.key is None or change.key.type in self._policy.policy.kinds):
            self._wanted += 1

    def wrote(self, kind: str) -> None:
        """Hear of a write of this control plane's own: it counts with the next question."""
        if self._policy and kind in self._policy.policy.kinds:
            self._wanted += 1

    def decide(self, right: Right, asked: Asked) -> Decision:
        """Whether a user may do what is asked at a route of the class ``right``.

        No policy is asked about who proved nothing: what a stranger sends is not even looked at.
        Raises ``StoreUnavailable`` if what the policy decides by was never read.
        """
        if right is Right.PUBLIC:
            return _EVERYBODY
        groups = asked.user.groups
        if ADMINS in groups:
            return _ADMIN
        if right is Right.READER and READERS in groups:
            return _READER
        if self._policy is None or asked.user.by == NOBODY:
            return Decision(False, f"{_shown(asked)} is in none of the groups that may: {_groups(right)}")
        return self._by_policy(self._policy, asked)

    def _by_policy(self, policy: AttributedPolicy, asked: Asked) -> Decision:
        try:
            return self._current(policy)(asked)
        except (PluginError, Busy) as error:
            return Decision(False, f"the access policy that decides about it failed: {error}")

    def _current(self, policy: AttributedPolicy) -> Decide:
        """The function that decides by what is stored now, as far as this control plane knows."""
        decide = self._decide
        if decide is not None and self._have == self._wanted:
            return decide
        with self._lock:
            if self._decide is None or (self._have != self._wanted and time.monotonic() >= self._retry_at):
                self._renew(policy)
            assert self._decide is not None
            return self._decide

    def _renew(self, policy: AttributedPolicy) -> None:
        wanted = self._wanted
        try:
            snapshot = self._snapshot(policy.policy.kinds)
        except KumaError as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if self._decide is None:
                raise
            _log.warning(
                "what users may do cannot be read anew; what was read last counts", problem=str(error)
            )
            return
        self._decide, self._have = self._remembering(policy, snapshot), wanted

    def _snapshot(self, kinds: Iterable[str]) -> Snapshot:
        return {kind: tuple(self._resources.list(kind, unreadable=_left_out)) for kind in kinds}

    def _remembering(self, policy: AttributedPolicy, snapshot: Snapshot) -> Decide:
        """What the plugin prepared, behind the boundary. A failure is remembered by nobody, and asked for again."""
        name, plugin = policy.policy.name, policy.plugin
        what = f'access policy "{name}"'

        @lru_cache(1)
        def prepared() -> Decide:
            found = self._asking.ask(plugin, f"prepare of {what}", lambda: policy.policy.prepare(snapshot))
            if not callable(found):
                raise PluginError(f'plugin "{plugin}": prepare of {what} returned no function', plugin, HOOK)
            return self._asking.straight(plugin, what, found, _checked)

        def decide(asked: Asked) -> Decision:
            return prepared()(asked)

        remembering = lru_cache(REMEMBERED)(decide)
        return lambda asked: remembering(asked) if _is_short(asked) else decide(asked)


@dataclass(frozen=True, slots=True)
class AccessControl:
    """What all servers of a control plane share: who somebody is, and what they may do."""

    users: Users
    authorizer: Authorizer


def _is_short(asked: Asked) -> bool:
    """Whether it may be remembered: who asks decides how much is in it."""
    tags = (len(key) + len(value) for tags in asked.tag_sets[:MOST_SETS] for key, value in tags)
    return len(asked.tag_sets) < MOST_SETS and len(asked.mesh) + len(asked.name) + sum(tags) < MOST_CHARACTERS


_EVERYBODY = Decision(True, "it is public")
_ADMIN = Decision(True, f"group {ADMINS}")
_READER = Decision(True, f"group {READERS}")


def _groups(right: Right) -> str:
    return ADMINS if right is Right.ADMIN else f"{ADMINS}, {READERS}"


def _shown(asked: Asked) -> str:
    return f'user "{asked.user.name:.100}"'


def _checked(found: object) -> Decision:
    if not isinstance(found, Decision) or not isinstance(found.allowed, bool):
        raise TypeError(f"it returned a {type(found).__name__}, which is no Decision")
    return found


def _left_out(error: UnreadableResource) -> None:
    _log.error("a stored resource is left out", problem=str(error))
