"""What anybody may read of a mesh's authority: roots, a rotation as it goes on, leaves. Never a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_ca_builtin.admin import PATH
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.events_client import following
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from tests.security.support import SDS, stream

ENCRYPTED: dict[str, Any] = {"enabled": True, "ca": {"builtin": {}}}


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as running:
        running.apply(mesh("safe", mtls=ENCRYPTED))
        running.apply(*(dataplane(name, inbound("127.0.0.1:8002:1", "web"), mesh="safe") for name in "ab"))
        yield running


def authority(cp: RunningPlatform, name: str = "safe") -> dict[str, Any]:
    answer = cp.get(f"/meshes/{name}/authority")
    assert answer.status == 200, answer
    assert "PRIVATE" not in str(answer.body)
    found: dict[str, Any] = answer.body
    return found


def certificates(cp: RunningPlatform) -> dict[str, Any]:
    items = cp.get("/meshes/safe/dataplanes+insights?sort=certificate").body["items"]
    return {item["name"]: item.get("dataplaneInsight", {}).get("certificates") for item in items}


def test_one_root_signs_and_no_rotation_goes_on(cp: RunningPlatform) -> None:
    found = authority(cp)
    (root,) = found.pop("roots")
    assert found == {
        "mesh": "safe",
        "encrypted": True,
        "authority": "builtin",
        "rotation": None,
        "problem": "",
    }
    (shown,) = cp.request("GET", PATH.format(mesh="safe"), port=cp.admin).body["roots"]
    assert {key: root[key] for key in shown} == shown
    assert "CN=safe" in root["subject"]


def test_a_proxy_that_got_a_certificate_has_its_end_in_the_insight_and_comes_first(
    cp: RunningPlatform,
) -> None:
    with fleet(cp) as envoys:
        envoys.connect(DeltaClient("safe.b"))
        with stream(cp, SDS, cp.token("b", "safe")) as opened:
            opened.ask("identity_cert", node="safe.b")
            opened.secret()
            told = eventually(lambda: (certificates(cp)["b"] or {}).get("ends") and certificates(cp)["b"])
        assert list(certificates(cp)) == ["b", "a"]
    assert told["issued"] < told["ends"]
    assert "problem" not in told


def test_a_rotation_tells_its_stage_and_whom_it_waits_for(cp: RunningPlatform) -> None:
    with following(cp, "mesh=safe") as events:
        with stream(cp, SDS, cp.token("b", "safe")) as opened:
            opened.ask("identity_cert", node="safe.b")
            opened.secret()
            assert cp.request("POST", PATH.format(mesh="safe"), port=cp.admin).status == 200
            found = authority(cp)
            assert (found["rotation"]["stage"], len(found["roots"])) == ("trusting", 2)
            assert [root["signs"] for root in found["roots"]].count(True) == 1
            assert found["rotation"]["behind"] == {"count": 1, "names": ["b"]}, "it has acknowledged nothing"
            assert events.wait_for("rotation", mesh="safe").data["stage"] == "trusting"
            assert not events.of("rotation", settled="True")
        events.wait_for("rotation", mesh="safe", stage="trusting", settled="True")


def test_a_mesh_that_is_not_there_and_an_authority_that_is_not_loaded(cp: RunningPlatform) -> None:
    assert cp.get("/meshes/nowhere/authority").status == 404
    with running_platform([kuma_store_memory]) as bare:
        found = authority(bare, "default")
    assert (found["encrypted"], found["roots"]) == (False, [])
    assert found["problem"].startswith("no loaded plugin brings this authority")
