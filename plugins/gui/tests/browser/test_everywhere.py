"""A proxy that goes is gone everywhere at once: on list, detail, map and overview, and for kumactl."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from .support import Tab, context_of, origin_of

MESH = "/meshes/gone"
PAGES = {
    f"{MESH}/dataplanes": ("● Online", "■ Offline"),
    f"{MESH}/dataplanes/web-1": ("● Online", "■ Offline"),
    f"{MESH}/map": ("1 of 1 online", "0 of 1 online"),
    MESH: ("its proxy is online", "its proxy is offline"),
}


def inspected(cp: RunningPlatform, home: Path) -> str:
    """What ``kumactl inspect dataplanes`` prints."""
    environ = {"HOME": str(home), "PATH": ""}
    add = ["config", "control-planes", "add", "--name=cp", f"--address={cp.api_url}", "--overwrite"]
    for words in (add, ["inspect", "dataplanes", "--mesh=gone"]):
        command = [Path(sys.executable).parent / "kumactl", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_a_proxy_that_goes_is_offline_on_every_page(
    browser: Browser, cp: RunningPlatform, tmp_path: Path
) -> None:
    cp.apply(
        mesh("gone"),
        {
            **dataplane("web-1", inbound("127.0.0.1:8000:80", "web"), outbounds=[outbound(":7100", "web")]),
            "mesh": "gone",
        },
    )
    with fleet(cp) as envoys, context_of(browser) as context:
        envoy = envoys.connect(DeltaClient("gone.web-1"))
        eventually(lambda: "Online" in inspected(cp, tmp_path))
        pages: dict[str, Page] = {path: Tab(context, origin_of(cp)).open(path) for path in PAGES}
        for path, (before, _) in PAGES.items():
            expect(pages[path].get_by_role("main")).to_contain_text(before)
        envoys.disconnect(envoy)
        for path, (_, after) in PAGES.items():
            expect(pages[path].get_by_role("main")).to_contain_text(after)
        assert "Offline" in inspected(cp, tmp_path)
