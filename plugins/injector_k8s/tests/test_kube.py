"""The injector in a real cluster: installed, asked by the API server, under exactly its role; what is stored counts."""

from __future__ import annotations

import copy
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_store_k8s.install.choices import Choices
from kuma_store_k8s.install.everything import control_plane
from kuma_store_k8s.manifests import text_of
from tests.kube.cluster import Cluster, Refused

from .fake_api import write_pair
from .running import Injector, launched
from .samples import TOKENS, container, environment, pod

pytestmark = pytest.mark.kube

SYSTEM = "kuma-injector-test"
HOST = f"kuma-injector.{SYSTEM}.svc"
MESHES = "/apis/kuma.io/v1alpha1/meshes"
CONFIGURATION = (
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kuma-injector-webhook-configuration"
)
RBAC = "/apis/rbac.authorization.k8s.io/v1"
LEFT_OUT = ("kuma-admission-mutating-webhook-configuration", "kuma-validating-webhook-configuration")


@dataclass
class Running:
    cluster: Cluster
    injector: Injector
    number: int = 0

    def pod(self, namespace: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        """A Pod as the API server stores it."""
        self.number += 1
        app = {"name": "app", "image": "app", "ports": [{"containerPort": 8080}]}
        item = {
            "metadata": {"name": f"pod-{self.number}", "annotations": annotations or {}},
            "spec": {"containers": [app], **spec},
        }
        return self.cluster.create(f"/api/v1/namespaces/{namespace}/pods", item)


def manifests(port: int, certificate: str, policy: str = "Fail") -> str:
    """What is installed, but for the webhooks of the control plane, and that the injector is on this machine."""
    made = copy.deepcopy(control_plane(Choices("0.1.0", namespace=SYSTEM, injector_failure_policy=policy)))
    for item in made:
        if item["kind"] == "Service":
            item["spec"] = {"type": "ExternalName", "externalName": "localhost"}
        for webhook in item.get("webhooks", ()):
            webhook["clientConfig"]["service"]["port"] = port
            webhook["clientConfig"]["caBundle"] = b64encode(certificate.encode()).decode()
    wanted = [
        item for item in made if item["metadata"]["name"] not in LEFT_OUT and item["kind"] != "Deployment"
    ]
    return text_of(wanted)


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("injector")
    certificate = write_pair(folder, HOST)
    kubeconfig = cluster.folder / "injector-kubeconfig"
    try:
        cluster.kubectl("apply", "-f", "-", input=manifests(1, certificate))
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        account = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/kuma-injector"
        token = eventually(lambda: cluster.create(f"{account}/token", request), 60)["status"]["token"]
        kubeconfig = cluster.write_kubeconfig("injector-kubeconfig", token)
        with launched(folder, kubeconfig, KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE="kuma/kuma-dp:1") as injector:
            eventually(lambda: "meshes are watched" in injector.log.read_text(), 60)
            cluster.kubectl("apply", "-f", "-", input=manifests(injector.port, certificate))
            make_meshes(cluster)
            yield Running(cluster, injector)
    finally:
        remove(cluster)


def make_meshes(cluster: Cluster) -> None:
    metered = {"metrics": {"prometheus": {"port": 1234, "path": "/metrics"}}}
    for name, spec in {"default": {}, "demo": {}, "metered": metered}.items():
        item = {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "metadata": {"name": name}, "spec": spec}
        with suppress(Refused):  # another test made it
            cluster.create(MESHES, item)


def remove(cluster: Cluster) -> None:
    with suppress(Refused):
        cluster.delete(CONFIGURATION)
    for name in ("kuma:control-plane", "kuma:injector"):
        for kind in ("clusterroles", "clusterrolebindings"):
            with suppress(Refused):
                cluster.delete(f"{RBAC}/{kind}/{name}")
    with suppress(Refused):
        cluster.delete(MESHES)
    cluster.delete(f"/api/v1/namespaces/{SYSTEM}")


@pytest.fixture
def demo(running: Running, namespace: str) -> str:
    """A namespace whose Pods get sidecars, once its ServiceAccount is there and the API server knows the label."""
    path = f"/api/v1/namespaces/{namespace}"
    running.cluster.patch(path, {"metadata": {"labels": {"kuma.io/sidecar-injection": "enabled"}}})
    eventually(lambda: running.cluster.get(f"{path}/serviceaccounts/default"), 60)
    eventually(lambda: "kuma-sidecar" in str(running.pod(namespace)["spec"]), 60)
    return namespace


# -- the tables of Kuma 0.3, row by row, on the Pod that is stored


def test_the_sidecar_that_is_stored(running: Running, demo: str) -> None:
    found = running.pod(demo)
    assert [item["name"] for item in found["spec"]["containers"]] == ["app", "kuma-sidecar"]
    sidecar = container(found, "kuma-sidecar")
    assert (sidecar["image"], sidecar["imagePullPolicy"]) == ("kuma/kuma-dp:1", "IfNotPresent")
    assert sidecar["args"] == ["run", "--log-level=info"]
    assert [item["name"] for item in sidecar["env"]][:3] == ["POD_NAME", "POD_NAMESPACE", "INSTANCE_IP"]
    fields = [item["valueFrom"]["fieldRef"]["fieldPath"] for item in sidecar["env"][:3]]
    assert fields == ["metadata.name", "metadata.namespace", "status.podIP"]
    told = environment(found)
    probes = json.loads(told.pop("KUMA_DATAPLANE_PROBES"))
    assert told == {
        "KUMA_CONTROL_PLANE_API_SERVER_URL": "http://kuma-control-plane.kuma-system:5681",
        "KUMA_DATAPLANE_MESH": "default",
        "KUMA_DATAPLANE_NAME": "$(POD_NAME).$(POD_NAMESPACE)",
        "KUMA_DATAPLANE_ADMIN_PORT": "9901",
        "KUMA_DATAPLANE_DRAIN_TIME": "30s",
        "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH": f"{TOKENS}/token",
    }
    security = sidecar["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (5678, 5678)
    wget = {"exec": {"command": ["wget", "-qO-", "http://localhost:9901"]}, "timeoutSeconds": 3}
    wget |= {"periodSeconds": 5, "successThreshold": 1, "failureThreshold": 12}
    assert sidecar["livenessProbe"] == {**wget, "initialDelaySeconds": 60}
    assert sidecar["readinessProbe"] == {**wget, "initialDelaySeconds": 1}
    assert sidecar["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},  # as the API server writes 1000m
    }
    assert sidecar["volumeMounts"] == container(found, "app")["volumeMounts"]
    assert sidecar["volumeMounts"][0]["mountPath"] == TOKENS
    assert not {"ports", "command"} & set(sidecar)
    assert len(found["spec"]["volumes"]) == 1
    hook = {"httpGet": {"path": probes["leaving"], "port": 9000, "scheme": "HTTP"}}  # additions to Kuma 0.3
    assert sidecar["lifecycle"] == container(found, "app")["lifecycle"] == {"preStop": hook}
    assert probes == {"port": 9000, "targets": {}, "leaving": hook["httpGet"]["path"], "ready": "/kuma/ready"}
    assert sidecar["startupProbe"]["httpGet"] == {"path": "/kuma/ready", "port": 9000, "scheme": "HTTP"}


def test_hooks_have_a_word_of_their_own_for_each_pod(running: Running, demo: str) -> None:
    found = [json.loads(environment(running.pod(demo))["KUMA_DATAPLANE_PROBES"])["leaving"] for _ in "ab"]
    assert len(set(found)) == 2
    assert all(len(path) == len("/kuma/leaving/") + 16 for path in found)


def test_the_init_container_that_is_stored(running: Running, demo: str) -> None:
    found = running.pod(demo, initContainers=[{"name": "migrate", "image": "app"}])
    assert [item["name"] for item in found["spec"]["initContainers"]] == ["migrate", "kuma-init"]
    init = container(found, "kuma-init")
    assert (init["image"], init["imagePullPolicy"]) == ("kuma/kuma-init:latest", "IfNotPresent")
    wanted = ["-p", "15001", "-u", "5678", "-g", "5678", "-m", "REDIRECT", "-i", "*", "-b", "*"]
    addition = ["-d", "9000"]  # the port of probes and hooks is not redirected
    assert init["args"] == [*wanted[:10], *addition, *wanted[10:]]
    assert "NET_ADMIN" in init["securityContext"]["capabilities"]["add"]
    assert init["resources"] == {
        "requests": {"cpu": "10m", "memory": "10M"},
        "limits": {"cpu": "100m", "memory": "50M"},
    }


def test_the_annotations_that_are_stored(running: Running, demo: str) -> None:
    found = running.pod(demo, {"mine": "kept", "kuma.io/sidecar-injected": "no"})
    assert found["metadata"]["annotations"] == {
        "mine": "kept",
        "kuma.io/mesh": "default",
        "kuma.io/sidecar-injected": "true",
        "kuma.io/transparent-proxying": "enabled",
        "kuma.io/transparent-proxying-port": "15001",
    }


# -- the outcomes that users know


def test_without_a_token_nothing_is_mounted(running: Running, demo: str) -> None:
    found = running.pod(demo, automountServiceAccountToken=False)
    assert "volumeMounts" not in container(found, "kuma-sidecar")


def test_a_mesh_that_is_named(running: Running, demo: str) -> None:
    found = running.pod(demo, {"kuma.io/mesh": "demo"})
    assert environment(found)["KUMA_DATAPLANE_MESH"] == "demo"
    assert found["metadata"]["annotations"]["kuma.io/mesh"] == "demo"


def test_a_mesh_that_is_missing(running: Running, demo: str) -> None:
    with pytest.raises(Refused) as caught:
        running.pod(demo, {"kuma.io/mesh": "nowhere"})
    assert caught.value.code == 500
    message = json.loads(str(caught.value).partition(": ")[2])["message"]
    assert message.startswith(
        'admission webhook "kuma-injector.kuma.io" denied the request: could not retrieve mesh for pod: '
        'meshes.kuma.io "nowhere" not found'
    )


def test_a_gateway(running: Running, demo: str) -> None:
    found = running.pod(demo, {"kuma.io/gateway": "enabled"})
    assert container(found, "kuma-init")["args"][-2:] == ["-b", ""]


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({}, {"scrape": "true", "port": "1234", "path": "/metrics"}),
        ({"prometheus.io/scrape": "false"}, {"scrape": "false"}),
        (
            {
                "prometheus.metrics.kuma.io/port": "5678",
                "prometheus.metrics.kuma.io/path": "/custom-metrics",
            },
            {"scrape": "true", "port": "5678", "path": "/custom-metrics"},
        ),
    ],
)
def test_prometheus(running: Running, demo: str, own: dict[str, str], told: dict[str, str]) -> None:
    found = running.pod(demo, {**own, "kuma.io/mesh": "metered"})["metadata"]["annotations"]
    start = "prometheus.io/"
    assert {key.removeprefix(start): value for key, value in found.items() if key.startswith(start)} == told


