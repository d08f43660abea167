"""Where a real Envoy takes redirected connections, while its Dataplane gets and loses inbounds of a family."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.dataplane.ports import has_ipv6
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Machine, Sidecar, fetch

SETTINGS = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
IPV4, IPV6 = "192.0.2.9:80:8080", "[2001:db8::9]:80:8080"


def web(port: int, *interfaces: str) -> dict[str, Any]:
    document = dataplane("web", *(inbound(interface, "web") for interface in interfaces))
    document["networking"]["transparentProxying"] = {"redirectPort": port}
    return document


def places(sidecar: Sidecar) -> set[str]:
    """The addresses at which its Envoy takes redirected connections."""
    lines = fetch(sidecar.admin_port, "/listeners").splitlines()
    found = [line.partition("::")[2] for line in lines if line.startswith("catch_all")]
    return {place.rpartition(":")[0] for place in found}


def test_a_family_is_open_to_others_while_an_inbound_has_it(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    port = free_port()
    with running_platform([kuma_store_memory], SETTINGS) as cp, ExitStack() as stack:
        cp.apply(web(port, IPV4))
        sidecar = Machine(cp, tmp_path, stack).sidecar("web")
        for interfaces, expected in (
            ([IPV4], {"0.0.0.0", "[::1]"}),
            ([IPV4, IPV6], {"0.0.0.0", "[::]"}),
            ([IPV6], {"127.0.0.1", "[::]"}),
            ([IPV4], {"0.0.0.0", "[::1]"}),
        ):
            cp.apply(web(port, *interfaces))
            eventually(
                lambda places_then=expected: places(sidecar) == places_then, 60, f"listeners at {expected}"
            )
