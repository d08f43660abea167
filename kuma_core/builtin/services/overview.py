"""A mesh in numbers and in a sentence: what a reader sees first, and what tells whether to look further."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kuma_core.builtin.services import edges, picture
from kuma_core.builtin.services.findings import ERROR, INFO, WARNING, Finding
from kuma_core.builtin.services.mesh_map import MeshMap
from kuma_core.builtin.services.picture import COUNTED, NEVER, Statuses

EMPTY, GOOD = "empty", "good"
"""Levels of health beside those of findings: no dataplane is there yet; nothing is to be looked at."""

VERDICTS = (
    edges.ALLOWED,
    edges.PARTLY,
    edges.DENIED,
    edges.PLAINTEXT,
    picture.NO_ENDPOINT,
    picture.UNKNOWN,
)


def overview(
    found: MeshMap, statuses: Statuses, findings: Iterable[Finding], resources: Mapping[str, int]
) -> dict[str, Any]:
    """The overview of a mesh; ``resources`` are numbers by kind."""
    mesh = found.context.mesh
    dataplanes = counted(found.traits, statuses)
    called = picture.called_ones(statuses, found.context.absent)
    calls = Counter(picture.judged(edge, called)[0] for edge in found.edges)
    levels = Counter(finding.level for finding in findings)
    authority = mesh.authority() if mesh and mesh.is_encrypted() else ""
    return {
        "name": found.context.name,
        "mtls": authority,
        "metrics": bool(mesh and mesh.metrics and mesh.metrics.prometheus),
        "services": len(picture.nodes(found.traits, found.edges, statuses)),
        "dataplanes": dataplanes,
        "calls": {"total": len(found.edges), **{verdict: calls[verdict] for verdict in VERDICTS}},
        "resources": dict(sorted(resources.items())),
        "findings": {level: levels[level] for level in (ERROR, WARNING, INFO)},
        "health": {"level": _level(dataplanes, levels), "text": _text(dataplanes, authority, calls, levels)},
    }


def counted(names: Iterable[str], statuses: Statuses) -> dict[str, int]:
    """Dataplanes by status."""
    states = Counter(statuses.get(name, NEVER) for name in names)
    return {"total": states.total(), **{key: states[word] for key, word in COUNTED.items()}}


def _level(dataplanes: Mapping[str, int], levels: Mapping[str, int]) -> str:
    if not dataplanes["total"]:
        return EMPTY
    if levels[ERROR]:
        return ERROR
    return GOOD if dataplanes["online"] == dataplanes["total"] and not levels[WARNING] else WARNING


def _text(
    dataplanes: Mapping[str, int], authority: str, calls: Mapping[str, int], levels: Mapping[str, int]
) -> str:
    """The sentence on the health of a mesh."""
    parts = [_proxies(dataplanes), f"mTLS is on ({authority})" if authority else "mTLS is off"]
    for verdict, words in ((edges.DENIED, "denied"), (picture.NO_ENDPOINT, "without an endpoint")):
        if calls[verdict]:
            parts.append(f"{_many(calls[verdict], 'call')} {_are(calls[verdict])} {words}")
    told = [_many(levels[level], level) for level in (ERROR, WARNING) if levels[level]]
    if told:
        parts.append(f"{' and '.join(told)} to look at")
    return ", ".join(parts)


def _proxies(dataplanes: Mapping[str, int]) -> str:
    total, online = dataplanes["total"], dataplanes["online"]
    if not total:
        return "no dataplane yet"
    if total == 1:
        word = next(COUNTED[key].lower() for key in COUNTED if dataplanes[key])
        return f"its proxy {word}" if word.startswith("never") else f"its proxy is {word}"
    if online == total:
        return f"all {total} proxies are online"
    others = ((dataplanes[key], COUNTED[key].lower()) for key in COUNTED if key != "online")
    rest = ", ".join(f"{count} {word}" for count, word in others if count)
    return f"{online} of {total} proxies {_are(online)} online ({rest})"


def _many(count: int, one: str) -> str:
    return f"{count} {one if count == 1 else one + 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
