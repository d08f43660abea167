"""Meshes in numbers and in a sentence, and what ``/overview`` tells of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.builtin.services.findings import SEARCHES, Sight
from kuma_core.builtin.services.overview import overview
from kuma_core.builtin.services.picture import DEGRADED, NEVER, OFFLINE
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from .support import CATALOG, ENCRYPTED, PLAIN, mapped, online
from .test_map import LEDGER, WEB, policy

PERMISSION = policy("TrafficPermission", "p")


def health(*documents, **statuses):
    """The level and the sentence of a mesh; proxies are online unless another status is given."""
    mesh = mapped(*documents)
    known = {**online(mesh), **{name.replace("_", "-"): word for name, word in statuses.items()}}
    found = [item for search in SEARCHES for item in search(Sight(mesh, CATALOG.policies, known))]
    told = overview(mesh, known, found, {})["health"]
    return told["level"], told["text"]


@pytest.mark.parametrize(
    ("documents", "statuses", "level", "text"),
    [
        ((PLAIN,), {}, "empty", "no dataplane yet, mTLS is off"),
        ((PLAIN, LEDGER[0]), {}, "good", "its proxy is online, mTLS is off"),
        ((PLAIN, LEDGER[0]), {"ledger_1": DEGRADED}, "warning", "its proxy is degraded, mTLS is off"),
        ((ENCRYPTED, WEB, *LEDGER, PERMISSION), {}, "good", "all 3 proxies are online, mTLS is on (builtin)"),
        (
            (ENCRYPTED, WEB, *LEDGER),
            {},
            "warning",
            "all 3 proxies are online, mTLS is on (builtin), 1 call is denied, 1 warning to look at",
        ),
        (
            (PLAIN, WEB, *LEDGER),
            {"ledger_2": DEGRADED},
            "warning",
            "2 of 3 proxies are online (1 degraded), mTLS is off",
        ),
        (
            (PLAIN, WEB, *LEDGER),
            {"ledger_1": OFFLINE, "ledger_2": NEVER},
            "error",
            "1 of 3 proxies is online (1 offline, 1 never connected), mTLS is off, 1 call is without an endpoint, "
            "1 error to look at",
        ),
    ],
)
def test_the_sentence(documents, statuses, level, text):
    assert health(*documents, **statuses) == (level, text)


HELLO = Path(__file__).parents[2] / "examples" / "plugin_hello"


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """With a plugin of a third party, whose kind no proxy depends on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(HELLO), *sys.path])
        hello = importlib.import_module("kuma_hello")
    with running_platform([kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, hello]) as found:
        other = dataplane(
            "web-1", inbound("127.0.0.1:8000:1", "web"), outbounds=[outbound(":7100", "ledger")]
        )
        found.apply({"type": "Mesh", "name": "bank"}, {**other, "mesh": "bank"})
        found.apply({"type": "Greeting", "mesh": "bank", "name": "hello", "text": "hello"})
        found.apply(ENCRYPTED, WEB, *LEDGER, PERMISSION, policy("TrafficLog", "log"))
        eventually(lambda: found.get("/overview").body["current"])
        eventually(lambda: found.get("/meshes/default/overview").body["dataplanes"]["total"] == 3)
        yield found


def test_one_mesh(cp: RunningPlatform) -> None:
    found = cp.get("/meshes/default/overview").body
    assert found["mtls"] == "builtin"
    assert found["services"] == 2
    assert found["dataplanes"] == {"total": 3, "online": 0, "degraded": 0, "offline": 0, "neverConnected": 3}
    assert found["calls"]["noEndpoint"] == found["calls"]["total"] == 1
    assert found["resources"]["TrafficPermission"] == 1
    assert found["resources"]["ProxyTemplate"] == 0
    assert found["findings"]["error"] == 2


def test_all_meshes_and_what_they_have_together(cp: RunningPlatform) -> None:
    found = cp.get("/overview").body
    assert [item["name"] for item in found["items"]] == ["bank", "default"]
    assert found["totals"]["meshes"] == 2
    assert found["totals"]["dataplanes"]["neverConnected"] == found["totals"]["dataplanes"]["total"] == 4
    assert found["totals"]["resources"]["TrafficLog"] == 1


def test_a_kind_that_no_proxy_depends_on_is_counted_too(cp: RunningPlatform) -> None:
    found = cp.get("/overview").body
    assert [item["resources"]["Greeting"] for item in found["items"]] == [1, 0]
    assert cp.get("/meshes/bank/overview").body["resources"]["Greeting"] == 1


def test_totals_are_those_of_all_pages(cp: RunningPlatform) -> None:
    page = cp.get("/overview?size=1&sort=-name").body
    assert [item["name"] for item in page["items"]] == ["default"]
    assert (page["total"], page["totals"]["meshes"]) == (2, 2)


def test_a_mesh_that_is_not_there_is_told(cp: RunningPlatform) -> None:
    assert cp.get("/meshes/nowhere/overview").status == 404
