"""Which endpoints are the machine of whoever dials them."""

from __future__ import annotations

import pytest

from kuma_core.mesh.contract import Endpoint, is_local
from kuma_core.mesh.topology import endpoint_set

HERE = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"]
ELSEWHERE = ["10.0.0.1", "12.7.0.1", "128.0.0.1", "1.27.0.1", "::2", "::1:1", "fd00::1", "::ffff:10.0.0.1"]


@pytest.mark.parametrize("ip", HERE)
def test_an_address_of_the_dialling_machine(ip: str) -> None:
    assert is_local(ip)


def test_their_ports_are_found_among_all_others() -> None:
    tags = (("service", "web"),)
    found = endpoint_set(
        [
            *(Endpoint(ip, 1 + number, tags) for number, ip in enumerate(HERE)),
            *(Endpoint(ip, 101 + number, tags) for number, ip in enumerate(ELSEWHERE)),
            *(Endpoint(f"10.0.{number}.1", 9901, tags) for number in range(200)),
        ]
    )
    assert found.local_ports == frozenset(range(1, 1 + len(HERE)))
    assert endpoint_set([]).local_ports == frozenset()
