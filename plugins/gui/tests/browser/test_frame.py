"""What stands around every page."""

from __future__ import annotations

from .conftest import OpenTab


def test_a_page_is_shown(open_tab: OpenTab) -> None:
    tab = open_tab("/meshes/default/dataplanes")
    assert tab.page.get_by_role("heading", name="Dataplanes").is_visible()
    tab.page.get_by_text("This mesh has no dataplanes yet").wait_for()