@pytest.mark.usefixtures("demo")
def test_a_namespace_without_the_label_is_not_asked_about(running: Running) -> None:
    found = running.pod("default")
    assert [item["name"] for item in found["spec"]["containers"]] == ["app"]


@pytest.mark.parametrize(
    ("annotations", "spec"),
    [({"kuma.io/sidecar-injection": "disabled"}, {}), ({}, {"hostNetwork": True})],
)
def test_who_is_left_alone(
    running: Running, demo: str, annotations: dict[str, str], spec: dict[str, Any]
) -> None:
    found = running.pod(demo, annotations, **spec)
    assert [item["name"] for item in found["spec"]["containers"]] == ["app"]
    assert "initContainers" not in found["spec"]


def test_probes_are_those_of_the_sidecar(running: Running, demo: str) -> None:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 7}
    app = {
        "name": "app",
        "image": "app",
        "readinessProbe": probe,
        "livenessProbe": {"tcpSocket": {"port": 8080}},
    }
    found = running.pod(demo, containers=[app])
    stored = container(found, "app")
    assert stored["readinessProbe"]["httpGet"] == {
        "path": "/app/readinessProbe",
        "port": 9000,
        "scheme": "HTTP",
    }
    assert stored["readinessProbe"]["periodSeconds"] == 7
    assert set(stored["livenessProbe"]) & {"tcpSocket", "httpGet"} == {"httpGet"}
    targets = json.loads(environment(found)["KUMA_DATAPLANE_PROBES"])["targets"]
    assert set(targets) == {"/app/readinessProbe", "/app/livenessProbe"}


