"""What ``kumactl install`` prints, applied to a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from subprocess import CalledProcessError
from typing import Any

import pytest
import yaml

from kuma_core.testing.waiting import eventually
from kuma_store_k8s.install.choices import Choices
from kuma_store_k8s.install.everything import control_plane
from kuma_store_k8s.manifests import text_of
from tests.kube.cluster import Cluster

pytestmark = pytest.mark.kube

SYSTEM = "install-test"


@pytest.fixture(scope="module")
def manifests() -> str:
    return text_of(control_plane(Choices("0.1.0", namespace=SYSTEM, injector_image="kuma/kuma-injector")))


@pytest.fixture(scope="module")
def applied(cluster: Cluster, manifests: str) -> Iterator[str]:
    """What kubectl printed at the first time. Webhooks go at the end: nobody answers them."""
    try:
        yield cluster.kubectl("apply", "-f", "-", input=manifests)
    finally:
        for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            cluster.delete(f"/apis/admissionregistration.k8s.io/v1/{kind}")
        for kind in ("clusterroles", "clusterrolebindings"):
            for name in ("kuma:control-plane", "kuma:injector"):
                cluster.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/{name}")
        cluster.delete(f"/api/v1/namespaces/{SYSTEM}")


ALWAYS_SENT = "poddisruptionbudget.policy/kuma-control-plane configured"
"""kubectl sends the selector of a PodDisruptionBudget whether or not it is another one."""


def changed(text: str) -> list[str]:
    """The objects of which kubectl says that it did something."""
    return [line for line in text.splitlines() if not line.endswith(" unchanged") and line != ALWAYS_SENT]


def test_the_same_output_twice_changes_nothing(cluster: Cluster, manifests: str, applied: str) -> None:
    assert changed(applied)
    before = versions(cluster, manifests)
    assert len(before) > 20
    assert changed(cluster.kubectl("apply", "-f", "-", input=manifests)) == []
    assert versions(cluster, manifests) == before


def versions(cluster: Cluster, manifests: str) -> dict[str, str]:
    """What the API server changes with every write, of each object whose state nobody else writes."""
    path = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}"
    found = cluster.kubectl("get", "-f", "-", "-o", path, input=manifests)
    rows = [line.split(" ") for line in found.splitlines()]
    return {f"{kind} {name}": version for kind, name, version in rows if kind != "Namespace"}


@pytest.mark.usefixtures("applied")
def test_no_field_is_unknown_to_the_server(cluster: Cluster, manifests: str) -> None:
    words = (
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
    )
    cluster.kubectl(*words, input=manifests)


@pytest.mark.usefixtures("applied")
def test_a_ca_bundle_that_a_program_filled_in_stays(cluster: Cluster, manifests: str) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kuma-validating-webhook-configuration"
    found = cluster.get(path)
    found["webhooks"][0]["clientConfig"]["caBundle"] = "Cg=="
    cluster.patch(path, {"webhooks": found["webhooks"]})
    assert changed(cluster.kubectl("apply", "-f", "-", input=manifests)) == []
    assert cluster.get(path)["webhooks"][0]["clientConfig"]["caBundle"] == "Cg=="


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize("name", ["kuma-control-plane", "kuma-injector"])
def test_the_pods_are_admitted_at_the_restricted_level(cluster: Cluster, manifests: str, name: str) -> None:
    template = next(
        item["spec"]["template"]
        for item in yaml.safe_load_all(manifests)
        if item and item["kind"] == "Deployment" and item["metadata"]["name"] == name
    )
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**pod["metadata"], "name": name}
    path = f"/api/v1/namespaces/{SYSTEM}/pods"
    cluster.create(path, pod)
    refused = {**pod, "metadata": {"name": "privileged"}}
    refused["spec"] = {"containers": [{"name": "a", "image": "a"}]}
    with pytest.raises(LookupError, match="violates PodSecurity"):
        cluster.create(path, refused)


ACCOUNT = f"system:serviceaccount:{SYSTEM}:kuma-control-plane"


def may(cluster: Cluster, verb: str, what: str, *words: str) -> bool:
    answer = "no"
    with suppress(CalledProcessError):  # "no" has exit code 1
        answer = cluster.kubectl("auth", "can-i", verb, what, f"--as={ACCOUNT}", *words)
    return answer.strip() == "yes"


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("verb", "what", "words"),
    [
        ("update", "dataplanes.kuma.io", ("-A",)),
        ("delete", "trafficroutes.kuma.io", ("-A",)),
        ("create", "tokenreviews.authentication.k8s.io", ()),
        ("patch", "validatingwebhookconfigurations/kuma-validating-webhook-configuration", ()),
        ("update", "secrets", ("-n", SYSTEM)),
        ("update", "leases.coordination.k8s.io", ("-n", SYSTEM)),
        ("create", "events.events.k8s.io", ("-A",)),
    ],
)
def test_what_the_control_plane_may_do(
    cluster: Cluster, verb: str, what: str, words: tuple[str, ...]
) -> None:
    assert eventually(lambda: may(cluster, verb, what, *words), 60)


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("verb", "what", "words"),
    [
        ("create", "trafficroutes.kuma.io", ("-A",)),
        ("get", "secrets", ("-A",)),
        ("get", "secrets", ("-n", "default")),
        ("create", "pods", ("-A",)),
        ("patch", "pods", ("-A",)),
        ("patch", "validatingwebhookconfigurations/other", ()),
        ("update", "validatingwebhookconfigurations/kuma-validating-webhook-configuration", ()),
        ("create", "clusterrolebindings", ()),
        ("update", "customresourcedefinitions", ()),
        ("update", "leases.coordination.k8s.io", ("-n", "kube-system")),
    ],
)
def test_what_it_may_not_do(cluster: Cluster, verb: str, what: str, words: tuple[str, ...]) -> None:
    assert not may(cluster, verb, what, *words)


def test_every_definition_is_established(cluster: Cluster, applied: Any) -> None:
    assert applied
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for kind in Choices("1").kinds:
        conditions = cluster.get(f"{path}/{kind.crd_name}")["status"]["conditions"]
        states = {item["type"]: item["status"] for item in conditions}
        assert states["NamesAccepted"] == "True"
        assert states.get("NonStructuralSchema", "False") == "False"
