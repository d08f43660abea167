"""Health checks as real Envoys act on them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Machine, fetch
from .test_policies import counted, policy, route
from .test_traffic import client, instance

EJECTED = "cluster.ledger.outlier_detection.ejections_active"


@pytest.fixture
def machine(tmp_path):
    settings = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
    with running_platform([kuma_store_memory, kuma_policy_traffic], settings) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def test_scenario_23_both_checks_are_what_envoy_runs_with(machine):
    conf = {
        "activeChecks": {"interval": "10s", "timeout": "2s", "unhealthyThreshold": 3, "healthyThreshold": 1},
        "passiveChecks": {"unhealthyThreshold": 3, "penaltyInterval": "5s"},
    }
    machine.cp.apply(
        policy("HealthCheck", "both", {"service": "web"}, "ledger", conf=conf),
        client("web", outbound(f":{free_port()}", "ledger")),
    )
    cluster = machine.sidecar("web").clusters()["ledger"]
    assert cluster["health_checks"] == [
        {
            "timeout": "2s",
            "interval": "10s",
            "no_traffic_interval": "10s",
            "unhealthy_threshold": 3,
            "healthy_threshold": 1,
            "tcp_health_check": {},
        }
    ]
    assert cluster["outlier_detection"] == {
        "consecutive_5xx": 3,
        "interval": "5s",
        "base_ejection_time": "5s",
        "always_eject_one_host": True,
    }


def test_scenario_24_a_killed_instance_is_taken_out_after_some_failures_and_comes_back(machine):
    """The penalty, which begins anew while the instance is dead, is 3 s here instead of 30 s."""
    port = free_port()
    checks = {"passiveChecks": {"unhealthyThreshold": 3, "penaltyInterval": "3s"}}
    machine.cp.apply(
        *(instance(machine, f"ledger-{number}", "ledger") for number in (1, 2)),
        policy("HealthCheck", "passive", {"service": "web"}, "ledger", conf=checks),
        client("web", outbound(f":{port}", "ledger")),
    )
    machine.sidecar("ledger-1")
    dead, web = machine.sidecar("ledger-2"), machine.sidecar("web")
    eventually(lambda: set(counted(port, 10)) == {"ledger-1", "ledger-2"})
    dead.process.kill()  # one that is asked to end leaves first, and no call fails
    dead.process.wait(timeout=10)
    failures = 0
    while not web.stat(EJECTED):
        try:
            fetch(port)
        except OSError:
            failures += 1
        assert failures <= 6
    assert counted(port, 20) == {"ledger-1": 20}
    machine.sidecar("ledger-2")
    eventually(lambda: "ledger-2" in counted(port, 4), 60, "traffic to the instance that came back")
    assert web.stat(EJECTED) == 0
    assert set(counted(port, 20)) == {"ledger-1", "ledger-2"}


def test_an_active_check_takes_out_a_dead_instance_before_any_failure_is_seen(machine):
    port = free_port()
    good = instance(machine, "ledger-1", "ledger")
    dead = dataplane("ledger-2", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "ledger"))
    conf = {
        "activeChecks": {"interval": "200ms", "timeout": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1}
    }
    machine.cp.apply(
        good,
        dead,
        policy("HealthCheck", "active", {"service": "web"}, "ledger", conf=conf),
        client("web", outbound(f":{port}", "ledger")),
    )
    machine.sidecar("ledger-1")
    web = machine.sidecar("web")
    eventually(lambda: web.stat("cluster.ledger.membership_healthy") == 1)
    assert counted(port, 30) == {"ledger-1": 30}


def test_scenario_8_a_check_follows_the_route_and_not_the_outbound(machine):
    checks = {"passiveChecks": {"unhealthyThreshold": 3, "penaltyInterval": "5s"}}
    machine.cp.apply(
        route("eu", (1, {"service": "ledger-eu"})),
        policy("HealthCheck", "eu", {"service": "web"}, "ledger-eu", conf=checks),
        policy("HealthCheck", "unused", {"service": "web"}, "ledger", conf=checks),
        client("web", outbound(f":{free_port()}", "ledger")),
    )
    clusters = machine.sidecar("web").clusters()
    assert clusters["ledger-eu"]["outlier_detection"]["consecutive_5xx"] == 3
    assert clusters["ledger-eu"]["outlier_detection"]["always_eject_one_host"] is True
    assert "ledger" not in clusters
