"""An inbound behind which the control plane itself would be: refused where that can be seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.builtin.own_ports.feature import is_of_this_machine
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import Asker, mode

WEB = "/meshes/default/dataplanes/web-1"


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as running:
        yield running


def web(address: str, port: int) -> dict[str, object]:
    return dataplane("web-1", inbound(f"{address}:20001:{port}", "web"))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "0.0.0.0"])
def test_every_port_of_the_control_plane_is_refused(cp: RunningPlatform, address: str) -> None:
    ports = (cp.api, cp.https, cp.admin, cp.bootstrap, cp.xds_port, cp.sds_port, cp.diagnostics, cp.events)
    for port in ports:
        answer = cp.put(WEB, web(address, port))
        assert answer.status == 400
        (cause,) = answer.body["causes"]
        assert cause["field"] == "networking.inbound[0].interface"
        assert "is the control plane's own (" in cause["message"]


def test_other_ports_and_other_machines_are_taken(cp: RunningPlatform) -> None:
    assert cp.put(WEB, web("127.0.0.1", 9000)).status in (200, 201)
    assert cp.put(WEB, web("192.0.2.7", cp.api)).status == 200, "a machine that we are not"


def test_where_nobody_is_somebody_for_where_they_come_from_it_matters_not() -> None:
    with running_platform([kuma_store_memory], mode("token")) as cp:
        token = cp.user_token("ann", "kuma:admin")
        assert Asker(cp, token=token)("PUT", WEB, web("127.0.0.1", cp.api)).status == 201


def test_an_address_of_a_network_card_is_this_machine() -> None:
    assert is_of_this_machine("::1")
    assert is_of_this_machine("::")
    assert not is_of_this_machine("192.0.2.7")
    assert not is_of_this_machine("2001:db8::7")
