"""What is added to a Pod: each row of the tables of Kuma 0.3, and the outcomes that its users know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kuma_injector_k8s.injection.patch import patch
from kuma_injector_k8s.injection.pods import Undecodable, why_not

from .patching import applied
from .samples import MOUNT, WITHOUT_HOOKS, config, container, environment, injected, pod

PROMETHEUS = {"metrics": {"prometheus": {"port": 1234, "path": "/metrics"}}}


def named(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


# -- the sidecar


def test_the_sidecar_stands_last_and_is_the_one_of_kuma_0_3() -> None:
    found = injected(pod())
    assert named(found["spec"]["containers"]) == ["app", "kuma-sidecar"]
    sidecar = container(found, "kuma-sidecar")
    assert (sidecar["image"], sidecar["imagePullPolicy"]) == ("kuma/kuma-dp:latest", "IfNotPresent")
    assert sidecar["args"] == ["run", "--log-level=info"]
    assert not {"ports", "command"} & set(sidecar)
    assert sidecar["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "1000m", "memory": "512Mi"},
    }


def test_its_environment_begins_with_the_fields_of_the_pod() -> None:
    env = container(injected(pod()), "kuma-sidecar")["env"]
    fields = [
        (one["name"], one["valueFrom"]["fieldRef"]["fieldPath"], one["valueFrom"]["fieldRef"]["apiVersion"])
        for one in env[:3]
    ]
    assert fields == [
        ("POD_NAME", "metadata.name", "v1"),
        ("POD_NAMESPACE", "metadata.namespace", "v1"),
        ("INSTANCE_IP", "status.podIP", "v1"),
    ]
    assert {one["name"]: one["value"] for one in env[3:]} == {
        "KUMA_CONTROL_PLANE_API_SERVER_URL": "http://kuma-control-plane.kuma-system:5681",
        "KUMA_DATAPLANE_MESH": "default",
        "KUMA_DATAPLANE_NAME": "$(POD_NAME).$(POD_NAMESPACE)",
        "KUMA_DATAPLANE_ADMIN_PORT": "9901",
        "KUMA_DATAPLANE_DRAIN_TIME": "30s",
        "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH": "/var/run/secrets/kubernetes.io/serviceaccount/token",
    }


def test_its_probes_ask_the_admin_port() -> None:
    sidecar = container(injected(pod()), "kuma-sidecar")
    shared = {"exec": {"command": ["wget", "-qO-", "http://localhost:9901"]}, "timeoutSeconds": 3}
    shared |= {"periodSeconds": 5, "successThreshold": 1, "failureThreshold": 12}
    assert sidecar["livenessProbe"] == {**shared, "initialDelaySeconds": 60}
    assert sidecar["readinessProbe"] == {**shared, "initialDelaySeconds": 1}
    assert "startupProbe" not in sidecar


def test_it_runs_as_the_user_whose_traffic_is_not_redirected() -> None:
    found = injected(
        pod(), settings=config({f"KUMA_INJECTOR_SIDECAR_CONTAINER_{x}": "7" for x in ("UID", "GID")})
    )
    security = container(found, "kuma-sidecar")["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (7, 7)
    assert container(found, "kuma-init")["args"][2:6] == ["-u", "7", "-g", "7"]


def test_it_keeps_the_restricted_level_of_pod_security() -> None:
    security = container(injected(pod()), "kuma-sidecar")["securityContext"]
    assert security == {
        "runAsUser": 5678,
        "runAsGroup": 5678,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    root = config({"KUMA_INJECTOR_SIDECAR_CONTAINER_UID": "0"})
    assert "runAsNonRoot" not in container(injected(pod(), settings=root), "kuma-sidecar")["securityContext"]


def test_the_sidecar_has_the_mount_of_the_token() -> None:
    assert container(injected(pod()), "kuma-sidecar")["volumeMounts"] == [MOUNT]


def test_without_a_mounted_token_it_has_no_mounts() -> None:
    item = pod()
    del item["spec"]["containers"][0]["volumeMounts"]
    found = injected(item)
    assert "volumeMounts" not in container(found, "kuma-sidecar")
    assert "volumes" not in found["spec"]


AUDIENCE = {"KUMA_INJECTOR_TOKEN_AUDIENCE": "kuma", "KUMA_INJECTOR_LEAVING_HOOKS_ENABLED": "false"}


@pytest.mark.parametrize("has_volumes", [True, False])
def test_with_an_audience_it_has_a_token_of_its_own(has_volumes: bool) -> None:
    """Whether or not the Pod wants one; that of the Pod is not shown to anybody."""
    there = [{"name": "kuma-token", "emptyDir": {}}] if has_volumes else []
    found = injected(pod(**({"volumes": there} if there else {})), settings=config(AUDIENCE))
    name = "kuma-token-2" if has_volumes else "kuma-token"
    source = {"serviceAccountToken": {"audience": "kuma", "expirationSeconds": 3600, "path": "token"}}
    assert found["spec"]["volumes"] == [*there, {"name": name, "projected": {"sources": [source]}}]
    own = "/var/run/secrets/kuma.io/token"
    mount = {"name": name, "mountPath": own, "readOnly": True}
    assert container(found, "kuma-sidecar")["volumeMounts"] == [mount]
    assert environment(found)["KUMA_DATAPLANE_RUNTIME_TOKEN_PATH"] == f"{own}/token"


# -- the init container


def test_the_init_container_redirects_everything() -> None:
    found = injected(pod())
    init = container(found, "kuma-init")
    assert init["args"] == ["-p", "15001", "-u", "5678", "-g", "5678", "-m", "REDIRECT", "-i", "*", "-b", "*"]
    assert (init["image"], init["imagePullPolicy"]) == ("kuma/kuma-init:latest", "IfNotPresent")
    assert init["resources"] == {
        "requests": {"cpu": "10m", "memory": "10M"},
        "limits": {"cpu": "100m", "memory": "50M"},
    }
    security = init["securityContext"]
    assert security["capabilities"] == {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}
    assert (security["runAsUser"], security["runAsNonRoot"]) == (0, False)


def test_init_containers_of_the_pod_come_before_it() -> None:
    found = injected(pod(initContainers=[{"name": "migrate", "image": "app"}]))
    assert named(found["spec"]["initContainers"]) == ["migrate", "kuma-init"]


def test_a_gateway_takes_what_comes_in_itself() -> None:
    found = injected(pod({"kuma.io/gateway": "enabled"}))
    assert container(found, "kuma-init")["args"][-2:] == ["-b", ""]
    assert len(container(found, "kuma-init")["args"]) == 12
    other = injected(pod({"kuma.io/gateway": "yes"}))
    assert container(other, "kuma-init")["args"][-1] == "*"


@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("probed", [False, True])
def test_kuma_init_understands_what_it_is_told(gateway: bool, probed: bool) -> None:
    item = pod({"kuma.io/gateway": "enabled"} if gateway else {})
    if probed:
        item["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 8080}}
    words = container(injected(item), "kuma-init")["args"]
    program = Path(sys.executable).parent / "kuma-init"
    done = subprocess.run(
        [program, "--dry-run", "--back-end=nft", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    rules = done.stdout
    assert ("chain prerouting" in rules) is not gateway
    assert ("tcp dport 9000 return" in rules) is (probed and not gateway)
    assert "meta skuid 5678 return" in rules
    assert "redirect to :15001" in rules


# -- annotations


def test_annotations_tell_what_was_done() -> None:
    assert injected(pod())["metadata"]["annotations"] == {
        "kuma.io/mesh": "default",
        "kuma.io/sidecar-injected": "true",
        "kuma.io/transparent-proxying": "enabled",
        "kuma.io/transparent-proxying-port": "15001",
    }


def test_annotations_of_the_pod_stay_and_ours_win() -> None:
    item = pod({"mine": "kept", "kuma.io/transparent-proxying": "disabled", "kuma.io/mesh": "demo"})
    found = injected(item)["metadata"]["annotations"]
    assert (found["mine"], found["kuma.io/mesh"], found["kuma.io/transparent-proxying"]) == (
        "kept",
        "demo",
        "enabled",
    )


@pytest.mark.parametrize("annotations", [None, {}, {"kuma.io/mesh": ""}])
def test_a_pod_that_names_no_mesh_is_in_the_default_one(annotations: dict[str, str] | None) -> None:
    assert environment(injected(pod(annotations)))["KUMA_DATAPLANE_MESH"] == "default"


def test_a_pod_that_names_a_mesh_is_in_it() -> None:
    found = injected(pod({"kuma.io/mesh": "demo"}))
    assert environment(found)["KUMA_DATAPLANE_MESH"] == "demo"
    assert found["metadata"]["annotations"]["kuma.io/mesh"] == "demo"


def scraped(item: dict[str, Any], mesh: dict[str, Any]) -> dict[str, str]:
    found = injected(item, mesh)["metadata"]["annotations"]
    return {key: value for key, value in found.items() if key.startswith("prometheus.io/")}


def test_prometheus_finds_the_sidecar_of_a_mesh_with_metrics() -> None:
    wanted = {"prometheus.io/scrape": "true", "prometheus.io/port": "1234", "prometheus.io/path": "/metrics"}
    assert scraped(pod(), PROMETHEUS) == wanted


def test_a_mesh_without_metrics_has_no_such_annotations() -> None:
    assert scraped(pod(), {}) == scraped(pod(), {"metrics": {}}) == {}


def test_metrics_without_numbers_have_the_defaults_of_a_mesh() -> None:
    found = scraped(pod(), {"metrics": {"prometheus": {}}})
    assert (found["prometheus.io/port"], found["prometheus.io/path"]) == ("5670", "/metrics")


@pytest.mark.parametrize("key", ["scrape", "port", "path"])
def test_a_pod_that_says_anything_of_prometheus_keeps_that_alone(key: str) -> None:
    own = {f"prometheus.io/{key}": "mine", "prometheus.metrics.kuma.io/port": "5678"}
    assert scraped(pod(own), PROMETHEUS) == {f"prometheus.io/{key}": "mine"}


def test_a_pod_may_say_where_its_sidecar_is_scraped() -> None:
    own = {
        "prometheus.metrics.kuma.io/port": "5678",
        "prometheus.metrics.kuma.io/path": "/custom-metrics",
    }
    assert scraped(pod(own), PROMETHEUS) == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "5678",
        "prometheus.io/path": "/custom-metrics",
    }


# -- the patch


def test_the_patch_names_what_changes_and_nothing_else() -> None:
    item = pod({"a": "b", "kuma.io/mesh": "default"}, initContainers=[{"name": "migrate", "image": "app"}])
    assert [(one["op"], one["path"]) for one in patch(item, "default", {}, WITHOUT_HOOKS)] == [
        ("add", "/metadata/annotations/kuma.io~1sidecar-injected"),
        ("add", "/metadata/annotations/kuma.io~1transparent-proxying"),
        ("add", "/metadata/annotations/kuma.io~1transparent-proxying-port"),
        ("add", "/spec/initContainers/-"),
        ("add", "/spec/containers/-"),
    ]


def test_a_pod_without_either_gets_annotations_and_init_containers() -> None:
    paths = [one["path"] for one in patch(pod(), "default", {}, WITHOUT_HOOKS)]
    assert paths == ["/metadata/annotations", "/spec/initContainers", "/spec/containers/-"]


def test_an_init_container_of_our_name_is_not_there_twice() -> None:
    found = injected(pod(initContainers=[{"name": "kuma-init", "image": "mine"}]))
    assert named(found["spec"]["initContainers"]) == ["kuma-init"]


@pytest.mark.parametrize("spec", [{"containers": "no list"}, {"containers": [1]}, {"initContainers": {}}])
def test_what_is_no_pod_is_said_to_be_none(spec: dict[str, Any]) -> None:
    with pytest.raises(Undecodable, match="has to be a list of objects"):
        patch(pod(**spec), "default", {}, WITHOUT_HOOKS)


# -- who is left alone


def test_a_pod_with_a_sidecar_is_left_alone() -> None:
    item = pod()
    assert why_not(item) == ""
    once = applied(item, patch(item, "default", {}, WITHOUT_HOOKS))
    assert why_not(once) == "it has a sidecar"
    assert why_not(injected(pod(), native=True)) == "it has a sidecar"


def test_a_pod_may_want_none() -> None:
    assert "kuma.io/sidecar-injection" in why_not(pod({"kuma.io/sidecar-injection": "disabled"}))
    assert why_not(pod({"kuma.io/sidecar-injection": "enabled"})) == ""


def test_a_pod_in_the_network_of_its_node_is_left_alone() -> None:
    assert why_not(pod(hostNetwork=True)) == "it is in the network of its node"
    assert why_not(pod(hostNetwork=False)) == ""


# -- native sidecars


def test_a_native_sidecar_starts_before_the_pods_own_init_containers() -> None:
    found = injected(pod(initContainers=[{"name": "migrate", "image": "app"}]), native=True)
    assert named(found["spec"]["initContainers"]) == ["kuma-init", "kuma-sidecar", "migrate"]
    assert named(found["spec"]["containers"]) == ["app"]
    sidecar = container(found, "kuma-sidecar")
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["exec"]["command"][-1] == "http://localhost:9901/ready"
    ordinary = container(injected(pod()), "kuma-sidecar")
    added = ("restartPolicy", "startupProbe")
    assert {key: value for key, value in sidecar.items() if key not in added} == ordinary


def test_a_native_sidecar_needs_no_other_init_containers() -> None:
    found = injected(pod(), native=True)
    assert named(found["spec"]["initContainers"]) == ["kuma-init", "kuma-sidecar"]
