"""Which port the admin API of a starting Envoy gets: none that its Dataplane uses for something else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kuma_core.errors import InvalidResource, Violation
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.interfaces import ANY_ADDRESS
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.metrics import Prometheus, offered_metrics
from kuma_core.specs.places import Place
from kuma_core.xds.bootstrap import BootstrapParams

FIELD = "adminPort"
BY_FLAG = "name another one with --admin-port (KUMA_DATAPLANE_ADMIN_PORT)"
BY_CONFIGURATION = (
    "set another bootstrapServer.params.adminPort, or start kuma-dp with an --admin-port of its own"
)


def choose_admin_port(
    wanted: Sequence[int], params: BootstrapParams, dataplane: DataplaneSpec, mesh: MeshSpec | None
) -> int:
    """The first of the ports wanted, else that of the parameters, on which the API disturbs nothing; 0 for no API.

    Raises ``InvalidResource`` if there is none: others would find Envoy's API where they look for the service.
    """
    default = (params.admin_port,) if params.admin_port else ()
    ports, advice = (wanted, BY_FLAG) if wanted else (default, BY_CONFIGURATION)
    metrics = offered_metrics(mesh.metrics if mesh else None, dataplane.metrics)
    problems = []
    for port in ports:
        problem = _problem(Place(FIELD, params.admin_address, port), dataplane, metrics)
        if not problem:
            return port
        problems.append(problem)
    if problems:
        raise InvalidResource([Violation(FIELD, _told(problems, advice))], details="The request is not valid")
    return 0


def _told(problems: Sequence[str], advice: str) -> str:
    others = f" (and so on for all {len(problems)} ports of the range that are free)" if problems[1:] else ""
    return f"{problems[0]}{others}; {advice}"


def _problem(admin: Place, dataplane: DataplaneSpec, metrics: Prometheus | None) -> str:
    """What uses the port already; empty if nothing does."""
    if found := _first(admin, dataplane.listeners()):
        return f"{admin.port} cannot be the port of Envoy's admin API, for the proxy listens at {found} ({found.field})"
    if found := _first(admin, dataplane.workloads()):
        return (
            f"{admin.port} cannot be the port of Envoy's admin API, for others would reach the API instead of the "
            f"service at {found} ({found.field})"
        )
    if metrics and admin.excludes(Place("metrics.prometheus.port", ANY_ADDRESS, metrics.port)):
        return (
            f"{admin.port} cannot be the port of Envoy's admin API, for the mesh has the proxy offer its metrics there "
            "(metrics.prometheus.port of the Mesh, or of the Dataplane)"
        )
    return ""


def _first(admin: Place, places: Iterable[Place]) -> Place | None:
    return next((place for place in places if admin.excludes(place)), None)
