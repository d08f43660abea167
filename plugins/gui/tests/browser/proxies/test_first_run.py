"""The first steps, taken as a newcomer takes them: the commands of the page are run as they stand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .. import support
from ..conftest import OpenTab
from . import shop

PAGE = "/first-run"
MTLS = {"enabled": True, "ca": {"builtin": {}}}
LASTING = ("kuma-tcp-echo", "kuma-dp run")
STARTS_MILLISECONDS = 90_000


@contextmanager
def running(command: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the page that lasts, in a session of its own; it and what it started are gone afterwards."""
    environ = {
        **os.environ,
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    line = f"exec {command}" if command.startswith(LASTING) else command
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            ["sh", "-c", line], env=environ, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def done(command: str, folder: Path) -> None:
    """Run a command of the page that ends."""
    with running(command, folder) as process:
        assert process.wait(timeout=120) == 0, (folder / "output").read_text()


def commands(page: Page) -> list[str]:
    """The commands of step 2, with ports that nobody else on this machine uses."""
    texts = page.get_by_role("region", name="Add dataplanes").locator("pre").all_inner_texts()
    ports = {number: str(free_port()) for number in ("9001", "10001")}
    return [re.sub(r"\b(9001|10001)\b", lambda found: ports[found[1]], text) for text in texts]


def test_the_commands_bring_a_dataplane_online_while_the_page_watches(
    cp: RunningPlatform, open_tab: OpenTab, tmp_path: Path
) -> None:
    cp.apply(mesh("fresh"))
    cp.catch_up()
    page = open_tab(f"{PAGE}?mesh=fresh").page
    expect(page.get_by_role("region", name="Where it runs")).to_contain_text("universal")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(f"--cp-address=http://localhost:{cp.api}")).to_be_visible()
    typed = commands(page)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("None is there yet")).to_be_visible()
    row = page.get_by_role("row", name="echo-1")
    with ExitStack() as stack:
        for command in typed:
            if command.startswith(LASTING):
                process = stack.enter_context(running(command, tmp_path))
            else:
                done(command, tmp_path)
        expect(row).to_contain_text("Online", timeout=STARTS_MILLISECONDS)
        look_at_what_a_real_envoy_refuses(cp, open_tab)
        process.kill()
        expect(row).to_contain_text("Offline")
    page.get_by_role("button", name="See the mesh").click()
    expect(page).to_have_url(re.compile("/meshes/fresh$"))


def look_at_what_a_real_envoy_refuses(cp: RunningPlatform, open_tab: OpenTab) -> None:
    """Its words are two clicks away from the list."""
    page = open_tab("/meshes/fresh/dataplanes").page
    cp.apply(shop.taken_template("echo", "fresh", cp.api))
    expect(page.get_by_role("row", name="echo-1")).to_contain_text("Degraded")
    page.get_by_role("button", name="echo-1").click()
    page.get_by_role("complementary").get_by_role("link", name="configuration").click()
    refused = page.get_by_role("region", name="Refused listeners")
    expect(refused).to_contain_text("Address already in use")
    expect(refused).to_contain_text("Something else on that machine listens there")
    expect(refused.get_by_role("link", name="ProxyTemplate bad")).to_be_visible()
    cp.delete("/meshes/fresh/proxytemplates/bad")


def test_it_can_be_skipped_without_a_dataplane_and_called_again(open_tab: OpenTab) -> None:
    page = open_tab(PAGE).page
    page.get_by_role("button", name="Skip").click()
    expect(page).to_have_url(re.compile(r"/$"))
    page.get_by_role("link", name="First steps").click()
    expect(page.get_by_role("heading", name="First steps")).to_be_visible()


def test_who_comes_first_is_led_there_once_and_others_are_not(browser: Browser) -> None:
    with support.gui_platform() as empty, support.context_of(browser, is_first=True) as context:
        tab = support.Tab(context, support.origin_of(empty))
        tab.page.goto(tab.origin)
        expect(tab.page.get_by_role("heading", name="First steps")).to_be_visible()
        tab.page.get_by_role("button", name="Skip").click()
        tab.page.reload()
        expect(tab.page).to_have_url(tab.origin + "/")
        empty.apply(dataplane("web-1", inbound("127.0.0.1:8000:80", "web")))
        tab.page.evaluate("localStorage.clear()")
        tab.page.reload()
        eventually(lambda: tab.page.evaluate("localStorage.getItem('kuma.firstRun')") == "done")
        expect(tab.page).to_have_url(tab.origin + "/")


def test_each_step_has_an_address(open_tab: OpenTab) -> None:
    page = open_tab(f"{PAGE}?step=3").page
    expect(page.get_by_role("list", name="Steps").locator("[aria-current=step]")).to_have_text(
        "Watch them come"
    )
    page.get_by_role("button", name="Back").click()
    assert "step=2" in page.url
    page.go_back()
    expect(page.get_by_role("heading", name="3. Watch them come")).to_be_visible()


def test_it_warns_of_the_memory_store_and_of_a_mesh_that_refuses_every_call(
    cp: RunningPlatform, open_tab: OpenTab
) -> None:
    cp.apply(mesh("closed", mtls=MTLS))
    cp.catch_up()
    page = open_tab(f"{PAGE}?mesh=closed").page
    notes = page.get_by_role("note")
    expect(notes.filter(has_text="forgets it when it ends")).to_be_visible()
    refused = notes.filter(has_text="mTLS is on, and nothing permits any connection")
    expect(refused).to_be_visible()
    cp.apply({**shop.policy("TrafficPermission", "all"), "mesh": "closed"})
    expect(refused).to_have_count(0)


@pytest.mark.parametrize(("size", "theme"), shop.LOOKS)
def test_everybody_can_use_the_steps(open_tab: OpenTab, size: dict[str, int], theme: str) -> None:
    tab = open_tab(PAGE, size=size, theme=theme)
    for step in (1, 2, 3):
        page = tab.open(f"{PAGE}?step={step}")
        expect(page.get_by_role("heading", name=f"{step}.")).to_be_visible()
        expect(page.get_by_text("Loading …")).to_have_count(0)
        assert support.violations(page) == [], step
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), step
