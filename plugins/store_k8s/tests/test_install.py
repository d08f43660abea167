"""``kumactl install control-plane``: the objects, and every flag."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.kumactl.tls_pair import generate
from kuma_store_k8s.commands import all_kinds
from kuma_store_k8s.crds import crds
from kuma_store_k8s.install.everything import ORDER
from kuma_store_k8s.names import KUMA_0_3
from tests.kumactl.conftest import Call

Objects = list[dict[str, Any]]
Install = Callable[..., Objects]


@pytest.fixture
def install(kumactl: Call) -> Install:
    def run(*words: str) -> Objects:
        result = kumactl("install", "control-plane", *words)
        assert (result.code, result.err) == (0, "")
        return [item for item in yaml.safe_load_all(result.out) if item is not None]

    return run


def one(objects: Objects, kind: str, name: str = "") -> dict[str, Any]:
    found = [
        item for item in objects if item["kind"] == kind and (not name or item["metadata"]["name"] == name)
    ]
    (item,) = found
    return item


def container(objects: Objects, name: str = "kuma-control-plane") -> dict[str, Any]:
    (found,) = one(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    made: dict[str, Any] = found
    return made


def environment(objects: Objects, name: str = "kuma-control-plane") -> dict[str, str]:
    return {item["name"]: item["value"] for item in container(objects, name)["env"]}


def test_the_objects(install: Install) -> None:
    objects = install()
    assert [(item["kind"], item["metadata"]["name"]) for item in objects] == [
        ("Namespace", "kuma-system"),
        ("ConfigMap", "kuma-control-plane-config"),
        ("ConfigMap", "kuma-injector-config"),
        ("ServiceAccount", "kuma-injector"),
        ("ServiceAccount", "kuma-control-plane"),
        *(("CustomResourceDefinition", item["metadata"]["name"]) for item in crds(all_kinds())),
        ("ClusterRole", "kuma:control-plane"),
        ("ClusterRole", "kuma:injector"),
        ("ClusterRoleBinding", "kuma:control-plane"),
        ("ClusterRoleBinding", "kuma:injector"),
        ("Role", "kuma:control-plane"),
        ("RoleBinding", "kuma:control-plane"),
        ("Service", "kuma-injector"),
        ("Service", "kuma-control-plane"),
        ("Deployment", "kuma-control-plane"),
        ("Deployment", "kuma-injector"),
        ("PodDisruptionBudget", "kuma-control-plane"),
        ("MutatingWebhookConfiguration", "kuma-admission-mutating-webhook-configuration"),
        ("MutatingWebhookConfiguration", "kuma-injector-webhook-configuration"),
        ("ValidatingWebhookConfiguration", "kuma-validating-webhook-configuration"),
    ]
    assert [item for item in objects if item["kind"] == "CustomResourceDefinition"] == crds(all_kinds())


def test_without_an_image_of_the_injector_there_is_nothing_of_it(install: Install) -> None:
    names = [item["metadata"]["name"] for item in install("--injector-image=")]
    assert [name for name in names if "injector" in name] == []


def test_the_injector_reads_meshes_and_gets_its_certificate_as_a_volume(install: Install) -> None:
    """So that it has no right to any Secret; the key of the root stays out of its Pod."""
    objects = install()
    rules = one(objects, "ClusterRole", "kuma:injector")["rules"]
    assert rules == [{"apiGroups": ["kuma.io"], "resources": ["meshes"], "verbs": ["get", "list", "watch"]}]
    volumes = one(objects, "Deployment", "kuma-injector")["spec"]["template"]["spec"]["volumes"]
    (found,) = (volume["secret"] for volume in volumes if volume["name"] == "tls-cert")
    assert found["secretName"] == "kuma-injector-tls-cert"
    assert [item["key"] for item in found["items"]] == ["tls.crt", "tls.key"]


def test_the_injectors_webhook(install: Install) -> None:
    objects = install("--injector-image=registry.example.com/kuma-injector")
    assert container(objects, "kuma-injector")["image"].startswith("registry.example.com/kuma-injector:")
    kinds = [ORDER.index(item["kind"]) for item in objects]
    assert kinds == sorted(kinds)
    webhook = one(objects, "MutatingWebhookConfiguration", "kuma-injector-webhook-configuration")["webhooks"][
        0
    ]
    assert (webhook["failurePolicy"], webhook["reinvocationPolicy"]) == ("Ignore", "IfNeeded")
    assert webhook["namespaceSelector"]["matchLabels"] == {"kuma.io/sidecar-injection": "enabled"}
    assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kuma-system"]


def test_the_output_holds_no_key_and_is_always_the_same(kumactl: Call) -> None:
    first = kumactl("install", "control-plane", "--injector-image=a").out
    assert first == kumactl("install", "control-plane", "--injector-image=a").out
    assert "PRIVATE" not in first
    assert "kind: Secret\n" not in first
    assert "caBundle" not in first


@pytest.mark.parametrize("component", ["admission-server", "sds", "injector"])
def test_a_certificate_that_is_given(install: Install, component: str, tmp_path: Path) -> None:
    pair = generate(["a.b.svc"], False)
    cert, key = pair.cert.decode(), pair.key.decode()
    (tmp_path / "key.pem").write_text(key)
    objects = install(
        f"--{component}-tls-cert={cert}",
        f"--{component}-tls-key=@{tmp_path / 'key.pem'}",
        "--injector-image=a",
    )
    secret = one(objects, "Secret")
    assert secret["metadata"]["name"] == f"kuma-{component}-tls-cert"
    assert secret["type"] == "kubernetes.io/tls"
    assert {name: b64decode(value).decode() for name, value in secret["data"].items()} == {
        "tls.crt": cert,
        "tls.key": key,
    }
    bundles = [
        b64decode(webhook["clientConfig"]["caBundle"]).decode()
        for item in objects
        for webhook in item.get("webhooks", [])
        if "caBundle" in webhook["clientConfig"]
    ]
    assert bundles == [cert] * {"admission-server": 2, "sds": 0, "injector": 1}[component]
    files = {name for name in environment(objects) if "SDS_SERVER_TLS" in name}
    assert files == (
        {"KUMA_SDS_SERVER_TLS_CERT_FILE", "KUMA_SDS_SERVER_TLS_KEY_FILE"} if component == "sds" else set()
    )


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        (
            "admission-server-tls-cert",
            "Admission Server: both TLS Cert and TLS Key must be provided at the same time",
        ),
        ("sds-tls-key", "SDS: both TLS Cert and TLS Key must be provided at the same time"),
        ("injector-tls-cert", "Injector: both TLS Cert and TLS Key must be provided at the same time"),
        ("namespace", "cannot be a namespace of Kubernetes"),
        ("control-plane-service-name", "cannot be the name of a Service"),
        ("injector-service-name", "cannot be the name of a Service"),
        ("control-plane-image", "is no name of an image"),
        ("dataplane-image", "is no name of an image"),
        ("control-plane-version", "cannot be the tag of an image"),
        ("image-pull-policy", "is not one of 'IfNotPresent', 'Always', 'Never'"),
        ("injector-failure-policy", "is not one of 'Ignore', 'Fail'"),
    ],
)
def test_a_flag_that_cannot_be(kumactl: Call, flag: str, said: str) -> None:
    result = kumactl("install", "control-plane", f"--{flag}=A b")
    assert (result.code, result.out) == (1, "")
    assert said in result.err


def test_what_is_no_pem_is_not_shown(kumactl: Call) -> None:
    flags = ("--sds-tls-cert=secret-text", "--sds-tls-key=other-secret")
    result = kumactl("install", "control-plane", *flags)
    assert result.err.startswith("Error: SDS: TLS Cert is no PEM")
    assert "secret-text" not in result.err
    missing = kumactl("install", "control-plane", "--sds-tls-cert=@/nowhere", "--sds-tls-key=@/nowhere")
    assert missing.code == 1
    assert "/nowhere" in missing.err


def test_every_other_flag(install: Install) -> None:
    objects = install(
        "--namespace=mesh",
        "--image-pull-policy=Always",
        "--control-plane-version=1.2.3",
        "--control-plane-image=registry:5000/cp",
        "--control-plane-service-name=cp",
        "--control-plane-replicas=3",
        "--injector-image=inj@sha256:00",
        "--injector-failure-policy=Fail",
        "--injector-service-name=inj",
        "--dataplane-image=dp",
        "--dataplane-init-image=init:9",
    )
    cluster = {"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    for item in objects:
        if item["kind"] not in cluster and "Webhook" not in item["kind"]:
            assert item["metadata"]["namespace"] == "mesh"
    cp = container(objects)
    assert (cp["image"], cp["imagePullPolicy"]) == ("registry:5000/cp:1.2.3", "Always")
    assert one(objects, "Deployment", "kuma-control-plane")["spec"]["replicas"] == 3
    assert container(objects, "kuma-injector")["image"] == "inj@sha256:00"
    asked = environment(objects, "kuma-injector")
    assert asked["KUMA_INJECTOR_CONTROL_PLANE_API_SERVER_URL"] == "http://cp.mesh:5681"
    assert asked["KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE"] == "dp:1.2.3"
    assert asked["KUMA_INJECTOR_INIT_CONTAINER_IMAGE"] == "init:9"
    assert environment(objects)["KUMA_GENERAL_ADVERTISED_HOSTNAME"] == "cp.mesh"
    assert {item["metadata"]["name"] for item in objects if item["kind"] == "Service"} == {"cp", "inj"}
    services = [
        webhook["clientConfig"]["service"]
        for item in objects
        if "Webhook" in item["kind"]
        for webhook in item["webhooks"]
    ]
    assert {(item["namespace"], item["name"]) for item in services} == {("mesh", "cp"), ("mesh", "inj")}
    subjects = [s for item in objects if "Binding" in item["kind"] for s in item["subjects"]]
    assert {subject["namespace"] for subject in subjects} == {"mesh"}


# -- what holds of all of them


def test_webhooks_are_as_v1_wants_them(install: Install) -> None:
    webhooks = [
        webhook
        for item in install("--injector-image=a")
        if "Webhook" in item["kind"]
        for webhook in item["webhooks"]
    ]
    assert len(webhooks) == 3
    for webhook in webhooks:
        assert webhook["admissionReviewVersions"] == ["v1"]
        assert (webhook["sideEffects"], webhook["matchPolicy"]) == ("None", "Equivalent")
        assert 1 <= webhook["timeoutSeconds"] <= 30
    validating = next(webhook for webhook in webhooks if webhook["name"].startswith("validator"))
    assert validating["rules"][0]["resources"] == sorted(
        kind.plural for kind in all_kinds() if kind.name != "DataplaneInsight"
    )


def test_the_environment_names_settings(install: Install) -> None:
    known = {name for setting in SETTINGS for name in (setting.env, *setting.aliases)}
    pair = generate(["a"], False)
    names = environment(install(f"--sds-tls-cert={pair.cert.decode()}", f"--sds-tls-key={pair.key.decode()}"))
    assert set(names) - known == set()


def test_the_control_plane_understands_its_arguments(install: Install) -> None:
    """As far as its configuration, which is not here."""
    words = [word.replace("/etc/", "/nowhere/") for word in container(install())["args"]]
    done = subprocess.run(
        [Path(sys.executable).parent / "kuma-cp", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.startswith("Error: Failed to access configuration file"), done.stderr


@pytest.mark.parametrize("name", ["kuma-control-plane", "kuma-injector"])
def test_pods_keep_the_restricted_level(install: Install, name: str) -> None:
    objects = install("--injector-image=a")
    deployment = one(objects, "Deployment", name)["spec"]
    pod = deployment["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container(objects, name)["securityContext"]
    assert (own["allowPrivilegeEscalation"], own["capabilities"]) == (False, {"drop": ["ALL"]})
    assert own["readOnlyRootFilesystem"] is True
    assert {"livenessProbe", "readinessProbe"} <= set(container(objects, name))
    assert deployment["minReadySeconds"] == 5
    assert container(objects, name)["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert {mount["name"] for mount in container(objects, name)["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }


def test_kinds_of_plugins_are_written_and_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    from kuma_store_k8s.install.choices import Choices
    from kuma_store_k8s.install.everything import control_plane
    from kuma_store_k8s.names import KubeKind

    objects = control_plane(Choices("1", kinds=(*KUMA_0_3, KubeKind("Greeting", "greetings"))))
    rules = one(objects, "ClusterRole", "kuma:control-plane")["rules"]
    assert ["dataplaneinsights", "dataplanes", "greetings", "meshes"] in [rule["resources"] for rule in rules]
    (webhook,) = one(objects, "ValidatingWebhookConfiguration")["webhooks"]
    assert "greetings" in webhook["rules"][0]["resources"]


def test_no_rule_takes_everything(install: Install) -> None:
    for item in install("--injector-image=a"):
        for rule in item.get("rules", []):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
