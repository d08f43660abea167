"""A control plane needs no right but those that ``kumactl install control-plane`` gives it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_k8s
from kuma_core.builtin.cluster import components
from kuma_core.resources import changes
from kuma_core.sdk import StoreUnavailable
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import make_catalog, running_platform
from kuma_core.testing.waiting import eventually
from kuma_store_k8s.crds import crds
from kuma_store_k8s.install.choices import Choices
from kuma_store_k8s.install.everything import control_plane
from kuma_store_k8s.names import kube_kinds
from tests.kube.cluster import NOBODY, Cluster

from .places import client_for
from .real import SYSTEM, empty, prepare

pytestmark = pytest.mark.kube

PLUGINS = [kuma_store_k8s, kuma_ca_builtin, kuma_policy_traffic]
NAMED = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def refused(cluster: Cluster) -> float:
    """How often somebody wanted what he may not do, since the API server started."""
    name = "authorization_attempts_total"
    counts = re.findall(
        rf'^{name}{{result="(?!allowed)[^"]*"}} (\S+)$', cluster.text("/metrics"), re.MULTILINE
    )
    return sum(map(float, counts))


def test_a_control_plane_lives_with_the_rights_that_are_installed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its start through the deletion of a mesh to its end."""
    monkeypatch.setattr(changes, "RESYNC_SECONDS", 0.2)
    monkeypatch.setattr(components, "LOOK_SECONDS", 0.2)
    kinds = kube_kinds(make_catalog(PLUGINS).kinds)
    prepare(cluster)
    cluster.install(crds(kinds))
    empty(cluster, *kinds)
    objects = [item for item in control_plane(Choices("0.1.0", namespace=SYSTEM)) if item["kind"] in NAMED]
    for item in objects:
        if "subjects" in item:
            item["subjects"] = [{"kind": "User", "name": "nobody"}]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-f", "-", input=listed)
    monkeypatch.setitem(os.environ, "KUBECONFIG", str(cluster.write_kubeconfig("nobody", NOBODY)))
    with (
        client_for(Path(os.environ["KUBECONFIG"])) as client,
        pytest.raises(StoreUnavailable, match="cannot list"),
    ):
        client.get("/api/v1/nodes")
    before = refused(cluster)
    assert before > 0
    try:
        with running_platform(PLUGINS, {"KUMA_STORE_TYPE": "kubernetes"}) as cp:
            cp.apply(mesh("shop", mtls={"enabled": True, "ca": {"builtin": {}}}))
            eventually(lambda: cp.platform.core.leader.leads)
            eventually(lambda: cp.platform.core.store.counter())
            assert cp.get("/meshes/shop/traffic-routes").status == 200
            assert cp.delete("/meshes/shop").status == 200
        assert refused(cluster) == before
    finally:
        cluster.kubectl("delete", "-f", "-", input=listed)
        empty(cluster, *kinds)
