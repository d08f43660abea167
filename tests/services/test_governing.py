"""Which policies govern a dataplane, and why: the same ones as edit its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.builtin.services.decisions import Decisions
from kuma_core.builtin.services.governing import NONE_MATCHES, NONE_STORED, governing
from kuma_core.policy.applied import FOR_ALL, INBOUND, NOT_ASKED
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from .support import CATALOG, ENCRYPTED, PLAIN, mapped

ANY = [{"match": {"service": "*"}}]
WEB = dataplane(
    "web-1",
    inbound("127.0.0.1:8000:1", "web", version="2"),
    inbound("127.0.0.1:8001:2", "web-admin"),
    outbounds=[outbound(":7100", "ledger"), outbound(":7101", "mail")],
)


def policy(
    kind: str, name: str, sources: Any = None, destinations: Any = None, **rest: Any
) -> dict[str, Any]:
    ends = {"sources": sources, "destinations": destinations}
    return {"type": kind, "mesh": "default", "name": name, **{k: v for k, v in ends.items() if v}, **rest}


def to(service: str) -> list[dict[str, Any]]:
    return [{"match": {"service": service}}]


def split(*services: str) -> list[dict[str, Any]]:
    return [{"weight": 1, "destination": {"service": one}} for one in services]


CHECKS = {"activeChecks": {"interval": "5s", "timeout": "1s", "unhealthyThreshold": 3, "healthyThreshold": 1}}
POLICIES = [
    policy("TrafficRoute", "wide", ANY, ANY, conf=split("ledger")),
    policy("TrafficRoute", "narrow", to("web"), to("ledger"), conf=split("ledger", "vault")),
    policy("TrafficLog", "log", to("web"), to("mail")),
    policy("HealthCheck", "check", ANY, to("vault"), conf=CHECKS),
    policy("TrafficPermission", "p-web", ANY, to("web")),
    policy("TrafficPermission", "p-all", ANY, ANY),
    policy("TrafficPermission", "elsewhere", ANY, to("mail")),
    policy("ProxyTemplate", "all", conf={"imports": ["default-proxy"]}),
]


def found(*documents: dict[str, Any]) -> dict[str, Any]:
    seen = mapped(*documents)
    assert seen.context.mesh
    decisions = Decisions("default", seen.context.mesh, seen.stored, CATALOG.policies)
    return governing(seen, "web-1", decisions, CATALOG.policies)


def parts(told: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    return {(item["kind"], item["name"]): item["services"] + item["inbounds"] for item in told["items"]}


def test_each_policy_tells_what_it_governs() -> None:
    told = found(ENCRYPTED, WEB, *POLICIES)
    both = ["127.0.0.1:8000:1", "127.0.0.1:8001:2"]
    assert parts(told) == {
        ("TrafficRoute", "narrow"): ["ledger"],
        ("TrafficRoute", "wide"): ["mail"],
        ("TrafficLog", "log"): ["mail"],
        ("HealthCheck", "check"): ["vault"],
        ("TrafficPermission", "p-web"): ["127.0.0.1:8000:1"],
        ("TrafficPermission", "p-all"): both,
        ("ProxyTemplate", "all"): [],
    }
    assert not told["problems"]


def test_each_policy_tells_why() -> None:
    reasons = {item["name"]: item["reason"] for item in found(ENCRYPTED, WEB, *POLICIES)["items"]}
    assert reasons["narrow"].startswith("2 tags match, 2 of them exactly")
    assert reasons["wide"].startswith("2 tags match, 0 of them exactly")
    assert (reasons["p-all"], reasons["all"]) == (INBOUND, FOR_ALL)
    without_mtls = {item["name"]: item["reason"] for item in found(PLAIN, WEB, *POLICIES)["items"]}
    assert (without_mtls["p-all"], without_mtls["all"]) == (NOT_ASKED, FOR_ALL)


def test_a_kind_of_which_nothing_applies_says_so() -> None:
    told = found(ENCRYPTED, WEB, policy("TrafficLog", "other", to("nobody"), ANY))
    none = {item["kind"]: item["reason"] for item in told["none"]}
    assert (none["TrafficLog"], none["HealthCheck"]) == (NONE_MATCHES, NONE_STORED)


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as running:
        logging = {"defaultBackend": "f", "backends": [{"name": "f", "file": {"path": "/tmp/access.log"}}]}
        running.apply({**PLAIN, "logging": logging}, WEB, *POLICIES)
        path = "/meshes/default/dataplanes/web-1/policies"
        eventually(lambda: len(running.get(path).body.get("items", ())) == len(POLICIES) - 1)
        yield running


def test_what_governs_is_what_edits_the_configuration(cp: RunningPlatform) -> None:
    told = cp.get("/meshes/default/dataplanes/web-1/policies").body
    proxy = cp.get("/meshes/default/dataplanes/web-1/xds").body["proxies"][0]
    edits = {
        (policy["kind"], policy["name"])
        for type_ in proxy["types"].values()
        for resource in type_["resources"]
        for policy in resource["origin"]["policies"]
    }
    assert ("TrafficLog", "log") in edits
    assert edits <= set(parts(told)), "something edits the configuration that is not told"
    assert ("HealthCheck", "check") in edits & set(parts(told))


def test_an_unknown_dataplane_or_mesh_is_told(cp: RunningPlatform) -> None:
    for path, words in (
        ("default/dataplanes/x", 'Dataplane "x"'),
        ("nowhere/dataplanes/x", 'Mesh "nowhere"'),
    ):
        answer = cp.get(f"/meshes/{path}/policies")
        assert answer.status == 404
        assert words in answer.body["details"]
