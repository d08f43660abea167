"""A plugin that hangs, and real Envoys: traffic flows, the last good configuration stays, another mesh is served."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.xds import supervision

from ..security.hostile import Hostile
from .support import Load, Machine, Sidecar


def round_of(sidecar: Sidecar) -> str:
    """What the hostile plugin's policy made of the cluster that traffic goes to."""
    return str(sidecar.clusters().get("echo", {}).get("alt_stat_name", ""))


def test_envoys_keep_what_they_have_while_a_plugin_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "TICK_SECONDS", 0.2)
    hostile, settings = Hostile(), {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
    with running_platform([kuma_store_memory, hostile.module()], settings) as cp, ExitStack() as stack:
        stack.callback(hostile.behave)
        machine = Machine(cp, tmp_path, stack)
        echo, port, calm_port, other = machine.service("echo"), free_port(), free_port(), free_port()
        cp.apply(
            mesh("calm"),
            {"type": "Mood", "mesh": "default", "name": "m", "round": 1},
            dataplane("echo-1", inbound(f"127.0.0.1:{free_port()}:{echo}", "echo")),
            dataplane("web-1", gateway={"service": "web"}, outbounds=[outbound(f":{port}", "echo")]),
            dataplane("web-1", gateway={"service": "web"}, mesh="calm"),
        )
        machine.sidecar("echo-1")
        web = machine.sidecar("web-1")
        calm = machine.sidecar("web-1", mesh="calm")
        eventually(lambda: round_of(web) == "1")
        with Load(port) as load:
            eventually(lambda: load.answers["echo"] > 20)
            load.failures.clear()  # of the time before everything was there
            hostile.behave("resolve", "hangs")
            cp.apply({"type": "Mood", "mesh": "default", "name": "m", "round": 2})
            eventually(cp.platform.catalog.boundary.quarantine.barred)
            cp.apply(
                dataplane(
                    "web-1",
                    gateway={"service": "web"},
                    outbounds=[outbound(f":{calm_port}", "far")],
                    mesh="calm",
                )
            )
            eventually(lambda: "far" in calm.clusters(), 10)
            assert round_of(web) == "1"
            # a proxy that comes now, and of which nothing good is known, gets nothing: no open door, and no end
            cp.apply(
                dataplane("new-1", gateway={"service": "web"}, outbounds=[outbound(f":{other}", "echo")])
            )
            new = machine.sidecar("new-1", wait=False)
            reconciler = cp.platform.core.proxies.reconciler
            assert "quarantine" in eventually(lambda: reconciler.problem_of("default", "new-1"))
            eventually(lambda: new.config() is not None)
            assert new.listeners() == set()
            answered = load.answers["echo"]
            eventually(lambda: load.answers["echo"] > answered + 20)
            hostile.behave()
            cp.platform.catalog.boundary.quarantine.release("hostile")
            eventually(lambda: round_of(web) == "2")
            eventually(new.is_live)
        assert load.failures == []
