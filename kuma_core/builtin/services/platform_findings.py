"""Findings that do not follow from a mesh's map: where things are stored, which certificates end, what time it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from kuma_core.builtin.cluster.contract import CLOCKS, Cluster
from kuma_core.builtin.services.findings import ERROR, INFO, WARNING, Finding
from kuma_core.ca.contract import Authorities
from kuma_core.ca.ends import ends
from kuma_core.config import Config
from kuma_core.mesh.context import MeshContext
from kuma_core.specs.mesh import MeshSpec
from kuma_core.xds.presences import Presences

AWAY = timedelta(minutes=1)
"""How long an instance may join or leave without that anybody has to look."""
SOON = timedelta(days=30)
"""How long before its end a certificate of an authority is told of: it takes time to bring a new one everywhere."""


def memory_store(config: Config, mesh: str) -> Iterator[Finding]:
    """What is stored in memory is gone when the control plane ends."""
    if config.text("store.type") == "memory":
        yield Finding(
            "memory-store",
            INFO,
            "Mesh",
            mesh,
            "the control plane keeps everything in memory, and forgets it when it ends",
            "choose a store that lasts by store.type, such as postgres; `kumactl export` saves what is there",
        )


def clocks_apart(cluster: Cluster, mesh: MeshContext) -> Iterator[Finding]:
    """The clock of a proxy's machine differed from the control plane's by more than a minute when it started."""
    for name, difference in _noted(cluster, mesh.name):
        if name in mesh.dataplanes:
            yield Finding(
                "clocks-apart",
                WARNING,
                "Dataplane",
                name,
                f"the clock of its machine was {difference} of the control plane's when it started",
                "have both follow a time server, and start kuma-dp again: certificates and tokens hold only for times",
            )


def instances_away(
    mesh: MeshContext,
    presences: Presences,
    connected: Mapping[str, datetime],
    now: datetime | None = None,
) -> Iterator[Finding]:
    """A proxy is ``connected`` since a while, and its instance is no endpoint for others all the time."""
    latest = (now or datetime.now(UTC)) - AWAY
    for name in sorted(mesh.absent & connected.keys()):
        found = presences.status(mesh.name, name)
        if found and max(connected[name], found.since or connected[name]) <= latest:
            yield Finding(
                "instance-does-not-serve",
                WARNING,
                "Dataplane",
                name,
                f"its proxy is connected, and it is {found.state.lower()} for more than a minute: {found.reason}",
                "look at the log of its kuma-dp, on Kubernetes at why its Pod is not ready; a later start of kuma-dp "
                "tells again",
            )


def _noted(cluster: Cluster, mesh: str) -> Iterator[tuple[str, str]]:
    """The Dataplanes of a mesh whose machines' clocks are apart, with how far."""
    found = {key: text for noted in cluster.notes(CLOCKS).values() for key, text in noted.items()}
    for key in sorted(found):
        one, _, name = key.partition("/")
        if one == mesh:
            yield name, found[key]


def ending_certificates(
    authorities: Authorities, mesh: str, spec: MeshSpec, now: datetime | None = None
) -> Iterator[Finding]:
    """A certificate of the mesh's authority that ends within 30 days, or has ended, or an authority without one."""
    authority = authorities.of(spec) if spec.is_encrypted() else None
    if authority is None:
        return
    now = now or datetime.now(UTC)
    found = ends(authority.trust_anchors(mesh))
    if not found:
        text = "mTLS is on, and the authority has no certificate: no proxy gets an identity"
        yield _certificate(ERROR, mesh, text, f"see `kumactl manage ca {authority.name} --help`")
    elif max(found) < now + SOON:
        gone = max(found) < now
        text = f"the last certificate of its authority {'ended' if gone else 'ends'} on {max(found):%Y-%m-%d %H:%M} UTC"
        advice = f"bring a new one: see `kumactl manage ca {authority.name} --help`"
        yield _certificate(ERROR if gone else WARNING, mesh, text, advice)


def _certificate(level: str, mesh: str, text: str, advice: str) -> Finding:
    return Finding("certificate-ends-soon", level, "Mesh", mesh, text, advice)
