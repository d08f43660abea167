"""Asks every plugin what speaks against a write: the one hook that the kernel calls while the control plane works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

from kuma_core.ca.contract import Authorities
from kuma_core.errors import Busy, PluginError, Violation
from kuma_core.kinds import Kinds
from kuma_core.model import Resource
from kuma_core.plugin.asking import PASSES, Asking
from kuma_core.plugin.boundary import PluginBarred, PluginFailed, bounded
from kuma_core.plugin.collecting import implementations
from kuma_core.plugin.hookspecs import KINDS
from kuma_core.plugin.registration import is_builtin, owner
from kuma_core.policy.contract import Policy
from kuma_core.resources.contract import Resources

HOOK = "kuma_admit"
MOST_VIOLATIONS = 1000
"""How many violations a plugin may find in one write."""


class Admission:
    """A function of a write. What a plugin raises becomes a ``PluginError`` with its name; one that does not answer in
    time, or is in quarantine, lets nothing through: ``Busy``."""

    def __init__(
        self,
        manager: pluggy.PluginManager,
        authorities: Authorities,
        asking: Asking,
        kinds: Kinds,
        policies: Iterable[Policy],
    ) -> None:
        self._manager, self._authorities = manager, authorities
        self._asking, self._kinds = asking, kinds
        self._policies = {policy.kind: policy for policy in policies}

    def __call__(
        self, resource: Resource | None, previous: Resource | None, resources: Resources
    ) -> list[Violation]:
        """Everything that speaks against a write, in the order of the plugins' names."""
        arguments: dict[str, Any] = {
            "resource": resource,
            "previous": previous,
            "resources": resources,
            "authorities": self._authorities,
        }
        found: list[Violation] = []
        # Looked up at each write, for the first writes come before features open and bring their hooks.
        written = resource or previous
        for each in implementations(self._manager, HOOK):
            if written is None or _is_about(each, written.key.type):
                found += self._ask(each, arguments)
        if resource is not None:
            self._place(resource)
        return found

    def _ask(self, asked: Any, arguments: Mapping[str, Any]) -> list[Violation]:
        name = owner(asked.plugin_name)

        def question() -> list[Violation]:
            given = (arguments[argument] for argument in asked.argnames)
            return _checked(name, bounded(asked.function(*given), MOST_VIOLATIONS))

        if is_builtin(name):
            return _plain(name, question)
        try:
            return self._asking.ask(name, HOOK, question)
        except PluginBarred as error:
            if self._is_own(arguments):
                return []
            raise Busy(
                f"{error}. It has a say in every write, so that nothing is written until it is called again "
                f"(kuma-cp plugins release {name}), or the control plane starts without it"
            ) from None
        except PluginFailed as error:
            raise PluginError(f'plugin "{name}": {HOOK} failed: {error.said}', name, HOOK) from error

    def _is_own(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the control plane writes it of its own work, such as an insight: no plugin stands in its way."""
        written = arguments["resource"] or arguments["previous"]
        kind = written.key.type if written else ""
        return kind in self._kinds and self._kinds[kind].read_only

    def _place(self, resource: Resource) -> None:
        """Refuse a policy of which nobody could say to whom it applies; stored, it would hold up its whole mesh."""
        policy = self._policies.get(resource.key.type)
        if policy is None or is_builtin(policy.plugin):
            return
        try:
            self._asking.ask(policy.plugin, f"ends of {policy.kind}", lambda: policy.ends(resource.spec))
        except PluginBarred as error:
            raise Busy(f"{error}; {resource.key.type} cannot be written until then") from None


def _is_about(asked: Any, kind: str) -> bool:
    """Whether a function is asked about writes of a kind: about all, unless it says of which."""
    kinds: frozenset[str] | None = getattr(asked.function, KINDS, None)
    return kinds is None or kind in kinds


def _plain(name: str, question: Callable[[], list[Violation]]) -> list[Violation]:
    """Ask one of the kernel's own features."""
    try:
        return question()
    except PASSES:
        raise
    except Exception as error:
        said = f'plugin "{name}": {HOOK} failed: {type(error).__name__}: {error}'
        raise PluginError(said, name, HOOK) from error


def _checked(name: str, found: list[Any]) -> list[Violation]:
    for value in found:
        if not isinstance(value, Violation):
            said = f'plugin "{name}": {HOOK} returned {value!r:.200}, which is no Violation'
            raise PluginError(said, name, HOOK)
    return found