# -- at work


def test_to_be_asked_again_changes_nothing(running: Running, demo: str) -> None:
    """Another webhook that comes later and changes the Pod has the API server ask the first one again."""
    path = CONFIGURATION.rpartition("/")[0]
    own = copy.deepcopy(running.cluster.get(CONFIGURATION))
    again = {"metadata": {"name": "zzz-again"}, "webhooks": own["webhooks"]}
    again["webhooks"][0]["name"] = "again.kuma.io"
    running.cluster.create(path, again)
    try:
        eventually(lambda: time.sleep(0.05) or is_asked_twice(running, demo), 60)
        found = running.pod(demo)
        assert [item["name"] for item in found["spec"]["containers"]] == ["app", "kuma-sidecar"]
        assert [item["name"] for item in found["spec"]["initContainers"]] == ["kuma-init"]
    finally:
        running.cluster.delete(f"{path}/zzz-again")


def is_asked_twice(running: Running, namespace: str) -> bool:
    name = running.pod(namespace)["metadata"]["name"]
    told = [line for line in running.injector.log.read_text().splitlines() if f'"{name}"' in line]
    return len(told) >= 2


def test_it_has_the_rights_that_it_needs_and_no_other(running: Running) -> None:
    every, own = (rights(running.cluster, account) for account in ("default", "kuma-injector"))
    assert own - every == {"meshes.kuma.io [] [] [get list watch]"}


