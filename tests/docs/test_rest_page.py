"""The page of the REST API has a row for every route, status, header and limit that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kuma_store_memory
from kuma_core.api import cors, errors, paging, resources, warning_headers
from kuma_core.api.contract import Route
from kuma_core.resources import codec
from kuma_core.resources.contract import Result
from kuma_core.testing.platform import running_platform

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rest.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def rows(section: str) -> list[list[str]]:
    """The cells of each row of a section's tables, without the marks of code."""
    lines = re.findall(r"^\| (.*) \|$", SECTIONS[section], re.MULTILINE)
    return [[cell.strip().strip("`") for cell in line.split(" | ")] for line in lines]


def served() -> dict[str, str]:
    """The methods of every route of a platform with nothing but the memory store."""
    with running_platform([kuma_store_memory]) as cp:
        routes = cp.platform.features.routes
    return {route.template: ", ".join(methods(route)) for route in routes}


def methods(route: Route) -> list[str]:
    return [name for name in cors.METHODS if hasattr(route.resource, f"on_{name.lower()}")]


def test_every_route_has_a_row() -> None:
    documented = {cells[0]: cells[1] for cells in rows("Paths") if cells[0].startswith("/")}
    assert documented == served()


STATUSES = [200, 201, 301, 400, 405, 406, 413, 415, *(code for _, code, _ in errors.STATUS)]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_a_row(status: int) -> None:
    assert [cells for cells in rows("Statuses and errors") if cells[0] == str(status)]


def test_headers() -> None:
    documented = {cells[0] for cells in rows("Writing")}
    assert {resources.RESULT_HEADER, "Warning", "Allow", "Location", "Vary"} <= documented
    assert set(cors.EXPOSED.split(", ")) <= documented
    assert all(f"`{result.value}`" in SECTIONS["Writing"] for result in Result)
    assert f"At most {warning_headers.MAX_WARNINGS};" in SECTIONS["Writing"]
    assert f"`Access-Control-Max-Age: {cors.MAX_AGE_SECONDS}`" in SECTIONS["Browsers"]


def test_limits() -> None:
    limits = {cells[0]: cells[1] for cells in rows("Writing")}
    assert limits["bytes of a body, packed or not"].endswith(f" {1024 * 1024}")
    assert limits["characters of a name"].startswith(f"{resources.MAX_NAME}:")
    assert limits["levels of nesting"] == str(codec.MAX_DEPTH)
    assert limits["digits of a number"] == str(codec.MAX_DIGITS)


def test_parameters() -> None:
    documented = {cells[0]: cells[2] for cells in rows("Reading")}
    assert f"1 to {paging.MAX_SIZE}; {paging.DEFAULT_SIZE} if only" in documented["size"]
    assert set(documented) >= {"size", "offset", "tag"}
