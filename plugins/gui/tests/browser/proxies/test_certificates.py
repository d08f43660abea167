"""Who signs in a mesh, whose certificate ends when, and a rotation of the root as it goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from kuma_ca_builtin.admin import PATH
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from tests.security.support import SDS, stream

from .. import support
from ..conftest import OpenTab
from . import shop

PAGE = "/meshes/safe/certificates"
MTLS = {"enabled": True, "ca": {"builtin": {}}}


@pytest.fixture(scope="module")
def safe(cp: RunningPlatform) -> Iterator[RunningPlatform]:
    """A mesh with mTLS in which ``b`` has a certificate, whose answers nobody acknowledges, and ``a`` has none."""
    cp.apply(mesh("safe", mtls=MTLS), mesh("plain"))
    cp.apply(*(dataplane(name, inbound("127.0.0.1:8002:1", "web"), mesh="safe") for name in "ab"))
    with fleet(cp) as envoys, stream(cp, SDS, cp.token("b", "safe")) as opened:
        envoys.connect(DeltaClient("safe.b"))
        opened.ask("identity_cert", node="safe.b")
        opened.secret()
        path = "/meshes/safe/dataplanes+insights/b"
        eventually(lambda: "ends" in cp.get(path).body["dataplaneInsight"].get("certificates", {}))
        yield cp


pytestmark = pytest.mark.usefixtures("safe")


def test_roots_and_the_certificates_that_end_next(open_tab: OpenTab) -> None:
    page = open_tab(PAGE).page
    expect(page.get_by_role("table", name="Roots").get_by_role("row")).to_have_count(2)
    rows = page.get_by_role("table", name="Certificates of proxies").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("b")
    expect(rows.nth(1)).to_contain_text("in 89 d")
    expect(rows.nth(2)).to_contain_text("none was issued")


def test_the_dataplane_has_its_own(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/safe/dataplanes/b?tab=certificate").page
    expect(page.get_by_role("tabpanel")).to_contain_text("in 89 d")


def test_a_mesh_without_mtls_says_so(open_tab: OpenTab) -> None:
    page = open_tab("/meshes/plain/certificates").page
    expect(page.get_by_text("mTLS is off in this mesh")).to_be_visible()


def test_a_rotation_is_shown_as_it_begins_and_with_whom_it_waits_for(
    safe: RunningPlatform, open_tab: OpenTab
) -> None:
    page = open_tab(PAGE).page
    expect(page.get_by_role("table", name="Roots")).to_be_visible()
    assert safe.request("POST", PATH.format(mesh="safe"), port=safe.admin).status == 200
    rotation = page.get_by_role("region", name="Rotation")
    expect(rotation).to_contain_text("1 of 2: proxies learn to trust the new root")
    expect(rotation).to_contain_text("all proxies of 0 of 1")
    expect(rotation.get_by_role("link", name="b", exact=True)).to_be_visible()
    expect(page.get_by_role("table", name="Roots").get_by_role("row")).to_have_count(3)
    assert support.violations(page) == []


@pytest.mark.parametrize(("size", "theme"), shop.LOOKS)
def test_everybody_can_use_the_page(open_tab: OpenTab, size: dict[str, int], theme: str) -> None:
    page = open_tab(PAGE, size=size, theme=theme).page
    expect(page.get_by_role("table", name="Certificates of proxies")).to_be_visible()
    assert support.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
