"""The five kinds over REST and on the command line of a running control plane."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_policy_traffic.traffic_route.spec import LEFT_OUT, NOWHERE

KUMACTL = Path(sys.executable).with_name("kumactl")
ENDS = {"sources": [{"match": {"service": "web"}}], "destinations": [{"match": {"service": "db"}}]}
CHECKS = {"passiveChecks": {"unhealthyThreshold": 3, "penaltyInterval": "5s"}}
SHARES = [{"weight": 90, "destination": {"service": "db", "version": "1"}}]

SPECS: dict[str, dict[str, Any]] = {
    "TrafficPermission": ENDS,
    "TrafficRoute": {**ENDS, "conf": SHARES},
    "TrafficLog": {**ENDS, "conf": {"backend": "file"}},
    "HealthCheck": {**ENDS, "conf": CHECKS},
    "ProxyTemplate": {"selectors": ENDS["sources"], "conf": {"imports": ["default-proxy"]}},
}
PATHS = {
    "TrafficPermission": ("traffic-permissions", "trafficpermissions"),
    "TrafficRoute": ("traffic-routes", "trafficroutes"),
    "TrafficLog": ("traffic-logs", "trafficlogs"),
    "HealthCheck": ("health-checks", "healthchecks"),
    "ProxyTemplate": ("proxytemplates", "proxy-templates"),
}
SINGULARS = {
    "TrafficPermission": "traffic-permission",
    "TrafficRoute": "traffic-route",
    "TrafficLog": "traffic-log",
    "HealthCheck": "healthcheck",
    "ProxyTemplate": "proxytemplate",
}


@pytest.fixture(scope="module")
def control_plane() -> Iterator[RunningPlatform]:
    with running_platform([kuma_policy_traffic, kuma_store_memory]) as running:
        yield running


def document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"type": kind, "mesh": "default", "name": name, **(spec or SPECS[kind])}


@pytest.mark.parametrize("kind", list(PATHS))
def test_both_spellings_of_the_path_are_one_collection(control_plane: RunningPlatform, kind: str) -> None:
    first, second = (f"/meshes/default/{path}" for path in PATHS[kind])
    item = document(kind, "both")
    assert control_plane.put(f"{second}/both", item).status == 201
    again = control_plane.put(f"{first}/both", item)
    assert (again.status, again.headers["Kuma-Result"]) == (200, "unchanged")
    assert control_plane.get(f"{first}/both").body == dict(sorted(item.items()))
    assert control_plane.get(second).body == {"items": [dict(sorted(item.items()))]}
    assert control_plane.delete(f"{second}/both").status == 200
    assert control_plane.get(f"{first}/both").status == 404


def test_violations_come_in_the_one_error_shape(control_plane: RunningPlatform) -> None:
    item = document("TrafficPermission", "bad", sources=[{"match": {"service": "till", "floor": "2"}}])
    answer = control_plane.put("/meshes/default/traffic-permissions/bad", item)
    assert answer.status == 400
    assert answer.body == {
        "title": "Could not create a resource",
        "details": "Resource is not valid",
        "causes": [
            {"field": "sources[0].match", "message": 'must consist of exactly one tag "service"'},
            {"field": 'sources[0].match["floor"]', "message": 'tag "floor" is not allowed'},
            {"field": "destinations", "message": "must have at least one element"},
        ],
    }


def test_a_duration_without_unit_is_400_and_names_the_field(
    control_plane: RunningPlatform,
) -> None:
    item = document("HealthCheck", "bad", **ENDS, conf={"activeChecks": {"interval": 60}})
    answer = control_plane.put("/meshes/default/health-checks/bad", item)
    assert answer.status == 400
    assert answer.body["causes"] == [
        {
            "field": "conf.activeChecks.interval",
            "message": "expected a duration in quotes, such as 10s, 1.5s or 1h30m, got 60",
        }
    ]


def test_a_log_in_a_missing_mesh(control_plane: RunningPlatform) -> None:
    item = {**document("TrafficLog", "tl"), "mesh": "cellar"}
    answer = control_plane.put("/meshes/cellar/traffic-logs/tl", item)
    assert (answer.status, answer.body["causes"]) == (
        400,
        [{"field": "mesh", "message": "mesh of name cellar is not found"}],
    )
    assert control_plane.get("/meshes/cellar/traffic-logs").body == {"items": []}


def test_unknown_fields_are_told_and_dropped(control_plane: RunningPlatform) -> None:
    item = document("TrafficLog", "odd", **ENDS, conf={"backend": "a", "colour": "red"})
    answer = control_plane.put("/meshes/default/traffic-logs/odd", item)
    assert answer.status == 201
    assert "conf.colour" in answer.headers["Warning"]
    assert control_plane.get("/meshes/default/traffic-logs/odd").body["conf"] == {"backend": "a"}
    control_plane.delete("/meshes/default/traffic-logs/odd")


@pytest.mark.parametrize("query", ["", "?dry-run=validate", "?dry-run=xds"])
def test_what_takes_a_service_off_the_air_is_warned_of_at_apply_and_in_dry_runs(
    control_plane: RunningPlatform, query: str
) -> None:
    item = document("TrafficRoute", "off", **ENDS, conf=[{"destination": {"service": "db"}}])
    answer = control_plane.put(f"/meshes/default/traffic-routes/off{query}", item)
    assert answer.status in (200, 201)
    told = str(answer.body["warnings"] if query else answer.headers["Warning"])
    assert f"conf: {NOWHERE}" in told
    forgotten = [
        {"weight": 1, "destination": {"service": "db"}},
        {"destination": {"service": "db", "version": "2"}},
    ]
    answer = control_plane.put(
        f"/meshes/default/traffic-routes/off{query}", document("TrafficRoute", "off", **ENDS, conf=forgotten)
    )
    told = str(answer.body["warnings"] if query else answer.headers["Warning"])
    assert f"conf[1].weight: {LEFT_OUT}" in told
    if not query:
        control_plane.delete("/meshes/default/traffic-routes/off")


def kumactl(directory: Path, *arguments: str) -> str:
    command = [KUMACTL, "--config-file", directory / "config", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_every_word_for_a_kind_works_on_the_command_line(
    control_plane: RunningPlatform, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(
        json.dumps(
            {
                "contexts": [{"name": "t", "controlPlane": "t"}],
                "controlPlanes": [
                    {"name": "t", "coordinates": {"apiServer": {"url": control_plane.api_url}}}
                ],
                "currentContext": "t",
            }
        )
    )
    for kind, paths in PATHS.items():
        control_plane.apply(document(kind, "one"))
        for word in (paths[1], SINGULARS[kind]):
            assert kumactl(tmp_path, "get", word).splitlines() == ["MESH      NAME", "default   one"]
        assert f'deleted {kind} "one"' in kumactl(tmp_path, "delete", SINGULARS[kind], "one")