def rights(cluster: Cluster, account: str) -> set[str]:
    user = f"--as=system:serviceaccount:{SYSTEM}:{account}"
    told = cluster.kubectl("auth", "can-i", "--list", user, "-n", SYSTEM, "--no-headers")
    return {" ".join(line.split()) for line in told.splitlines()}


def test_a_mesh_of_a_moment_ago_counts(running: Running, demo: str) -> None:
    item = {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "metadata": {"name": "young"}, "spec": {}}
    running.cluster.create(MESHES, item)
    assert environment(running.pod(demo, {"kuma.io/mesh": "young"}))["KUMA_DATAPLANE_MESH"] == "young"
    running.cluster.delete(f"{MESHES}/young")


def test_while_the_injector_is_away_the_failure_policy_counts(running: Running, demo: str) -> None:
    """With ``Fail`` no Pod starts; with ``Ignore``, the default, it does, without a sidecar."""
    certificate = (running.injector.certificates / "tls.crt").read_text()
    nobody = free_port()
    try:
        running.cluster.kubectl("apply", "-f", "-", input=manifests(nobody, certificate))
        assert eventually(lambda: refusal(running, demo), 60).startswith(
            "Internal error occurred: failed calling webhook"
        )
        running.cluster.kubectl("apply", "-f", "-", input=manifests(nobody, certificate, "Ignore"))
        found = eventually(lambda: running.pod(demo), 60)
        assert [item["name"] for item in found["spec"]["containers"]] == ["app"]
    finally:
        running.cluster.kubectl("apply", "-f", "-", input=manifests(running.injector.port, certificate))
    eventually(lambda: "kuma-sidecar" in str(running.pod(demo)["spec"]), 60)


