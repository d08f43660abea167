"""Envoy's admin API listens where its Dataplane does nothing else."""

from __future__ import annotations

import pytest

from kuma_core.errors import InvalidResource
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.metrics import Metrics, Prometheus
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.xds.admin_port import choose_admin_port
from kuma_core.xds.bootstrap import BootstrapParams

MEASURED = MeshSpec(metrics=Metrics(prometheus=Prometheus(port=5670, path="/metrics")))
IN, OUT = "networking.inbound[{}].interface", "networking.outbound[{}].interface"


def spec(redirect: int = 0, own_metrics: int = 0) -> DataplaneSpec:
    document = dataplane(
        "web",
        inbound("127.0.0.1:1001:2001", "web"),
        inbound("10.0.0.1:1002:2002", "api"),
        inbound("0.0.0.0:1003:2003", "wide"),
        outbounds=[outbound(":3001", "db"), outbound("127.0.0.2:3002", "db")],
    )
    networking = document["networking"]
    networking |= {"transparentProxying": {"redirectPort": redirect}} if redirect else {}
    metrics = {"metrics": {"prometheus": {"port": own_metrics}}} if own_metrics else {}
    return parse_spec(DataplaneSpec, {"networking": networking, **metrics})[0]


def params(default: int = 0, address: str = "127.0.0.1") -> BootstrapParams:
    return BootstrapParams((), "DELTA_GRPC", "1s", address, default, "/dev/null")


def chosen(
    *wanted: int, default: int = 0, address: str = "127.0.0.1", mesh: MeshSpec | None = MEASURED
) -> int:
    return choose_admin_port(wanted, params(default, address), spec(), mesh)


def refusal(
    *wanted: int, default: int = 0, address: str = "127.0.0.1", found: DataplaneSpec | None = None
) -> str:
    with pytest.raises(InvalidResource) as caught:
        choose_admin_port(wanted, params(default, address), found or spec(), MEASURED)
    [violation] = caught.value.violations
    assert violation.field == "adminPort"
    return violation.message


@pytest.mark.parametrize(
    ("port", "why"),
    [
        (1001, f"the proxy listens at 127.0.0.1:1001 ({IN.format(0)})"),
        (1003, f"the proxy listens at 0.0.0.0:1003 ({IN.format(2)})"),
        (3001, f"the proxy listens at 127.0.0.1:3001 ({OUT.format(0)})"),
        (
            2002,
            f"others would reach the API instead of the service at 127.0.0.1:2002 ({IN.format(1)})",
        ),
        (
            5670,
            "the mesh has the proxy offer its metrics there "
            "(metrics.prometheus.port of the Mesh, or of the Dataplane)",
        ),
    ],
)
def test_a_port_of_the_dataplane_is_refused_in_a_sentence(port: int, why: str) -> None:
    told = f"{port} cannot be the port of Envoy's admin API, for {why}; "
    assert refusal(port) == told + "name another one with --admin-port (KUMA_DATAPLANE_ADMIN_PORT)"
    configured = (
        "set another bootstrapServer.params.adminPort, or start kuma-dp with an --admin-port of its own"
    )
    assert refusal(default=port) == told + configured


@pytest.mark.parametrize("port", [1002, 3002, 9901])
def test_a_port_at_another_address_is_free(port: int) -> None:
    assert chosen(port) == port
    assert chosen(default=port) == port


def test_the_api_on_every_address_needs_a_port_of_its_own_on_all() -> None:
    for port in (1002, 3002):
        assert "the proxy listens at" in refusal(port, address="0.0.0.0")


def test_in_a_range_the_ports_of_the_dataplane_are_passed_over() -> None:
    assert chosen(1001, 2001, 3001, 5670, 9901, 9902) == 9901
    assert refusal(1001, 2001, 3001).startswith(
        f"1001 cannot be the port of Envoy's admin API, for the proxy listens at 127.0.0.1:1001 ({IN.format(0)}) "
        "(and so on for all 3 ports of the range that are free); "
    )


def test_the_default_counts_only_where_none_is_wanted() -> None:
    assert chosen(9901, default=1001) == 9901
    assert chosen() == 0


def test_without_metrics_their_port_is_free() -> None:
    assert chosen(5670, mesh=None) == 5670
    assert choose_admin_port((5670,), params(), spec(own_metrics=5671), MEASURED) == 5670
    assert "offer its metrics there" in refusal(5671, found=spec(own_metrics=5671))


def test_the_port_for_redirected_connections_is_taken_too() -> None:
    assert "0.0.0.0:15001" in refusal(15001, found=spec(redirect=15001))
