"""Pages stay true by themselves: in seven tabs at once, after a pause, and when the control plane goes and comes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually

from .conftest import OpenTab
from .process import ControlPlane
from .support import Tab, context_of, origin_of

LIST = "/meshes/default/dataplanes"
MANY = 7
"""Browsers allow six connections to a server: with a stream for each tab the seventh would wait for ever."""


def web(name: str) -> dict[str, object]:
    return dataplane(name, inbound("127.0.0.1:8080:80", "web"))


def row(page: Page, name: str) -> object:
    return page.get_by_role("row").filter(has_text=name)


def test_seven_tabs_share_one_stream_and_all_stay_true(browser: Browser, cp: RunningPlatform) -> None:
    clients = cp.platform.core.offer("builtin.events", object)._clients
    with context_of(browser) as context:
        tabs = [Tab(context, origin_of(cp)) for _ in range(MANY)]
        for tab in tabs:
            tab.open(LIST)
            expect(tab.page.get_by_role("button", name="Live")).to_be_visible()
        cp.apply(web("in-all-tabs"))
        for tab in tabs:
            expect(row(tab.page, "in-all-tabs")).to_be_visible()
        eventually(lambda: len(clients) == 1, what="one stream for all tabs")
        tabs[0].page.close()  # it was the first, and the stream is not its own
        cp.apply(web("in-six-tabs"))
        for tab in tabs[1:]:
            expect(row(tab.page, "in-six-tabs")).to_be_visible()
        assert [tab.errors for tab in tabs if tab.errors] == []


def test_a_paused_page_stands_still_and_catches_up(open_tab: OpenTab, cp: RunningPlatform) -> None:
    paused, live = open_tab(LIST).page, open_tab(LIST).page
    paused.get_by_role("button", name="Live").click()
    expect(paused.get_by_role("button", name="Paused")).to_be_visible()
    cp.apply(web("while-paused"))
    expect(row(live, "while-paused")).to_be_visible()
    cp.apply(web("while-paused-2"))
    expect(row(live, "while-paused-2")).to_be_visible()  # a second later: the first would be there by now
    expect(row(paused, "while-paused")).not_to_be_visible()
    paused.get_by_role("button", name="Paused").click()
    expect(row(paused, "while-paused-2")).to_be_visible()


def test_a_browser_without_shared_workers_asks_now_and_then(browser: Browser, cp: RunningPlatform) -> None:
    with context_of(browser) as context:
        context.add_init_script("delete window.SharedWorker")
        tab = Tab(context, origin_of(cp))
        page = tab.open(LIST)
        expect(page.get_by_role("button", name="Live")).to_be_visible()
        cp.apply(web("asked-for"))
        expect(row(page, "asked-for")).to_be_visible()
        assert tab.errors == []


# -- a control plane that goes and comes


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ControlPlane]:
    control_plane = ControlPlane(tmp_path)
    try:
        control_plane.start()
        yield control_plane
    finally:
        control_plane.kill()


def test_a_lost_control_plane_is_told_and_comes_back_by_itself(browser: Browser, alone: ControlPlane) -> None:
    with context_of(browser) as context:
        page = Tab(context, alone.origin).open(LIST)
        expect(page.get_by_text("This mesh has no dataplanes yet")).to_be_visible()
        banner = page.get_by_role("alert").filter(has_text="The control plane is not heard")
        for gone, comes in (
            (signal.SIGSTOP, lambda: alone.send(signal.SIGCONT)),
            (signal.SIGKILL, alone.start),
        ):
            alone.send(gone)
            expect(banner).to_be_visible()
            expect(page.get_by_role("button", name="Lost")).to_be_visible()
            expect(page.locator(".stale")).to_contain_text("As it was")
            expect(page.get_by_text("This mesh has no dataplanes yet")).to_be_visible()  # the data stays
            if gone is signal.SIGKILL:
                alone.kill()
            comes()
            expect(banner).not_to_be_visible()
            expect(page.get_by_role("button", name="Live")).to_be_visible()
            expect(page.locator(".stale")).not_to_be_attached()


def test_an_empty_list_stays_when_a_read_of_its_mesh_fails(browser: Browser, cp: RunningPlatform) -> None:
    cp.apply({"type": "Mesh", "name": "nobody-here"})
    with context_of(browser) as context:
        page = Tab(context, origin_of(cp)).open("/meshes/nobody-here/dataplanes")
        expect(page.get_by_text("This mesh has no dataplanes yet")).to_be_visible()
        page.route("**/api/meshes/nobody-here", lambda route: route.abort())
        with page.expect_event("requestfailed"):
            cp.apply({"type": "Mesh", "name": "nobody-here", "tracing": {}})
        page.wait_for_timeout(100)  # the page has drawn what it makes of it
        assert page.get_by_text("This mesh has no dataplanes yet").is_visible()


def test_what_happens_before_the_stream_is_heard_is_not_missed(browser: Browser, cp: RunningPlatform) -> None:
    """A slow machine: the page is read and shown, and its worker comes later."""
    late = """
        const Late = window.SharedWorker;
        window.SharedWorker = class {
          constructor(...words) {
            const { port1, port2 } = new MessageChannel();
            this.port = port1;
            window.comesAtLast = () => {
              const { port } = new Late(...words);
              port.onmessage = ({ data }) => port2.postMessage(data);
              port2.onmessage = ({ data }) => port.postMessage(data);
            };
          }
        };
    """
    with context_of(browser) as context:
        context.add_init_script(late)
        page = Tab(context, origin_of(cp)).open(LIST)
        expect(page.get_by_role("navigation", name="Pages of Dataplanes")).to_be_visible()
        cp.apply(web("in-between"))
        expect(page.get_by_role("button", name="Live")).to_be_visible()
        page.evaluate("() => comesAtLast()")
        expect(row(page, "in-between")).to_be_visible()
