"""What ``debug`` adds, room by room, for one write and one proxy."""

from __future__ import annotations

import json

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.log_levels import IN_FORCE, parse_levels
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.logged import logged
from kuma_core.testing.platform import running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

WANTED = {
    ("api-server", "a request is answered"),
    ("store", "the store answered"),
    ("store-watch", "the store tells of a change"),
    ("xds-reconciler", "changes were looked at"),
    ("xds-reconciler", "a round of a mesh is over"),
    ("xds-status", "a proxy gets its first configuration"),
    ("xds-status", "a response is sent"),
    ("xds-status", "a response is answered"),
    ("dataplane-insights", "an insight is stored"),
    ("proxy-status", "the status of a proxy"),
}


def test_each_room_tells_what_it_does_and_info_does_not() -> None:
    with (
        logged() as written,
        running_platform([kuma_store_memory, kuma_ca_builtin]) as cp,
        fleet(cp) as envoys,
    ):

        def told() -> set[tuple[str, str]]:
            lines = [json.loads(line) for line in written.getvalue().splitlines()]
            return {(line["logger"], line["msg"]) for line in lines if line["level"] == "debug"}

        cp.apply(dataplane("web", inbound("127.0.0.1:8080:80", "web")))
        assert told() == set()
        IN_FORCE.change(parse_levels("debug"))
        cp.apply(dataplane("api", inbound("127.0.0.1:8081:81", "api")))
        envoys.connect(DeltaClient("default.web"))
        eventually(lambda: told() >= WANTED, what="a line of each room")
