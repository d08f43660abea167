"""``kumactl apply --wait`` at one of two control planes over one database, with proxies at the other one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kuma_store_postgres
from kuma_core.sdk import ENDPOINTS
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from tests.events.test_in_force import apply, caller, connect, orders, other, stand_still, state, web

from .server import Server


@pytest.fixture
def pair(server: Server) -> Iterator[tuple[RunningPlatform, RunningPlatform]]:
    with server.database(server.template) as database:
        environ = server.environ(database)
        with (
            running_platform([kuma_store_postgres], environ) as one,
            running_platform([kuma_store_postgres], environ) as two,
        ):
            yield one, two


def test_who_was_stuck_before_at_the_other_one_holds_up_nobody_and_who_is_by_the_write_is_named(
    pair: tuple[RunningPlatform, RunningPlatform], tmp_path: Path
) -> None:
    one, two = pair
    one.apply(web("web-2"), caller("web-4", "more"), orders(80), other("more"))
    with fleet(two) as envoys:
        stuck, well = DeltaClient("default.web-4"), DeltaClient("default.web-2")
        connect(envoys, stuck)
        connect(envoys, well)
        eventually(lambda: state(one)["inForce"])
        stand_still(stuck)
        two.apply(other("more", 98))
        eventually(lambda: state(one)["count"] == 1)
        done = apply(one, tmp_path, orders(86))
        assert (done.returncode, done.stderr) == (0, "")
        print(done.stdout)
        assert done.stdout.splitlines()[2].startswith("1 other was behind before")
        well.reject[ENDPOINTS] = "no such port"
        late = apply(one, tmp_path, orders(87), "--timeout=2s")
        assert late.stderr.splitlines()[1:] == [
            f"* default/web-2, at control plane {two.platform.instance_id}: "
            "it rejected its configuration: no such port",
            "1 other was behind before, for other reasons: see kumactl inspect dataplanes",
        ]
