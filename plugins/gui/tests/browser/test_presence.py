"""Instances that others do not call yet, or no more, are told apart from those that serve, as it happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from kuma_core.sdk import Presence
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.proxy import TELLS_SERVING

from . import support
from .conftest import OpenTab


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """A control plane with the default setting, and a proxy beside which somebody tells when it serves."""
    with support.gui_platform(KUMA_XDS_SERVER_ENDPOINTS="serving") as running, fleet(running) as envoys:
        running.apply(dataplane("web-1", inbound("127.0.0.1:8000:80", "web")))
        envoys.connect(DeltaClient("default.web-1", metadata={TELLS_SERVING: "true"}))
        yield running


def test_the_pages_tell_who_joins_serves_and_leaves(open_tab: OpenTab, cp: RunningPlatform) -> None:
    presence = cp.platform.core.offer("builtin.presence", Presence)
    listed, one = (
        open_tab("/meshes/default/dataplanes").page,
        open_tab("/meshes/default/dataplanes/web-1").page,
    )
    row, main = listed.get_by_role("row", name="web-1"), one.get_by_role("main")
    expect(row).to_contain_text("Online (joining)")
    expect(main).to_contain_text("Joining: ")
    presence.set_serving("default", "web-1", True)
    expect(row).not_to_contain_text("joining")
    expect(row).to_contain_text("Online")
    expect(main).not_to_contain_text("Joining: ")
    presence.set_serving("default", "web-1", False)
    expect(row).to_contain_text("Online (leaving)")
    expect(main).to_contain_text("Leaving: ")
    row.get_by_role("button", name="web-1").click()
    expect(listed.get_by_role("complementary", name="web-1")).to_contain_text("Others do not call it")
