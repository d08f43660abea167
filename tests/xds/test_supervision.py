"""What ``/ready`` and ``/healthy`` tell of the thread that configures proxies."""

from __future__ import annotations

import threading
import time
from typing import Any

import falcon
import falcon.testing
import pytest

from kuma_core.api.diagnostics import Healthy, Ready
from kuma_core.plugin.quarantine import Quarantine
from kuma_core.runtime.readiness import Missing
from kuma_core.xds import supervision
from kuma_core.xds.heartbeat import Heartbeat
from kuma_core.xds.supervision import Supervised


class Stuck:
    """A reconciler whose thread shows no progress."""

    def __init__(self) -> None:
        self.beat, self.busy = Heartbeat(), threading.Event()

    def renew(self) -> None:
        """Nothing to do."""


def client(supervised: Supervised, quarantine: Quarantine) -> falcon.testing.TestClient:
    missing = Missing(lambda: True, lambda: True, str, supervised.problem, quarantine.barred)
    app: falcon.App[Any, Any] = falcon.App()
    app.add_route("/ready", Ready(missing))
    app.add_route("/healthy", Healthy(supervised.illness))
    return falcon.testing.TestClient(app)


def test_no_progress_is_told_by_ready_first_and_by_healthy_later(monkeypatch: pytest.MonkeyPatch) -> None:
    reconciler: Any = Stuck()
    quarantine = Quarantine()
    asked = client(Supervised(reconciler, quarantine), quarantine)
    now = time.monotonic()

    def answers(silent: float) -> tuple[int, int]:
        monkeypatch.setattr(time, "monotonic", lambda: now)
        reconciler.beat.progress()
        monkeypatch.setattr(time, "monotonic", lambda: now + silent)
        return asked.simulate_get("/ready").status_code, asked.simulate_get("/healthy").status_code

    assert answers(supervision.LATE_SECONDS - 1) == (200, 200)
    assert answers(supervision.LATE_SECONDS + 1) == (503, 200)
    assert "has made no progress for 16 s" in asked.simulate_get("/ready").json["details"]
    assert answers(supervision.DEAD_SECONDS + 1) == (503, 503)
    assert "has made no progress for 121 s" in asked.simulate_get("/healthy").json["details"]
    reconciler.beat.reading = True  # a store that hangs is no reason for a restart
    assert answers(supervision.DEAD_SECONDS + 1) == (503, 200)
    reconciler.beat.rest()
    assert asked.simulate_get("/ready").status_code == 200


def test_a_plugin_in_quarantine_is_told_by_ready_alone() -> None:
    reconciler: Any = Stuck()
    quarantine = Quarantine()
    asked = client(Supervised(reconciler, quarantine), quarantine)
    quarantine.bar("acme", "resolve of Card did not come back")
    said = asked.simulate_get("/ready")
    assert said.status_code == 503
    assert 'the plugin "acme" is in quarantine: resolve of Card did not come back' in said.json["details"]
    assert asked.simulate_get("/healthy").status_code == 200
