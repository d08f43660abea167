"""Redirected connections in an encrypted mesh, with all programs: the rules of kuma-init, and what strangers reach."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.waiting import eventually

from .. import needs
from ..namespaces import FAR, NEAR, run, two_machines
from ..redirection.pods import ECHO, INIT
from .inside import APPLICATION, Inside
from .support import start

SERVED, UNKNOWN, SERVICE = 8080, 9999, "10.96.0.1"
PERMISSION = {
    "type": "TrafficPermission",
    "name": "web-to-web",
    "mesh": "default",
    "sources": [{"match": {"service": "web"}}],
    "destinations": [{"match": {"service": "web"}}],
}
SETTINGS = {
    "KUMA_PLUGINS": "store_memory,ca_builtin,policy_traffic",
    "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false",
}


def call(machine: Inside, user: int, ip: str, port: int, say: str = "") -> str:
    """Who answers there, as "name peer"; nothing if there is no connection, or one without a word."""
    script = f"exec 3<>/dev/tcp/{ip}/{port} && printf '{say}' >&3 && timeout 30 cat <&3"
    return machine.run("bash", "-c", script, user=user).stdout


def begin(machine: Inside, words: list[str], folder: Path, stack: ExitStack) -> None:
    """A control plane, an encrypted mesh, a service that calls itself, and its sidecar: all of them run as root."""
    machine.start("kuma-cp", "run", **SETTINGS)
    eventually(lambda: machine.fetch(5680, 0, "/ready").startswith("HTTP/1.1 200"), 60, "the control plane")
    web = dataplane(
        "web", inbound(f"{NEAR}:{SERVED}:{SERVED}", "web"), outbounds=[outbound(f"{SERVICE}:80", "web")]
    )
    web["networking"]["transparentProxying"] = {"redirectPort": 15001}
    for document in (mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}), PERMISSION, web):
        machine.apply(document)
    echo = [*words, sys.executable, "-c", ECHO, "web", str(SERVED), str(UNKNOWN)]
    start(echo, folder / "web-service.log", stack)
    eventually(lambda: call(machine, 0, "127.0.0.1", UNKNOWN) == "web 127.0.0.1", 60, "the service")
    machine.start("kuma-dp", "run", "--name=web", "--admin-port=9901")
    eventually(lambda: "LIVE" in machine.fetch(9901, 0, "/ready"), 60, "the Envoy of web")


def test_a_service_reaches_itself_with_mtls_and_strangers_do_not_without(tmp_path: Path) -> None:
    needs.program("nft", "nftables")
    with two_machines(tmp_path, "web") as (near, far), ExitStack() as stack:
        run([*near, "ip", "route", "add", "default", "via", FAR])
        web, stranger = Inside(near, tmp_path, stack), Inside(far, tmp_path, stack)
        begin(web, near, tmp_path, stack)
        done = web.run(sys.executable, "-c", INIT, "-u", str(os.getuid()))
        if done.returncode:
            needs.missing("nftables", f"no connection can be redirected here: {done.stderr.strip()}")
        what = "Envoy's call to its own machine comes to the inbound, with a certificate"
        eventually(lambda: call(web, APPLICATION, SERVICE, 80) == "web 127.0.0.1", 60, what)
        assert web.stat("listener.10.213.7.1_8080.ssl.handshake") >= 1
        answer = call(stranger, 0, NEAR, SERVED, say="this is no TLS\\n")
        assert answer.startswith("\x15\x03"), "an alert of TLS, and no word of the service"
        assert call(stranger, 0, NEAR, UNKNOWN) == f"web {NEAR}", "no inbound: it passes, once"
        assert web.stat("cluster.pass_through.upstream_cx_total") == 1
