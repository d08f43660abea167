"""Whose proxies a policy resource configures: whoever may write it needs the right over them."""

from __future__ import annotations

from typing import Any

from kuma_core.policy.contract import Policy, Scope
from kuma_core.specs.tags import TagPairs


def configured(policy: Policy, spec: Any) -> tuple[TagPairs, ...]:
    """The selectors of the proxies that get other configurations by a resource, each once; ``*`` stands for any.

    A policy for inbounds acts where connections arrive, every other one where they begin. Raises ``PluginError``.
    """
    ends = policy.ends(spec)
    return tuple(sorted(set(ends.destinations if policy.scope is Scope.INBOUND else ends.sources)))
