"""Where that comes from what an Envoy refuses: the resources that its words name, and who drafted and edited these."""

from __future__ import annotations

import re
from typing import Any

from kuma_core.xds.memo import named, plugin_of, policy_named
from kuma_core.xds.seal import Sealed
from kuma_core.xds.snapshot import Snapshot

MOST_NAMED = 5


def culprits(snapshot: Snapshot, type_url: str, words: str) -> list[str]:
    """A sentence for each resource of the type that ``words`` name, at most ``MOST_NAMED``; none if they name none."""
    return [origin(item) for item in named_by(snapshot, type_url, words)]


def named_by(snapshot: Snapshot, type_url: str, words: str) -> list[Sealed]:
    """The resources of the type that ``words`` of an Envoy name, by name; the first ``MOST_NAMED``."""
    found = [item for name, item in snapshot.resources(type_url).items() if _is_named(name, words)]
    return sorted(found, key=lambda item: item.name)[:MOST_NAMED]


def origin(item: Sealed) -> str:
    """What a resource is and who made it, as far as that is known: generator or policy, its plugin, and the edits."""
    kind = item.type_url.rpartition(".")[2]
    owner = item.owner or "a policy"
    if item.draft is None:
        return f'{kind} "{item.name}" of {owner}'
    made = owner if owner.startswith("plugin ") else plugin_of(item.draft.build) + owner
    edits = ", ".join(named(edit) for edit in item.draft.edits)
    return f'{kind} "{item.name}" of {made}' + (f", edited by {edits}" if edits else "")


def origin_as_data(item: Sealed) -> dict[str, Any]:
    """Who made a resource, as JSON data: in words, and the policies that drafted or edited it by kind and name."""
    drafted = policy_named(item.owner)
    edits = [(edit.kind, edit.names) for edit in (item.draft.edits if item.draft else ())]
    policies = [*([drafted] if drafted else []), *edits]
    return {
        "words": origin(item),
        "policies": [{"kind": kind, "name": name} for kind, names in policies for name in names],
    }


def _is_named(name: str, words: str) -> bool:
    """Whether a name stands there as a whole, and not within another one; Envoy puts a colon or a quote behind it."""
    if name not in words:  # cheap, and true of nearly all
        return False
    return re.search(rf"(?<![\w.:-]){re.escape(name)}(?![\w-]|[.:]\w)", words) is not None
