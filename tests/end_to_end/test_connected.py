"""What kuma-dp says of its control plane while that one comes, goes and comes back: real processes, a real Envoy."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import BIN, start
from .test_outage import ControlPlane

CONNECTED, LOST = "connected to the control plane", "the connection to the control plane is lost"


def own_lines(log: Path) -> list[tuple[str, str, dict]]:
    """Level, message and values of what kuma-dp says itself, where it has values."""
    lines = [line.split("\t") for line in log.read_text().splitlines() if "\tkuma-dp.run\t" in line]
    return [
        (level, message.partition(";")[0], json.loads(*values))
        for _, level, _, message, *values in lines
        if values
    ]


@pytest.mark.parametrize(
    ("variant", "has_port"), [("delta", False), pytest.param("sotw", True, marks=pytest.mark.chaos)]
)
def test_kuma_dp_says_when_it_is_connected_and_when_no_longer(
    variant: str, has_port: bool, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        cp = ControlPlane(tmp_path, stack, variant)
        document = dataplane("web", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"))
        cp.apply(document)
        log = tmp_path / "web.log"
        admin = [f"--admin-port={free_port()}"] if has_port else []
        command = [str(BIN / "kuma-dp"), "run", "--name=web", f"--cp-address={cp.url}", *admin]
        start(command, log, stack)

        address = f"127.0.0.1:{cp.ports['XDS_SERVER_GRPC_PORT']}"
        identity = {"control_plane": address, "dataplane": "web", "mesh": "default"}
        eventually(lambda: own_lines(log) == [("INFO", CONNECTED, identity)], 60, "the line")
        assert "[info]" not in log.read_text(), "Envoy's start-up is told only to whoever asks for it"

        cp.kill()
        eventually(lambda: own_lines(log)[1:] == [("WARNING", LOST, identity)], 60, "the loss")
        cp.start()
        cp.apply(document)
        eventually(lambda: len(own_lines(log)) == 3, 40, "the return")
        level, message, values = own_lines(log)[2]
        assert (level, message) == ("INFO", CONNECTED)
        assert values.pop("seconds_without") > 0
        assert values == identity
        assert "[warning][config]" in log.read_text(), "Envoy's warnings come through"


def test_over_tls_so_it_is(tmp_path: Path) -> None:
    with ExitStack() as stack:
        cp = ControlPlane(tmp_path, stack, "delta", KUMA_XDS_SERVER_TLS_ENABLED="true")
        cp.apply(dataplane("web", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web")))
        log = tmp_path / "web.log"
        command = [str(BIN / "kuma-dp"), "run", "--name=web", f"--cp-address={cp.url}"]
        start([*command, "--log-level=info", f"--admin-port={free_port()}"], log, stack)
        eventually(lambda: CONNECTED in [message for _, message, _ in own_lines(log)], 60, "the line")
        assert "[info]" in log.read_text()
        cp.kill()
        eventually(lambda: LOST in [message for _, message, _ in own_lines(log)], 60, "the loss")
