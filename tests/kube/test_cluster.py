"""The cluster for tests does what tests count on."""

from __future__ import annotations

import json

import pytest

from kuma_core.testing.waiting import eventually

from .cluster import Cluster

pytestmark = pytest.mark.kube


def test_it_is_the_release_that_we_build(cluster: Cluster) -> None:
    told = cluster.get("/version")
    assert (told["major"], int(told["minor"].rstrip("+")) >= 30) == ("1", True)
    assert json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"] == told


def test_what_belongs_to_an_object_goes_with_it(cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = cluster.create(path, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    cluster.create(path, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    cluster.delete(f"{path}/owner")
    eventually(lambda: "owned" not in str(cluster.get(path)["items"]), 60)


def test_nothing_is_lost_when_the_api_server_is_killed(cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    cluster.create(path, {"metadata": {"name": "kept"}})
    with cluster.lost(), pytest.raises(OSError, match="refused"):
        cluster.get(path)
    assert cluster.get(f"{path}/kept")["metadata"]["name"] == "kept"
