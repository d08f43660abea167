"""Every finding, with a mesh that has it and one that has not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kuma_ca_builtin.root import new_root
from kuma_core.builtin.services import findings, platform_findings
from kuma_core.builtin.services.findings import SEARCHES, Sight, in_order
from kuma_core.builtin.services.mesh_map import Maps
from kuma_core.builtin.services.picture import NEVER, OFFLINE
from kuma_core.builtin.services.platform_findings import (
    clocks_apart,
    ending_certificates,
    instances_away,
    memory_store,
)
from kuma_core.ca.ends import ends
from kuma_core.mesh.context import build_context
from kuma_core.plugin.boundary import Boundary
from kuma_core.plugin.guarding import guarded_policy
from kuma_core.specs.presence import BY_KUMA_DP, PresenceSpec
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.xds.presences import Presences

from .support import CATALOG, ENCRYPTED, PLAIN, Frozen, mapped, online
from .test_map import LEDGER, WEB, policy, shares

PERMISSION = policy("TrafficPermission", "p")


def found(*documents, policies=CATALOG.policies, **statuses):
    """The findings of a mesh as ``{id: [subject]}``; proxies are online unless another status is given."""
    mesh = mapped(*documents)
    known = {**online(mesh), **{name.replace("_", "-"): word for name, word in statuses.items()}}
    items = in_order(item for search in SEARCHES for item in search(Sight(mesh, policies, known)))
    return {(item.id, item.kind, item.name) for item in items}


HEALTHY = (ENCRYPTED, WEB, *LEDGER, PERMISSION)


def test_a_mesh_in_order_has_no_finding():
    assert found(*HEALTHY) == set()


@pytest.mark.parametrize(
    ("documents", "statuses", "expected"),
    [
        ((ENCRYPTED, WEB, *LEDGER), {}, ("mtls-without-permission", "Mesh", "default")),
        (
            (*HEALTHY, policy("TrafficLog", "log", source="nobody")),
            {},
            ("policy-matches-nothing", "TrafficLog", "log"),
        ),
        (
            (*HEALTHY, policy("TrafficPermission", "idle", destination="nobody")),
            {},
            ("policy-matches-nothing", "TrafficPermission", "idle"),
        ),
        (
            (*HEALTHY, policy("TrafficLog", "a"), policy("TrafficLog", "b")),
            {},
            ("policy-never-wins", "TrafficLog", "b"),
        ),
        (
            (*HEALTHY, policy("TrafficRoute", "r", conf=shares((0, {})))),
            {},
            ("route-without-share", "TrafficRoute", "r"),
        ),
        (
            (*HEALTHY, policy("TrafficRoute", "r", conf=shares((1, {}), (1, {"version": "9"})))),
            {},
            ("route-without-share", "TrafficRoute", "r"),
        ),
        (
            (PLAIN, dataplane("web-1", inbound("127.0.0.9:1:1", "web"), outbounds=[outbound(":1", "ghost")])),
            {},
            ("outbound-to-unknown-service", "Dataplane", "web-1"),
        ),
        (
            HEALTHY,
            {"ledger_1": OFFLINE, "ledger_2": NEVER},
            ("service-without-healthy-instance", "Service", "ledger"),
        ),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else(documents, statuses, expected):
    assert found(*documents, **statuses) == {expected}


@pytest.mark.parametrize("kind", ["TrafficRoute", "TrafficLog", "HealthCheck", "TrafficPermission"])
def test_a_policy_for_everybody_matches_as_soon_as_somebody_calls(kind):
    conf = {"conf": shares((1, {}))} if kind == "TrafficRoute" else {}
    if kind == "HealthCheck":
        conf = {"conf": {"passiveChecks": {"unhealthyThreshold": 1, "penaltyInterval": "1s"}}}
    everybody = policy(kind, "all", "*", "*", **conf)
    assert found(*HEALTHY, everybody) == set()


def test_a_template_without_selectors_loses_against_one_with():
    template = {
        "type": "ProxyTemplate",
        "mesh": "default",
        "name": "t",
        "conf": {"imports": ["default-proxy"]},
    }
    all_web = {**template, "name": "web", "selectors": [{"match": {"service": "web"}}]}
    all_ledger = {**template, "name": "ledger", "selectors": [{"match": {"service": "ledger"}}]}
    every = {**template, "name": "every", "selectors": []}
    assert found(*HEALTHY, every, all_web) == set()
    assert found(*HEALTHY, every, all_web, all_ledger) == {("policy-never-wins", "ProxyTemplate", "every")}


def test_a_policy_whose_code_fails_is_found():
    def broken(matches, subject):
        raise RuntimeError("no idea")

    policies = [
        replace(item, resolve=broken) if item.kind == "TrafficPermission" else item
        for item in CATALOG.policies
    ]
    mesh = Maps(Frozen(HEALTHY), policies).of("default")
    items = [item for search in SEARCHES for item in search(Sight(mesh, tuple(policies), online(mesh)))]
    assert [(item.id, item.text) for item in items] == [
        ("policy-fails", "TrafficPermission cannot be asked: RuntimeError: no idea")
    ]
    assert {edge.access for edge in mesh.edges} == {"denied"}, "closed, never open"


class Anchored:
    """Authorities of which the one that a mesh selects has these certificates."""

    name = "builtin"

    def __init__(self, *anchors: str) -> None:
        self._anchors = anchors

    def of(self, mesh):
        return self

    def trust_anchors(self, mesh):
        return self._anchors


ROOT = new_root("default")[0].decode()
(END,) = ends([ROOT])


@pytest.mark.parametrize(
    ("anchors", "days", "level", "words"),
    [
        ((ROOT,), -31, None, ""),
        ((ROOT,), -29, "warning", "ends on"),
        ((ROOT,), 1, "error", "ended on"),
        ((), 0, "error", "has no certificate"),
    ],
)
def test_a_certificate_that_ends_is_told_in_time(anchors, days, level, words):
    spec = Frozen([ENCRYPTED]).context.mesh
    items = list(ending_certificates(Anchored(*anchors), "default", spec, END + timedelta(days=days)))
    assert [item.level for item in items] == ([level] if level else [])
    assert all(words in item.text for item in items)
    assert list(ending_certificates(Anchored(), "default", Frozen([PLAIN]).context.mesh)) == []


@pytest.mark.parametrize(("store", "expected"), [("memory", ["memory-store"]), ("postgres", [])])
def test_a_store_that_forgets_is_told(store, expected):
    class Settings:
        def text(self, path):
            assert path == "store.type"
            return store

    assert [item.id for item in memory_store(Settings(), "default")] == expected


def test_what_a_permission_answers_passes_the_boundary():
    """A plugin whose ``admits`` raises what nobody catches, or answers nonsense, leaves the door shut, by its name."""

    def leaves(conf, ids):
        raise SystemExit(3)

    (permission,) = (item for item in CATALOG.policies if item.kind == "TrafficPermission")
    for wrong, words in ((leaves, "SystemExit"), (lambda conf, ids: 5, "no tuple of names")):
        guarded = guarded_policy(replace(permission, admits=wrong), Boundary())
        mesh = Maps(Frozen(HEALTHY), [guarded]).of("default")
        assert {edge.access for edge in mesh.edges} == {"denied"}
        (problem,) = mesh.problems
        assert words in problem
        assert "admits of TrafficPermission" in problem


def test_every_finding_has_a_line_that_says_what_to_do():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "findings.md").read_text()
    sources = [Path(module.__file__).read_text() for module in (findings, platform_findings)]
    told = {
        name for text in sources for name in re.findall(r'^ +"([a-z]+(?:-[a-z]+)+)",$', text, re.MULTILINE)
    }
    told |= set(re.findall(r'Finding\("([a-z-]+)"', sources[1]))
    assert told == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))


class Noted:
    """What control planes noted of clocks."""

    def __init__(self, **noted: str) -> None:
        self._noted = noted

    def notes(self, topic):
        assert topic == "clocks"
        return {"one": {key.replace("__", "/"): text for key, text in self._noted.items()}, "two": {}}


def test_a_clock_that_is_apart_is_told_of_a_dataplane_that_is_there():
    context = Frozen([PLAIN, dataplane("web", inbound("127.0.0.1:1:1", "web"))]).context
    noted = Noted(default__web="2h0m0s ahead", default__gone="1h behind", other__web="1h behind")
    (found,) = clocks_apart(noted, context)
    assert (found.id, found.name, "2h0m0s ahead" in found.text) == ("clocks-apart", "web", True)
    assert list(clocks_apart(Noted(), context)) == []


def test_an_instance_that_does_not_serve_for_a_minute_is_told():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    early, late = now - timedelta(minutes=2), now - timedelta(seconds=30)
    specs = dict(Frozen(LEDGER).context.dataplanes)
    first, second = sorted(specs)
    presences = Presences()
    mesh = build_context("default", None, specs.items(), lambda name: presences.serves("default", name))

    def found(**since):
        connected = {name.replace("_", "-"): when for name, when in since.items()}
        return {item.name: item.text for item in instances_away(mesh, presences, connected, now)}

    names = {first.replace("-", "_"): early, second.replace("-", "_"): late}
    assert list(found(**names)) == [first], "the other one is connected for half a minute"
    assert "joining for more than a minute: nobody told yet that it serves" in found(**names)[first]
    assert found() == {}, "those that are away have a status that says so"
    presences.tell(("default", first), PresenceSpec(serving=False, since=late, by=BY_KUMA_DP))
    assert found(**names) == {}
    presences.tell(("default", first), PresenceSpec(serving=False, since=early, by=BY_KUMA_DP))
    assert "leaving for more than a minute" in found(**names)[first]
