"""Whoever owns a service writes the policies that configure its proxies, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_policy_traffic
from kuma_core.sdk import ADMINS
from kuma_core.testing.platform import RunningPlatform
from plugins.access_roles.tests.running import Person, person, with_roles

KINDS = ["TrafficPermission", "TrafficRoute", "TrafficLog", "HealthCheck", "ProxyTemplate"]
RULE = {"verbs": ["put", "delete", "dry-run"], "kinds": KINDS, "tags": {"service": ["web"]}}
ROLE = {"type": "AccessRole", "name": "web-policies", "rules": [RULE]}
BOUND = {"type": "AccessRoleBinding", "name": "policies", "users": ["alice"], "roles": ["web-policies"]}


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with with_roles((kuma_policy_traffic,)) as running:
        admin = person(running, "root", ADMINS)
        for document in (ROLE, BOUND):
            assert admin.apply(document).status == 201
        yield running


@pytest.fixture(scope="module")
def alice(cp: RunningPlatform) -> Person:
    return person(cp, "alice")


def selectors(*services: str) -> list[dict[str, Any]]:
    return [{"match": {"service": service}} for service in services]


def policy(type: str, name: str, sources: list[str], destinations: list[str]) -> dict[str, Any]:
    ends = {"sources": selectors(*sources), "destinations": selectors(*destinations)}
    conf = {"conf": [{"weight": 1, "destination": {"service": "db"}}]} if type == "TrafficRoute" else {}
    return {"type": type, "mesh": "default", "name": name, **ends, **conf}


def template(name: str, *services: str) -> dict[str, Any]:
    conf = {"imports": ["default-proxy"]}
    return {
        "type": "ProxyTemplate",
        "mesh": "default",
        "name": name,
        "selectors": selectors(*services),
        "conf": conf,
    }


@pytest.mark.parametrize(
    ("document", "allowed"),
    [
        (policy("TrafficPermission", "a", ["db", "*"], ["web"]), True),
        (policy("TrafficPermission", "b", ["web"], ["db"]), False),
        (policy("TrafficPermission", "c", ["web"], ["*"]), False),
        (policy("TrafficPermission", "d", ["web"], ["web", "db"]), False),
        (policy("TrafficRoute", "a", ["web"], ["db"]), True),
        (policy("TrafficRoute", "b", ["*"], ["web"]), False),
        (policy("TrafficRoute", "c", ["web", "db"], ["web"]), False),
        (policy("TrafficLog", "a", ["web"], ["*"]), True),
        (policy("TrafficLog", "b", ["db"], ["web"]), False),
        (template("a", "web"), True),
        (template("b", "*"), False),
    ],
    ids=lambda value: f"{value['type']}-{value['name']}" if isinstance(value, dict) else "",
)
def test_a_policy_is_of_the_proxies_that_it_configures(
    alice: Person, document: dict[str, Any], allowed: bool
) -> None:
    for query in ("?dry-run=validate", ""):
        answer = alice.apply(document, query)
        assert (answer.status in (200, 201)) is allowed, answer
        assert allowed or answer.status == 403
    if allowed:
        assert alice.delete(document).status == 200


def test_what_is_stored_counts_too(cp: RunningPlatform, alice: Person) -> None:
    admin = person(cp, "root", ADMINS)
    theirs = policy("TrafficRoute", "of-db", ["db"], ["web"])
    assert admin.apply(theirs).status == 201
    assert alice.apply(policy("TrafficRoute", "of-db", ["web"], ["db"])).status == 403
    assert alice.delete(theirs).status == 403
    assert admin.delete(theirs).status == 200


def test_can_i_knows_the_tags_of_policies(alice: Person) -> None:
    question = "/can-i?verb=put&kind=TrafficRoute&mesh=default&name=x&tag=service="
    assert alice.ask("GET", f"{question}web").body["allowed"]
    assert not alice.ask("GET", f"{question}db").body["allowed"]
