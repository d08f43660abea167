"""A control plane that rests asks the API server nothing but watches and leases; one that starts asks little."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_k8s
from kuma_core.builtin.cluster import components
from kuma_core.resources import changes
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.waiting import eventually
from kuma_store_k8s.names import kube_kinds
from kuma_store_k8s.reflector import PAGE

from .double import ApiDouble, Asked
from .doubleserver import Served
from .places import doubled

PLUGINS = [kuma_store_k8s, kuma_ca_builtin, kuma_policy_traffic]
ENVIRON = {"KUMA_STORE_TYPE": "kubernetes"}
MANY = 1_500


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with doubled(tmp_path, kube_kinds(make_catalog(PLUGINS).kinds)) as served:
        monkeypatch.setitem(os.environ, "KUBECONFIG", str(served.kubeconfig))
        yield served


def dataplanes(count: int) -> Iterator[dict[str, Any]]:
    """Dataplanes as the controllers of a cluster make them, ten of each service."""
    for number in range(count):
        service = f"service-{number // 10}.demo.svc:80"
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        inbound = {"interface": f"{address}:80:80", "tags": {"service": service, "version": "1"}}
        yield {
            "apiVersion": "kuma.io/v1alpha1",
            "kind": "Dataplane",
            "mesh": "default",
            "metadata": {
                "name": f"web-{number}",
                "namespace": "default",
                "uid": str(number),
                "labels": {"a": "b"},
            },
            "spec": {"networking": {"inbound": [inbound]}},
        }


def fill(double: ApiDouble, count: int) -> None:
    """Have Dataplanes there."""
    with double.changed:
        for item in dataplanes(count):
            double.write("kuma.io/dataplanes", "ADDED", item)


def seen(cp: RunningPlatform) -> int:
    return len(cp.platform.core.proxies.views.resources("Dataplane", "default"))


def is_quiet(asked: Asked) -> bool:
    return asked.is_watch or "/leases" in asked.path


def test_at_rest_there_are_no_requests_but_watches_and_leases(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens once a minute happens ten times a second here."""
    monkeypatch.setattr(changes, "RESYNC_SECONDS", 0.1)
    monkeypatch.setattr(components, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(components, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(components, "FINISH_SECONDS", 0.1)
    double = served.double
    fill(double, 3)
    with running_platform(PLUGINS, ENVIRON) as cp:
        eventually(lambda: seen(cp) == 3)
        eventually(lambda: cp.platform.core.leader.leads)
        cp.catch_up()
        eventually(lambda: all(is_quiet(asked) for asked in double.asked[-20:]))
        before = len(double.asked)
        eventually(lambda: len(double.asked) > before + 60)
        loud = [(asked.method, asked.path) for asked in double.asked[before:] if not is_quiet(asked)]
        assert loud == []
        with double.changed:
            double.write(
                "kuma.io/dataplanes", "DELETED", double.objects["kuma.io/dataplanes"][("default", "web-0")]
            )
        eventually(lambda: seen(cp) == 2)


def test_a_start_reads_each_collection_a_few_times_however_many_dataplanes_there_are(served: Served) -> None:
    """Once for the watch, once for the views, and in pages: nothing is asked for each of them."""
    fill(served.double, MANY)
    with running_platform(PLUGINS, ENVIRON) as cp:
        eventually(lambda: seen(cp) == MANY, 60)
        cp.catch_up()
        asked = [asked for asked in served.double.asked if "/dataplanes" in asked.path]
    assert len(asked) <= 3 * (MANY / int(PAGE)) + 3