def refusal(running: Running, namespace: str) -> str:
    """What the API server says of a Pod; empty if it takes it."""
    try:
        running.pod(namespace)
    except Refused as error:
        return str(json.loads(str(error).partition(": ")[2])["message"])
    return ""


def test_meshes_are_followed_on_when_the_api_server_was_killed(running: Running, demo: str) -> None:
    item = {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "metadata": {"name": "old"}, "spec": {}}
    running.cluster.create(MESHES, item)
    eventually(lambda: running.pod(demo, {"kuma.io/mesh": "old"}))
    with running.cluster.lost():
        running.injector.review(pod())
    running.cluster.delete(f"{MESHES}/old")
    eventually(lambda: not is_taken(running, demo, "old"), 60)


def is_taken(running: Running, namespace: str, mesh: str) -> bool:
    try:
        return bool(running.pod(namespace, {"kuma.io/mesh": mesh}))
    except Refused as error:
        return "could not retrieve mesh for pod" not in str(error)


@contextmanager
def instead(running: Running, folder: Path, **settings: str) -> Iterator[None]:
    """Another injector, with these settings, is the one that the API server asks in the block."""
    certificate = write_pair(folder, HOST)
    kubeconfig = running.cluster.folder / "injector-kubeconfig"
    with launched(folder, kubeconfig, **settings) as other:
        eventually(lambda: "meshes are watched" in other.log.read_text(), 60)
        ours = manifests(running.injector.port, (running.injector.certificates / "tls.crt").read_text())
        running.cluster.kubectl("apply", "-f", "-", input=manifests(other.port, certificate))
        try:
            yield
        finally:
            running.cluster.kubectl("apply", "-f", "-", input=ours)


def test_native_sidecars_are_kept_by_the_server(running: Running, demo: str, tmp_path: Path) -> None:
    with instead(running, tmp_path, KUMA_INJECTOR_NATIVE_SIDECARS="true"):
        found = eventually(lambda: with_native(running, demo), 60)
    assert [item["name"] for item in found["spec"]["initContainers"]] == [
        "kuma-init",
        "kuma-sidecar",
        "migrate",
    ]
    assert container(found, "kuma-sidecar")["restartPolicy"] == "Always"
    assert [item["name"] for item in found["spec"]["containers"]] == ["app"]


def test_a_token_for_an_audience_is_kept_by_the_server(running: Running, demo: str, tmp_path: Path) -> None:
    """Of a Pod, too, that wants no token."""
    with instead(running, tmp_path, KUMA_INJECTOR_TOKEN_AUDIENCE="kuma"):
        found = eventually(lambda: with_own_token(running, demo), 60)
    (volume,) = found["spec"]["volumes"]
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"] == {"audience": "kuma", "expirationSeconds": 3600, "path": "token"}
    (mount,) = container(found, "kuma-sidecar")["volumeMounts"]
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    assert environment(found)["KUMA_DATAPLANE_RUNTIME_TOKEN_PATH"] == f"{mount['mountPath']}/token"
    assert "volumeMounts" not in container(found, "app")


def with_own_token(running: Running, namespace: str) -> dict[str, Any] | None:
    found = running.pod(namespace, automountServiceAccountToken=False)
    return found if found["spec"].get("volumes") else None


def with_native(running: Running, namespace: str) -> dict[str, Any] | None:
    found = running.pod(namespace, initContainers=[{"name": "migrate", "image": "app"}])
    return found if "restartPolicy" in str(found["spec"].get("initContainers")) else None
