"""The diagnostics server: alive, ready, and what it counts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kuma_core.errors import StoreUnavailable
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from .support import BreakableStorePlugin, send


@pytest.fixture(scope="module")
def plugin() -> BreakableStorePlugin:
    return BreakableStorePlugin()


@pytest.fixture(scope="module")
def cp(plugin: BreakableStorePlugin) -> Iterator[RunningPlatform]:
    with running_platform([plugin]) as platform:
        yield platform


def metric(cp: RunningPlatform, sample: str, **labels: str) -> float:
    """The value of one sample; fails if it is not there."""
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    values = [
        item.value
        for family in text_string_to_metric_families(text)
        for item in family.samples
        if item.name == sample and labels.items() <= item.labels.items()
    ]
    assert values, f"there is no {sample} of {labels}"
    return sum(values)


@pytest.mark.parametrize("path", ["/healthy", "/ready"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_probes_by_any_method(cp: RunningPlatform, path: str, method: str) -> None:
    reply = send(cp.diagnostics, method, path)
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"", None)


@pytest.mark.parametrize(
    "failure", [StoreUnavailable("the disk is on fire"), RuntimeError("the disk is on fire")]
)
def test_a_store_that_fails_makes_it_unready_with_the_reason(
    cp: RunningPlatform, plugin: BreakableStorePlugin, failure: Exception
) -> None:
    with plugin.broken(failure):
        eventually(lambda: send(cp.diagnostics, "GET", "/ready").status == 503)
        reply = send(cp.diagnostics, "GET", "/ready")
        error = reply.error()
        assert error["title"] == "Not ready"
        assert error["details"].startswith("the store cannot be read: ")
        assert error["details"].endswith("the disk is on fire")
        assert send(cp.diagnostics, "HEAD", "/ready").status == 503
        assert send(cp.diagnostics, "GET", "/healthy").status == 200
        metrics = send(cp.diagnostics, "GET", "/metrics")
        assert (metrics.status, b"kuma_xds_streams" in metrics.body) == (200, True)
    eventually(lambda: send(cp.diagnostics, "GET", "/ready").status == 200)


def test_nobody_who_asks_makes_the_control_plane_ask_its_store(
    cp: RunningPlatform, plugin: BreakableStorePlugin
) -> None:
    """A scraper and a probe cost a database nothing, and get their answer while it hangs."""
    with plugin.hanging():
        for path in ("/healthy", "/ready", "/metrics"):
            started = time.monotonic()
            assert send(cp.diagnostics, "GET", path).status == 200
            assert time.monotonic() - started < 1


def test_counters_move(cp: RunningPlatform) -> None:
    assert metric(cp, "kuma_resources", kind="Dataplane") == 0
    before = metric(cp, "kuma_xds_generated_snapshots_total")
    cp.apply(mesh("shop"), dataplane("web-1", inbound("127.0.0.1:80:8080", "web"), mesh="shop"))
    eventually(lambda: metric(cp, "kuma_resources", kind="Dataplane") == 1)
    with fleet(cp) as envoys:
        envoys.connect(DeltaClient("shop.web-1"))
        for outcome in ("sent", "acknowledged"):
            eventually(lambda name=outcome: metric(cp, f"kuma_xds_responses_{name}_total") > 0)
        assert metric(cp, "kuma_xds_streams") == 1
    assert metric(cp, "kuma_xds_generated_snapshots_total") > before
    eventually(lambda: metric(cp, "kuma_xds_streams") == 0)


def test_metrics_are_for_reading(cp: RunningPlatform) -> None:
    assert send(cp.diagnostics, "POST", "/metrics").status == 405
    reply = send(cp.diagnostics, "GET", "/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
