"""Whole control planes over a real Kubernetes."""

from __future__ import annotations

import json
import os
import re
import time
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_k8s
from kuma_core.sdk import InvalidResource, Resource, parse_spec
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.waiting import eventually
from kuma_store_k8s.crds import crds
from kuma_store_k8s.names import kube_kinds
from tests.kube.cluster import Cluster

from .real import empty, prepare
from .test_at_rest import dataplanes

pytestmark = pytest.mark.kube

PLUGINS = [kuma_store_k8s, kuma_ca_builtin, kuma_policy_traffic]
ENVIRON = {"KUMA_STORE_TYPE": "kubernetes"}
TLS = {"enabled": True, "ca": {"builtin": {}}}
CUSTOM = "/apis/kuma.io/v1alpha1"
DATAPLANES = f"{CUSTOM}/namespaces/default/dataplanes"
SYSTEM = "/namespaces/kuma-system"
INBOUND = {"interface": "10.0.0.2:80:80", "tags": {"service": "web"}}
LEASES = f"/apis/coordination.k8s.io/v1{SYSTEM}/leases"


@pytest.fixture
def kubernetes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster with every kind and nothing else; a control plane finds it as kubectl does."""
    kinds = kube_kinds(make_catalog(PLUGINS).kinds)
    prepare(cluster)
    cluster.install(crds(kinds))
    empty(cluster, *kinds)
    monkeypatch.setitem(os.environ, "KUBECONFIG", str(cluster.kubeconfig))
    yield cluster
    empty(cluster, *kinds)


def names(cluster: Cluster, path: str) -> list[str]:
    return [item["metadata"]["name"] for item in cluster.get(path)["items"]]


def custom_resource(name: str, address: str = "10.0.0.1") -> dict[str, object]:
    return {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Dataplane",
        "mesh": "default",
        "metadata": {"name": name, "labels": {"team": "blue"}, "annotations": {"note": "mine"}},
        "spec": {"networking": {"inbound": [{"interface": f"{address}:80:80", "tags": {"service": name}}]}},
    }


def put(cp: RunningPlatform, name: str, mesh: str = "default") -> None:
    """Write a Dataplane as parts of a control plane do: over REST no name has a dot."""
    kind = cp.platform.catalog.kinds["Dataplane"]
    spec, _ = parse_spec(kind.spec, {"networking": {"inbound": [INBOUND]}})
    cp.platform.core.resources.put(Resource(kind.key(mesh, name), spec))


def seen(cp: RunningPlatform) -> list[str]:
    """The Dataplanes that proxies get their configuration from."""
    return sorted(cp.platform.core.proxies.views.resources("Dataplane", "default"))


def known(cp: RunningPlatform, path: str = "/meshes/default/dataplanes") -> list[str]:
    return [item["name"] for item in cp.get(path).body["items"]]


def test_a_control_plane_keeps_all_that_it_has_in_the_cluster(kubernetes: Cluster) -> None:
    with running_platform(PLUGINS, ENVIRON) as cp:
        cp.apply(mesh("shop", mtls=TLS))
        put(cp, "web.default", mesh="shop")
        assert kubernetes.get(f"{CUSTOM}/meshes/shop")["spec"]["mtls"] == TLS
        assert kubernetes.get(f"{DATAPLANES}/web")["mesh"] == "shop"
        secret = kubernetes.get(f"/api/v1{SYSTEM}/secrets/builtinca.shop")
        assert (secret["type"], secret["metadata"]["labels"]) == (
            "system.kuma.io/secret",
            {"kuma.io/mesh": "shop"},
        )
        assert [*json.loads(b64decode(secret["data"]["value"]))] == ["roots"]
        leader = eventually(lambda: kubernetes.get(f"{LEASES}/kuma-lease-leader")["spec"])
        (instance,) = [name for name in names(kubernetes, LEASES) if name.startswith("kuma-instance-")]
        assert instance == f"kuma-instance-{leader['holderIdentity']}"
        before = cp.get("/meshes/shop/dataplanes").body
    assert instance not in names(kubernetes, LEASES)
    with running_platform(PLUGINS, ENVIRON) as cp:
        assert cp.get("/meshes/shop/dataplanes").body == before
        assert cp.delete("/meshes/shop").status == 200
        assert (names(kubernetes, DATAPLANES), names(kubernetes, f"{CUSTOM}/meshes")) == ([], ["default"])
        assert not [name for name in names(kubernetes, f"/api/v1{SYSTEM}/secrets") if name.endswith(".shop")]


def test_what_kubectl_writes_is_known_and_what_it_added_stays(kubernetes: Cluster) -> None:
    with running_platform(PLUGINS, ENVIRON) as cp:
        kubernetes.kubectl("apply", "-f", "-", input=json.dumps(custom_resource("web")))
        eventually(lambda: known(cp) == ["web.default"])
        eventually(lambda: seen(cp))
        put(cp, "web.default")
        meta = kubernetes.get(f"{DATAPLANES}/web")["metadata"]
        assert (meta["labels"], meta["annotations"]["note"]) == ({"team": "blue"}, "mine")
        kubernetes.kubectl("delete", "dataplane", "web")
        eventually(lambda: not known(cp))


def test_an_object_that_cannot_be_read_costs_nobody_else_anything(kubernetes: Cluster) -> None:
    with running_platform(PLUGINS, ENVIRON) as cp:
        broken = {**custom_resource("broken"), "spec": {"networking": "none"}}
        kubernetes.create(DATAPLANES, broken)
        kubernetes.create(DATAPLANES, custom_resource("web"))
        eventually(lambda: seen(cp) == ["web.default"])
        assert cp.get("/meshes/default/dataplanes/web.default").status == 200
    with running_platform(PLUGINS, ENVIRON) as cp:
        eventually(lambda: seen(cp) == ["web.default"])


def test_what_kubernetes_cannot_hold_is_refused(kubernetes: Cluster) -> None:
    with running_platform([kuma_store_k8s], ENVIRON) as cp:
        answer = cp.put("/meshes/big_shop", mesh("big_shop"))
        assert (answer.status, answer.body["causes"][0]["field"]) == (400, "name"), answer
        assert '"big_shop" cannot be the name of a Kubernetes object' in answer.body["causes"][0]["message"]
        for name, told in {
            "web": 'name must include namespace after the dot, ex. "name.namespace"',
            "web.": "namespace must be non-empty",
            "web.nowhere": 'namespaces "nowhere" not found',
        }.items():
            with pytest.raises(InvalidResource, match=re.escape(told)):
                put(cp, name)
        cp.apply(mesh("shop"))
        put(cp, "web.default")
        with pytest.raises(InvalidResource, match='name once, and this one belongs to the mesh "default"'):
            put(cp, "web.default", mesh="shop")
        assert cp.get("/meshes/shop/dataplanes/web.default").status == 404
        assert cp.get("/meshes/shop/dataplanes/web").status == 404


def test_two_control_planes_have_one_leader_and_know_each_others_writes(kubernetes: Cluster) -> None:
    with running_platform(PLUGINS, ENVIRON) as one, running_platform(PLUGINS, ENVIRON) as two:
        put(one, "web.default")
        assert known(two) == ["web.default"]
        leaders = [cp.platform.core.leader for cp in (one, two)]
        eventually(lambda: sum(leader.leads for leader in leaders) == 1)
        assert len([name for name in names(kubernetes, LEASES) if name.startswith("kuma-instance-")]) == 2


@pytest.mark.chaos
def test_five_thousand_dataplanes_are_ready_within_fifteen_seconds(kubernetes: Cluster) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda item: kubernetes.create(DATAPLANES, item), dataplanes(5_000)):
            pass
    began = time.monotonic()
    with running_platform(PLUGINS, ENVIRON) as cp:
        eventually(lambda: len(seen(cp)) == 5_000, 120)
        took = time.monotonic() - began
        print(f"5000 Dataplanes are in the views after {took:.1f} s")
        assert took < 15
