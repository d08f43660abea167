"""The feature: its parts share what they know of the rotations that go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kuma_core.api.contract import Route
from kuma_core.auth.contract import Right
from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.events.contract import Events
from kuma_core.builtin.rotation.contract import RotationStage
from kuma_core.builtin.rotation.driver import RotationDriver
from kuma_core.builtin.rotation.observer import RotationObserver
from kuma_core.builtin.rotation.rotations import Rotations
from kuma_core.builtin.rotation.routes import MeshAuthority
from kuma_core.builtin.rotation.settled import Settled
from kuma_core.ca.contract import Authorities
from kuma_core.plugin.contract import ChangeListener, Component, Context, Metric
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.resources.secrets import SECRET
from kuma_core.specs.mesh import MESH
from kuma_core.xds.contract import Identities


class RotationFeature:
    """What is open of rotations. It asks for the control planes over the store, and offers who settled a stage."""

    def __init__(self, context: Context) -> None:
        cluster = context.ask("builtin.cluster", Cluster)
        authorities = context.ask("authorities", Authorities)
        identities = context.ask("identities", Identities)
        events = context.ask("builtin.events", Events)
        self.offer = settled = Settled(cluster)
        self._rotations = Rotations(context.resources, authorities)
        authorities.listen(self._rotations.suspect)
        self._driver = RotationDriver(context.config, settled, self._rotations)
        self._observer = RotationObserver(settled, self._rotations, identities, events)
        self._shown = MeshAuthority(context.resources, authorities, settled, identities)

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """A rotation begins and ends by a write of a secret, or of the mesh that selects its authority."""
        return [ChangeListener(self._rotations.changed, (SECRET, MESH))]

    @hookimpl
    def kuma_register_routes(self) -> Iterable[Route]:
        """Who signs in a mesh, and how far a rotation is."""
        return [Route("/meshes/{mesh}/authority", self._shown, right=Right.READER)]

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """Every control plane watches its proxies; the leader ends the stages."""
        return [self._observer, self._driver]

    @hookimpl
    def kuma_register_metrics(self) -> Iterable[Metric]:
        """How many rotations are at which stage."""
        words = "Rotations of certificate authorities that go on, by stage."
        return [Metric("kuma_ca_rotations", words, self._stages, labels=("stage",))]

    def _stages(self) -> Iterator[tuple[tuple[str], float]]:
        found = [going_on.rotation.stage for going_on in self._rotations.current().values()]
        return (((stage.value,), found.count(stage)) for stage in RotationStage)
