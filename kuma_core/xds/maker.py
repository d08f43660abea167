"""Makes what a proxy should have by given views, in whatever thread asks, and tells what that depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kuma_core.policy.contract import Policy
from kuma_core.policy.matching import touches
from kuma_core.specs.tags import TagPairs
from kuma_core.xds.assembly import Drafts, GenerationError, Owners, assemble, draft_all
from kuma_core.xds.contract import Generator, SecretServer
from kuma_core.xds.memo import Memo
from kuma_core.xds.mesh_views import Effects, MeshViews
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.proxy_view import TrackedView
from kuma_core.xds.snapshot import Snapshot


@dataclass(slots=True)
class Generated:
    """What a proxy got last, what that depends on, and why it got nothing newer.

    ``warnings`` say what it does not get although somebody wants it to. ``made`` is the number of the round that made
    the snapshot, or found the problem.
    """

    snapshot: Snapshot | None = None
    services: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    tag_sets: tuple[TagPairs, ...] = ()
    problem: str = ""
    warnings: tuple[str, ...] = ()
    made: int = 0


def touched_by(effects: Effects, proxy: Proxy, generated: Generated) -> bool:
    """Whether anything that changed can matter to a proxy."""
    if proxy.mesh in effects.meshes or proxy.id in effects.proxies:
        return True
    if not generated.services.isdisjoint(effects.services.get(proxy.mesh, ())):
        return True
    if any(kind in generated.kinds and mesh in (proxy.mesh, "") for kind, mesh in effects.kinds):
        return True
    return any(
        mesh == proxy.mesh and touches(policy, entry, generated.tag_sets, generated.services)
        for mesh, policy, entry in effects.policies
    )


def _generated(view: TrackedView, snapshot: Snapshot | None, problem: str) -> Generated:
    services, kinds = frozenset(view.services), frozenset(view.kinds)
    return Generated(snapshot, services, kinds, view.tag_sets, problem, tuple(view.warnings))


class Maker:
    """Generators and policies at work. Threads beside the reconciler's give frozen views.

    ``secret_server`` is set before proxies connect. ``setting`` gives the value of a configuration key.
    """

    def __init__(
        self,
        generators: Iterable[Generator],
        policies: Iterable[Policy],
        setting: Callable[[str], Any] = lambda path: None,
    ) -> None:
        self._setting = setting
        self._generators, self._policies = tuple(generators), tuple(policies)
        self.memo = Memo()
        self.secret_server: SecretServer | None = None

    def generate(self, proxy: Proxy, views: MeshViews, waits: bool = False) -> Generated:
        """What a proxy should have by these views; no snapshot if there is nothing for it, or it failed.

        Raises ``NotPrepared`` if a policy has long work to do first, and the caller ``waits`` for it. Other threads
        give frozen views.
        """
        view = self._view(proxy, views, waits)
        if view is None:
            return Generated()
        try:
            snapshot: Snapshot | None = assemble(view, self._generators, self.memo)
            problem = ""
        except GenerationError as error:
            snapshot, problem = None, str(error)
        return _generated(view, snapshot, problem)

    def draft(self, proxy: Proxy, views: MeshViews) -> tuple[Generated, Drafts, Owners]:
        """As ``generate``, with drafts in the place of a snapshot. For any thread, and frozen views."""
        view = self._view(proxy, views, waits=False)
        if view is None:
            return Generated(), {}, {}
        try:
            drafts, owners = draft_all(view, self._generators)
            problem = ""
        except GenerationError as error:
            drafts, owners, problem = {}, {}, str(error)
        return _generated(view, None, problem), drafts, owners

    def _view(self, proxy: Proxy, views: MeshViews, waits: bool) -> TrackedView | None:
        """What generators see of a proxy; ``None`` if its Dataplane or its Mesh is not there.

        The deletion of a mesh that goes on takes its dataplanes along.
        """
        context = views.mesh(proxy.mesh)
        dataplane = context.dataplanes.get(proxy.name)
        if dataplane is None or context.mesh is None:
            return None
        return TrackedView(
            proxy,
            dataplane,
            context.mesh,
            context,
            views.policies(proxy.mesh),
            self._policies,
            self.secret_server,
            lambda kind: views.resources(kind, proxy.mesh),
            waits,
            self._setting,
        )
