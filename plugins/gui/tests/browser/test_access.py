"""A control plane that asks who reads: the page asks the reader for a token, and keeps it for its tab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform

from .support import Tab, context_of, gui_platform, origin_of, violations

LIST = "/meshes/default/dataplanes"


@pytest.fixture(scope="module")
def closed() -> Iterator[RunningPlatform]:
    with gui_platform(KUMA_API_SERVER_AUTH_MODE="token") as cp:
        yield cp


def test_a_token_opens_what_it_is_good_for(browser: Browser, closed: RunningPlatform) -> None:
    token = closed.user_token("ann", "kuma:reader")
    with context_of(browser) as context:
        tab = Tab(context, origin_of(closed))
        page = tab.open(LIST)
        problem = page.get_by_role("alert")
        expect(problem).to_contain_text("token")
        expect(page.get_by_role("button", name="Live")).to_be_visible()  # nobody is lost
        assert violations(page) == []
        problem.get_by_label("Token").fill(token)
        problem.get_by_role("button", name="Use it in this tab").click()
        expect(page.get_by_text("This mesh has no dataplanes yet")).to_be_visible()
        tab.errors.clear()

        admin = closed.user_token("root", "kuma:admin")
        document = dataplane("web-1", inbound("127.0.0.1:8080:80", "web"))
        path = "/meshes/default/dataplanes/web-1"
        answer = closed.request("PUT", path, document, Authorization=f"Bearer {admin}")
        assert answer.status == 201
        expect(
            page.get_by_role("row").filter(has_text="web-1")
        ).to_be_visible()  # the stream has the token, too
        assert token not in page.url
        assert page.evaluate("() => JSON.stringify(localStorage)").find(token) == -1
        page.reload()
        expect(page.get_by_role("row").filter(has_text="web-1")).to_be_visible()
        other = Tab(context, origin_of(closed))
        other.open(LIST)
        expect(other.page.get_by_role("alert")).to_contain_text("token")
        assert tab.errors == []
