"""The page of explanations has a row for every field of a real answer and for every scope, and none for others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.policy.contract import Scope
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "explain.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ROUTE = {
    "type": "TrafficRoute",
    "mesh": "default",
    "name": "all",
    "sources": [{"match": {"service": "*"}}],
    "destinations": [{"match": {"service": "*"}}],
    "conf": [{"weight": 1, "destination": {"service": "ledger"}}],
}


def first_cells(section: str) -> list[str]:
    return re.findall(r"^\| `?([^|`]+?)`? \|", SECTIONS[section], re.MULTILINE)[1:]


def fields(value: Any, path: str = "") -> Iterator[str]:
    """The path of every member, down to the maps of tags, whose keys are the operator's."""
    for item in value if isinstance(value, list) else ():
        yield from fields(item, f"{path}[]")
    if isinstance(value, dict) and not path.endswith("tags"):
        for name, member in value.items():
            child = f"{path}.{name}".removeprefix(".")
            yield child
            yield from fields(member, child)


def answers(cp: RunningPlatform) -> list[dict[str, Any]]:
    """Of a connection, and of a proxy alone."""
    cp.apply(dataplane("web-1", inbound("127.0.0.1:10001:9001", "web")), ROUTE)
    cp.apply(dataplane("ledger-1", inbound("127.0.0.1:10002:9002", "ledger")))
    questions = ("source=web-1&destination=ledger-1", "source=web-1")
    return [cp.get(f"/meshes/default/explain?{question}").body for question in questions]


def test_the_fields_and_scopes_are_those_of_real_answers() -> None:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as cp:
        connection, proxy = answers(cp)
    documented = first_cells("Fields")
    assert len(set(documented)) == len(documented)
    assert set(documented) == set(fields(connection))
    assert set(fields(connection)) - set(fields(proxy)) >= {"destination", "routed"}
    scopes = [item["scope"] for item in connection["policies"] + proxy["policies"]]
    assert set(first_cells("Scopes")) == set(scopes) == {scope.value for scope in Scope}
