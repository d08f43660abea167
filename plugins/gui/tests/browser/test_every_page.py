"""What holds for every page: anybody can use it, at every width and in both themes; what resources say is text; nobody
but the control plane is asked. The pictures of the documentation are made here, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import CLUSTER
from plugins.gui import build_web

from .support import EVERY_LOOK, Tab, context_of, origin_of, picture, violations

MARKUP = "<img src=x onerror=document.title='taken'>"
ESCAPE = "\x1b[31m"
SHOP = "/meshes/default"
PAGES = {
    "/": "overview",
    "/first-run": "",
    "/first-run?step=3": "",
    SHOP: "mesh",
    f"{SHOP}/map": "map",
    f"{SHOP}/map?from=web&to=ledger": "",
    f"{SHOP}/services": "",
    f"{SHOP}/services/ledger": "",
    f"{SHOP}/dataplanes?row=ledger-1": "dataplanes",
    f"{SHOP}/dataplanes/web-1": "dataplane",
    f"{SHOP}/dataplanes/odd-1": "",
    f"{SHOP}/dataplanes/odd-1/xds": "",
    f"{SHOP}/certificates": "",
    f"{SHOP}/policies/traffic-permissions": "",
    f"{SHOP}/policies/traffic-routes": "",
    f"{SHOP}/policies/traffic-routes/canary": "",
    f"{SHOP}/policies/health-checks": "",
    f"{SHOP}/explain": "",
    f"{SHOP}/explain?source=web&destination=ledger": "explain",
}
"""Every page, and the name of its picture, if it has one."""
LISTS = [f"{SHOP}/services", f"{SHOP}/dataplanes?row=ledger-1", f"{SHOP}/policies/traffic-permissions"]
DOCUMENTS = Path(__file__).parents[4] / "docs"
PICTURE, MOST_BYTES = {"width": 960, "height": 560}, 60_000


def policy(kind: str, name: str, source: str, destination: str, **more: object) -> dict[str, object]:
    ends = {
        "sources": [{"match": {"service": source}}],
        "destinations": [{"match": {"service": destination}}],
    }
    return {"type": kind, "mesh": "default", "name": name, **ends, **more}


def template(service: str) -> dict[str, object]:
    type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    raw = f"'@type': {type_url}\nname: broken\ntype: STATIC\nconnect_timeout: 1s\n"
    conf = {"imports": ["default-proxy"], "resources": [{"name": "r", "version": "v1", "resource": raw}]}
    selectors = [{"match": {"service": service}}]
    return {"type": "ProxyTemplate", "mesh": "default", "name": "bad", "selectors": selectors, "conf": conf}


SHARES = [
    {"weight": weight, "destination": {"service": "ledger", "version": version}}
    for weight, version in ((90, "1"), (10, "2"))
]
RESOURCES = [
    mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}),
    dataplane(
        "web-1",
        inbound("127.0.0.1:8000:80", "web", zone="east"),
        outbounds=[outbound(":7100", "ledger"), outbound(":7101", "mailer")],
    ),
    *(
        dataplane(f"ledger-{n}", inbound(f"127.0.0.{n + 1}:8001:80", "ledger", version=str(n)))
        for n in (1, 2)
    ),
    dataplane("odd-1", inbound("127.0.0.1:8003:80", "odd"), outbounds=[outbound(":7102", "ledger")]),
    policy("TrafficPermission", "web-to-ledger", "web", "ledger"),
    policy("TrafficRoute", "canary", "web", "ledger", conf=SHARES),
    template("odd"),
]
MARKED = [
    {**document, "mesh": "marked"}
    for document in (
        dataplane("web-1", inbound("127.0.0.1:8000:80", "web", zone=MARKUP)),
        template("web"),
    )
]
"""Texts with markup, wherever somebody may write any."""


@pytest.fixture(scope="module", autouse=True)
def shop(cp: RunningPlatform) -> Iterator[None]:
    """A mesh with proxies in several states, and one whose texts hold markup."""
    cp.apply(*RESOURCES, mesh("marked"), *MARKED)
    cp.catch_up()
    with fleet(cp) as envoys:
        for name in ("default.web-1", "default.ledger-1", "default.odd-1", "marked.web-1"):
            client = DeltaClient(name)
            said = f"no such thing {MARKUP} {ESCAPE}" if "marked" in name else "no such thing"
            client.bad = {(CLUSTER, "broken"): said}
            envoys.connect(client)
        states = {"web-1": "Online", "ledger-1": "Online", "odd-1": "Degraded", "ledger-2": "Never connected"}
        path = f"{SHOP}/dataplanes+insights"
        eventually(lambda: {o["name"]: o["status"]["state"] for o in cp.get(path).body["items"]} == states)
        eventually(lambda: cp.get(f"{SHOP}/service-map").body["current"])
        yield


def settled(page: Page) -> None:
    """Wait until nothing says that it is still being read."""
    expect(page.get_by_text("Loading …")).to_have_count(0)


def test_every_pattern_is_looked_at() -> None:
    source = (build_web.WEB / "src/pages.ts").read_text()
    patterns = re.findall(r'pattern: "(/[^"]*)"', source)
    shapes = [re.compile(re.sub(r":\w+", "[^/]+", pattern)) for pattern in patterns]
    paths = [path.partition("?")[0] for path in PAGES]
    assert len(patterns) > 10
    assert [shape.pattern for shape in shapes if not any(map(shape.fullmatch, paths))] == []


@pytest.mark.parametrize(("size", "theme"), EVERY_LOOK)
def test_anybody_can_use_every_page(
    browser: Browser, cp: RunningPlatform, size: dict[str, int], theme: str
) -> None:
    wrong: dict[str, object] = {}
    with context_of(browser, size, theme) as context:
        tab = Tab(context, origin_of(cp))
        for path in PAGES:
            page = tab.open(path)
            settled(page)
            if found := violations(page):
                wrong[path] = found
            width = page.evaluate("() => document.documentElement.scrollWidth")
            if width > size["width"]:
                wrong[f"{path} is too wide"] = width
        assert wrong == {}
        assert (tab.foreign, tab.errors) == ([], [])


def test_markup_and_escapes_are_shown_as_text(browser: Browser, cp: RunningPlatform) -> None:
    with context_of(browser) as context:
        tab = Tab(context, origin_of(cp))
        shown = 0
        for path in (path.replace(SHOP, "/meshes/marked") for path in PAGES):
            page = tab.open(path)
            settled(page)
            shown += page.get_by_text(MARKUP).count() > 0
            assert page.title() != "taken", path
            assert page.locator("img[src=x]").count() == 0, path
            if "404" in " ".join(tab.errors):  # what this mesh does not have
                tab.errors.clear()
        assert shown >= 3, "the list, the detail and what an Envoy refused"
        page = tab.open(f"{SHOP}/dataplanes?q={MARKUP}")
        expect(page.get_by_text("Nothing fits")).to_be_visible()
        assert tab.errors == []


def test_a_page_reads_few_things(browser: Browser, cp: RunningPlatform) -> None:
    """Five for a list with its frame; overviews are put together of more, and nothing is read for each row."""
    many = {}
    for path in PAGES:
        with context_of(browser) as context:
            tab = Tab(context, origin_of(cp))
            settled(tab.open(path))
            expect(tab.page.locator(".told")).to_be_visible()
            read = [asked for asked in tab.requests if asked.startswith(("/api/", "/config"))]
            if len(read) > (5 if path in LISTS else 8):
                many[path] = read
    assert many == {}


def test_the_pictures_of_the_documentation(browser: Browser, cp: RunningPlatform) -> None:
    """``KUMA_TEST_PICTURES=docs/images`` writes them anew."""
    with context_of(browser, PICTURE) as context:
        for path, name in PAGES.items():
            if name:
                page = Tab(context, origin_of(cp)).open(path)
                settled(page)
                picture(page, name)
    named = {
        name
        for page in DOCUMENTS.rglob("*.md")
        for name in re.findall(r"images/([\w-]+)\.png", page.read_text())
    }
    assert named == {name for name in PAGES.values() if name}
    for name in named:
        assert (DOCUMENTS / f"images/{name}.png").stat().st_size <= MOST_BYTES, name
