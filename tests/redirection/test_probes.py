"""The kubelet's probes reach kuma-dp past the rules of a Pod, and the application by way of it."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.redirection.choosing import NAMES
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import start
from .pods import APPLICATION, CLOSED, SERVED, WEB, Pod, has_ipv6, two_pods, usable

PROBES = 9000
ANSWERING = """
import sys, threading
from kuma_core.dataplane import probes
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.probe_targets import parse
with probes.served(parse(sys.argv[1]), "10.213.8.1", Log("info")) as server:
    server.start()
    threading.Event().wait()
"""


def probed(caller: Pod, ip: str, path: str) -> str:
    """The first line of what is answered to a probe; nothing if nobody answers."""
    request = f"GET {path} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"
    talk = f"exec 3<>/dev/tcp/{ip}/{PROBES} && printf '{request}' >&3 && timeout 30 head -n 1 <&3"
    script = f"({talk}) 2>/dev/null || true"
    return caller.run("bash", "-c", script, user=APPLICATION).strip()


def test_probes_go_past_the_rules(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this kernel has no IPv6")
    targets = {"/up": {"port": SERVED, "timeout": 30}, "/down": {"port": CLOSED, "timeout": 30}}
    told = json.dumps({"port": PROBES, "targets": targets})
    with two_pods(tmp_path) as (web, kubelet), ExitStack() as stack:
        start([*web.words, sys.executable, "-c", ANSWERING, told], tmp_path / "probes.log", stack)
        eventually(lambda: probed(kubelet, WEB.own[4], "/up"), 60, "an answer, before there are rules")
        for back_end in NAMES:
            usable(web, back_end)
            web.redirect(back_end, "-d", str(PROBES))
            before = web.passed()
            for ip in WEB.own.values():
                assert probed(kubelet, ip, "/up") == "HTTP/1.1 200 Probe"
                assert probed(kubelet, ip, "/down") == "HTTP/1.1 503 Probe"
            assert web.passed() == before, "the proxy has no part in it"
