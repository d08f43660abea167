"""A control plane in a real cluster: installed, asked by its API server, at work on Pods, under exactly its role."""

from __future__ import annotations

import copy
import importlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_runtime_k8s
import kuma_store_k8s
from kuma_core.builtin.cluster import components
from kuma_core.runtime import leadership
from kuma_core.sdk import Proxy, ResourceKey, Unauthenticated
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.identity.authenticator import ServiceAccountTokens
from kuma_runtime_k8s.pods import Pods
from kuma_store_k8s import answers
from kuma_store_k8s.client import ApiClient
from kuma_store_k8s.install.choices import Choices
from kuma_store_k8s.install.everything import control_plane
from kuma_store_k8s.manifests import text_of
from kuma_store_k8s.names import KUMA_0_3, KubeKind, kube_kind
from kuma_store_k8s.offer import Way
from tests.end_to_end.support import BIN, Load, Machine, Sidecar, fetch, start
from tests.kube.cluster import Cluster, Refused

from .test_dataplanes import POD

pytestmark = pytest.mark.kube

HELLO = Path(__file__).parents[3] / "examples" / "plugin_hello"
SYSTEM = "kuma-runtime-test"
KUMA = "/apis/kuma.io/v1alpha1"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
DOCUMENTED = {
    "dataplane": "dataplanes",
    "health_check": "health-checks",
    "proxy_template": "proxytemplates",
    "traffic_log": "traffic-logs",
    "traffic_permission": "traffic-permissions",
    "traffic_route": "traffic-routes",
}
"""By file, the path of its kind."""
ACCOUNT = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/kuma-control-plane"


@dataclass
class Installed:
    """What runs, and the answers of the API server that said: you may not."""

    cluster: Cluster
    cp: RunningPlatform
    forbidden: list[str]
    plugins: list[ModuleType]
    settings: dict[str, str]

    @contextmanager
    def another(self, **settings: str) -> Iterator[RunningPlatform]:
        """One more control plane, beside the first."""
        own = {"KUMA_KUBERNETES_ADMISSION_SERVER_PORT": str(free_port()), "KUMA_HELLO_PORT": str(free_port())}
        with running_platform(self.plugins, {**self.settings, **own, **settings}) as cp:
            yield cp


GREETING = KubeKind("Greeting", "greetings")
"""A kind of somebody else's plugin."""


def manifests(port: int) -> str:
    """What is installed, but that the API server finds the control plane on this machine."""
    choices = Choices("0.1.0", namespace=SYSTEM, kinds=(*KUMA_0_3, GREETING))
    made = copy.deepcopy(control_plane(choices))
    for item in made:
        if item["kind"] == "Service":
            item["spec"] = {"type": "ExternalName", "externalName": "localhost"}
        for webhook in item.get("webhooks", ()):
            webhook["clientConfig"]["service"]["port"] = port
    return text_of(item for item in made if item["kind"] != "Deployment")


def as_installed() -> ModuleType:
    """The plugin of the store under the name that its entry point gives it."""
    module = ModuleType("store_k8s")
    module.__dict__.update({key: value for key, value in vars(kuma_store_k8s).items() if key[:2] != "__"})
    return module


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    port, forbidden = free_port(), []
    try:
        cluster.kubectl("apply", "-f", "-", input=manifests(port))
        kubeconfig = under_its_role(cluster)
        settings = {
            "KUMA_ENVIRONMENT": "kubernetes",
            "KUMA_STORE_TYPE": "kubernetes",
            "KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE": SYSTEM,
            "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1",  # where proxies of this machine find it
            "KUMA_API_SERVER_READ_ONLY": "true",
            "KUMA_XDS_SERVER_ENDPOINTS": "serving",
            "KUMA_KUBERNETES_ADMISSION_SERVER_PORT": str(port),
            "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": str(tmp_path_factory.mktemp("certificates")),
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(HELLO))
            hello = importlib.import_module("kuma_hello")
            settings["KUMA_HELLO_PORT"] = str(free_port())
            plugins = [as_installed(), kuma_policy_traffic, kuma_ca_builtin, kuma_runtime_k8s, hello]
            patch.setitem(os.environ, "KUBECONFIG", str(kubeconfig))
            watch_for_403(patch, forbidden)
            with running_platform(plugins, settings) as cp:
                eventually(lambda: cp.get("/meshes/default").status == 200, 60)
                yield Installed(cluster, cp, forbidden, plugins, settings)
    finally:
        remove(cluster)


def under_its_role(cluster: Cluster) -> Path:
    """A kubeconfig with a token of the control plane's ServiceAccount."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = cluster.create(f"{ACCOUNT}/token", request)
    return cluster.write_kubeconfig("control-plane-kubeconfig", made["status"]["token"])


NO_MATTER_OF_ROLES = ("denied the request", "because it is being terminated")
"""What a webhook says, and what is said of a namespace that goes while a proxy's insight is on its way."""


def watch_for_403(patch: pytest.MonkeyPatch, forbidden: list[str]) -> None:
    made = answers.ApiRefusal.__init__

    def noting(self: Any, code: int, reason: str, message: str, *rest: Any) -> None:
        made(self, code, reason, message, *rest)
        if code == 403 and not any(text in message for text in NO_MATTER_OF_ROLES):
            forbidden.append(message)

    patch.setattr(answers.ApiRefusal, "__init__", noting)


def remove(cluster: Cluster) -> None:
    for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        cluster.delete(f"{WEBHOOKS}/{kind}")
    for kind in ("clusterroles", "clusterrolebindings"):
        for name in ("kuma:control-plane", "kuma:injector"):
            cluster.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/{name}")
    with suppress(Refused):
        cluster.delete(f"{KUMA}/meshes")
    cluster.delete(f"/api/v1/namespaces/{SYSTEM}")


# -- what Pods become


def a_pod(
    cluster: Cluster,
    namespace: str,
    ip: str,
    name: str = "example",
    port: int = 0,
    annotations: dict[str, str] | None = None,
    node: str = "",
) -> dict[str, Any]:
    """A Pod that runs, as far as an API server can tell; with a port of its own its traffic is not redirected.

    One on a ``node`` waits, when it is deleted, for a kubelet that is not there, and is not ready.
    """
    pod = copy.deepcopy(POD)
    del pod["metadata"]["uid"]
    pod["metadata"] |= {"name": name, "namespace": namespace}
    if port:
        pod["metadata"]["annotations"] = {"kuma.io/sidecar-injected": "true", **(annotations or {})}
        pod["spec"]["containers"] = [{"ports": [{"containerPort": port}]}]
    for number, container in enumerate(pod["spec"]["containers"]):
        container |= {"name": f"c{number}", "image": "none"}
    pod["spec"] |= {"nodeName": node} if node else {}
    path = f"/api/v1/namespaces/{namespace}/pods"
    eventually(lambda: cluster.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"), 60)
    made = cluster.create(path, pod)
    status = {"podIP": ip, "podIPs": [{"ip": ip}], "phase": "Running"}
    ready = {} if node else {"conditions": [{"type": "Ready", "status": "True"}]}
    cluster.patch(f"{path}/{name}/status", {"status": {**status, **ready}})
    return made


def a_service(cluster: Cluster, namespace: str, name: str, *ports: tuple[int, Any]) -> str:
    """A Service; its address."""
    listed = [{"name": f"p{port}", "port": port, "targetPort": target} for port, target in ports]
    item = {"metadata": {"name": name}, "spec": {"selector": {"app": "example"}, "ports": listed}}
    made = cluster.create(f"/api/v1/namespaces/{namespace}/services", item)
    return str(made["spec"]["clusterIP"])


def test_two_services_over_one_pod_become_a_dataplane(installed: Installed, namespace: str) -> None:
    cluster = installed.cluster
    address = a_service(cluster, namespace, "example", (80, 8080), (443, 8443))
    sample = a_service(cluster, namespace, "sample", (7071, 7070), (6061, "metrics"))
    pod = a_pod(cluster, namespace, "192.168.0.1")
    path = f"{KUMA}/namespaces/{namespace}/dataplanes/example"
    found = eventually(
        lambda: (item := cluster.get(path)) and item["spec"]["networking"].get("outbound") and item, 60
    )
    assert found["mesh"] == "default"
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Pod", pod["metadata"]["uid"], True)
    own = {"app": "example", "version": "0.1"}
    services = [f"example.{namespace}.svc:80", f"example.{namespace}.svc:443", f"sample.{namespace}.svc:6061"]
    assert found["spec"]["networking"] == {
        "transparentProxying": {"redirectPort": 15001},
        "inbound": [
            {"interface": f"192.168.0.1:{port}:{port}", "tags": {**own, "service": service}}
            for port, service in zip((8080, 8443, 6060), services, strict=True)
        ],
        "outbound": [
            {"interface": f"{address}:443", "service": services[1]},
            {"interface": f"{address}:80", "service": services[0]},
            {"interface": f"{sample}:6061", "service": services[2]},
        ],
    }
    shown = eventually(
        lambda: (
            (answer := installed.cp.get(f"/meshes/default/dataplanes/example.{namespace}")).status == 200
            and answer.body
        )
    )
    assert (shown["type"], shown["mesh"], shown["name"]) == ("Dataplane", "default", f"example.{namespace}")


def _is_gone(cluster: Cluster, path: str) -> bool:
    try:
        cluster.get(path)
    except Refused as error:
        return error.code == 404
    return False


def test_others_call_a_pod_while_it_is_ready_and_no_more_once_it_is_deleted(
    installed: Installed, namespace: str
) -> None:
    """As a hook of its containers hears of it, from a control plane that does not lead."""
    cluster = installed.cluster
    a_service(cluster, namespace, "example", (80, 8080))
    path, node = f"/api/v1/namespaces/{namespace}/pods/example", "node-of-nobody"
    cluster.create("/api/v1/nodes", {"metadata": {"name": node}})  # a Pod of no node is collected as garbage
    with installed.another() as other, ExitStack() as stack:
        stack.callback(cluster.delete, f"/api/v1/nodes/{node}")

        def serves() -> bool | None:
            said = {"mesh": "default", "name": f"example.{namespace}"}
            found: bool | None = other.request("POST", "/serving", said, other.bootstrap).body["serving"]
            return found

        def is_ready(status: str) -> None:
            condition = {"type": "Ready", "status": status}
            cluster.patch(f"{path}/status", {"status": {"conditions": [condition]}})

        a_pod(cluster, namespace, "192.168.0.3", node=node)
        eventually(lambda: cluster.get(f"{KUMA}/namespaces/{namespace}/dataplanes/example"), 60)
        assert serves() is None
        is_ready("True")
        eventually(lambda: serves() is True, 60, "one that is ready")
        assert owners_of_records(cluster) == [], (
            "the garbage collector would take away what has an owner elsewhere"
        )
        is_ready("False")
        eventually(lambda: serves() is False, 60, "one that is ready no more")
        is_ready("True")
        eventually(lambda: serves() is True, 60, "one that is ready again")
        cluster.delete(path)
        assert "deletionTimestamp" in cluster.get(path)["metadata"]
        eventually(lambda: serves() is False, 60, "one that is deleted")
        cluster.kubectl("delete", "pod", "example", "-n", namespace, "--force", "--grace-period=0")
        eventually(lambda: serves() is None, 60, "one that is gone")


def owners_of_records(cluster: Cluster) -> list[Any]:
    """The owners of the records that nobody but control planes read."""
    found = cluster.get(f"/api/v1/namespaces/{SYSTEM}/secrets")["items"]
    records = [item["metadata"] for item in found if item["type"] == "system.kuma.io/record"]
    assert records
    return [owner for meta in records for owner in meta.get("ownerReferences", ())]


def test_describe_tells_why_a_pod_has_no_dataplane(installed: Installed, namespace: str) -> None:
    a_pod(installed.cluster, namespace, "192.168.0.2")
    described = eventually(
        lambda: (
            "NoService" in (text := installed.cluster.kubectl("describe", "pod", "example", "-n", namespace))
            and text
        ),
        60,
    )
    assert f'no Service of the namespace "{namespace}" selects the Pod' in described


# -- admission


def test_a_pod_that_the_injector_missed_is_told_so(installed: Installed, namespace: str) -> None:
    """Nobody injects here, and the webhook's policy is the default one."""
    cluster = installed.cluster
    path = f"/api/v1/namespaces/{namespace}"
    cluster.patch(path, {"metadata": {"labels": {"kuma.io/sidecar-injection": "enabled"}}})
    eventually(lambda: cluster.get(f"{path}/serviceaccounts/default"), 60)
    item = {"metadata": {"name": "missed"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    assert len(cluster.create(f"{path}/pods", item)["spec"]["containers"]) == 1
    words = ("get", "events", "-n", namespace, "--field-selector", "reason=NoSidecar", "-o", "name")
    eventually(lambda: cluster.kubectl(*words).strip(), 60)
    assert "was created before the namespace asked" in cluster.kubectl(
        "describe", "pod", "-n", namespace, "missed"
    )


def test_a_refusal_as_kubectl_shows_it(installed: Installed) -> None:
    item = {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Dataplane",
        "mesh": "default",
        "metadata": {"name": "bad", "namespace": "default"},
        "spec": {"networking": {}},
    }
    with pytest.raises(Refused) as caught:
        installed.cluster.create(f"{KUMA}/namespaces/default/dataplanes", item)
    status = yaml.safe_load(str(caught.value).partition(": ")[2])
    said = "has to contain at least one inbound interface or gateway"
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == (
        f'admission webhook "validator.kuma-admission.kuma.io" denied the request: networking: {said}'
    )
    assert status["details"]["causes"] == [
        {"reason": "FieldValueInvalid", "message": said, "field": "networking"}
    ]
    with pytest.raises(subprocess.CalledProcessError) as failed:
        installed.cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=yaml.safe_dump(item))
    assert said in failed.value.stderr


def test_a_mesh_gets_its_defaults_its_root_and_takes_its_policies_along(installed: Installed) -> None:
    cluster = installed.cluster
    mesh = {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Mesh",
        "metadata": {"name": "shop"},
        "spec": {"odd": 1},
    }
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(mesh))
    found = cluster.get(f"{KUMA}/meshes/shop")
    assert found["spec"] == {"mtls": {"ca": {"builtin": {}}}, "odd": 1}
    secret = f"/api/v1/namespaces/{SYSTEM}/secrets/builtinca.shop"
    owned = eventually(lambda: (item := cluster.get(secret))["metadata"].get("ownerReferences") and item, 60)
    assert [owner["uid"] for owner in owned["metadata"]["ownerReferences"]] == [found["metadata"]["uid"]]
    every = [{"match": {"service": "*"}}]
    policy = {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "TrafficPermission",
        "mesh": "shop",
        "metadata": {"name": "all", "namespace": "default"},
        "spec": {"sources": every, "destinations": every},
    }
    path = f"{KUMA}/namespaces/default/trafficpermissions"
    cluster.create(path, policy)
    eventually(lambda: installed.cp.get("/meshes/shop/traffic-permissions/all.default").status == 200)
    cluster.delete(f"{KUMA}/meshes/shop")
    eventually(lambda: _is_gone(cluster, f"{path}/all") and _is_gone(cluster, secret), 60)


def test_a_kind_of_somebody_else_is_a_kind_like_all_others(installed: Installed, namespace: str) -> None:
    assert kube_kind(installed.cp.platform.catalog.kinds["Greeting"]) == GREETING
    with pytest.raises(subprocess.CalledProcessError) as failed:
        apply(installed.cluster, a_resource("Greeting", "empty", namespace, {"text": ""}, "default"))
    assert failed.value.stderr == 'The Greeting "empty" is invalid: text: cannot be empty\n'
    apply(installed.cluster, a_resource("Greeting", "good", namespace, {"text": "good day"}, "default"))
    shown = eventually(
        lambda: (
            (answer := installed.cp.get(f"/meshes/default/greetings/good.{namespace}")).status == 200
            and answer.body
        )
    )
    assert shown["text"] == "good day"
    listed = installed.cluster.kubectl("get", "kuma", "-n", namespace)
    assert "greeting.kuma.io/good" in listed


def test_the_documents_of_the_guide_are_taken(installed: Installed, namespace: str) -> None:
    page = (HELLO.parents[1] / "docs" / "how-to" / "kubernetes.md").read_text(encoding="utf-8")
    text = page.partition("## 4. ")[2].partition("<<EOF\n")[2].partition("EOF\n")[0]
    text = text.replace("namespace: demo", f"namespace: {namespace}")
    taken = installed.cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=text)
    assert [line.split()[0] for line in taken.splitlines()] == [
        "mesh.kuma.io/default",
        "trafficpermission.kuma.io/web-to-backend",
    ]


def test_the_default_mesh_comes_back(installed: Installed) -> None:
    cluster = installed.cluster
    before = cluster.get(f"{KUMA}/meshes/default")["metadata"]["uid"]
    cluster.delete(f"{KUMA}/meshes/default")
    eventually(lambda: cluster.get(f"{KUMA}/meshes/default")["metadata"]["uid"] != before, 60)


def test_the_certificate_is_in_its_secret_and_the_webhooks_trust_it(installed: Installed) -> None:
    cluster = installed.cluster
    secret = f"/api/v1/namespaces/{SYSTEM}/secrets/kuma-admission-server-tls-cert"
    old = cluster.get(secret)["data"]["ca.crt"]
    cluster.delete(secret)
    new = eventually(lambda: (data := cluster.get(secret)["data"])["ca.crt"] != old and data["ca.crt"], 60)
    path = f"{WEBHOOKS}/validatingwebhookconfigurations/kuma-validating-webhook-configuration"
    eventually(lambda: cluster.get(path)["webhooks"][0]["clientConfig"]["caBundle"] == new, 60)
    mesh = {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "metadata": {"name": "anew"}, "spec": {}}
    eventually(lambda: cluster.create(f"{KUMA}/meshes", mesh), 60)
    cluster.delete(f"{KUMA}/meshes/anew")


def test_the_certificate_of_the_injector_is_there_and_its_webhook_trusts_it(installed: Installed) -> None:
    cluster = installed.cluster
    path = f"{WEBHOOKS}/mutatingwebhookconfigurations/kuma-injector-webhook-configuration"
    secret = f"/api/v1/namespaces/{SYSTEM}/secrets/kuma-injector-tls-cert"
    root = eventually(lambda: cluster.get(secret)["data"]["ca.crt"], 60)
    eventually(lambda: cluster.get(path)["webhooks"][0]["clientConfig"].get("caBundle") == root, 60)


def test_applying_it_again_changes_nothing_while_it_runs(installed: Installed) -> None:
    port = installed.cp.platform.config.number("runtime.kubernetes.admissionServer.port")
    again = installed.cluster.kubectl("apply", "-f", "-", input=manifests(port))
    changed = [line for line in again.splitlines() if not line.endswith(" unchanged")]
    assert [line for line in changed if "poddisruptionbudget" not in line] == []


# -- identity


def test_a_token_is_good_for_its_pod_until_that_is_gone(installed: Installed, namespace: str) -> None:
    cluster = installed.cluster
    pod = a_pod(cluster, namespace, "192.168.0.3")
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "example", "uid": pod["metadata"]["uid"]}
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"

    def token(*audiences: str) -> str:
        spec = {"boundObjectRef": bound, "audiences": list(audiences)}
        return str(cluster.create(account, {"spec": spec})["status"]["token"])

    way = Way()
    for audience, shown in (("", token()), ("kuma", token("kuma"))):
        tokens = ServiceAccountTokens(way, Pods(), audience)
        tokens.recognise(shown).allows(Proxy("default", f"example.{namespace}"), list)
        with pytest.raises(Unauthenticated, match="different from proxyId"):
            tokens.recognise(shown).allows(Proxy("default", f"other.{namespace}"), list)
    with pytest.raises(Unauthenticated, match="not meant for the audience"):
        ServiceAccountTokens(way, Pods(), "kuma").recognise(token())
    with pytest.raises(Unauthenticated, match="doesn't belong to a valid user"):
        ServiceAccountTokens(way, Pods()).recognise(token("kuma"))
    shown = token()
    tokens = ServiceAccountTokens(way, Pods())
    tokens.recognise(shown)
    cluster.delete(f"/api/v1/namespaces/{namespace}/pods/example?gracePeriodSeconds=0")
    eventually(lambda: _is_gone(cluster, f"/api/v1/namespaces/{namespace}/pods/example"), 60)
    with pytest.raises(Unauthenticated, match="is gone"):
        tokens.recognise(shown).allows(Proxy("default", f"example.{namespace}"), list)


# -- traffic


def test_traffic_between_pods_is_denied_until_kubectl_permits_it_and_outlives_a_restart(
    installed: Installed, namespace: str, tmp_path: Path
) -> None:
    """Real Envoys with the tokens of their ServiceAccounts, in an encrypted mesh."""
    cluster, mesh, calling = installed.cluster, f"mesh-{namespace}", free_port()
    ports = {f"KUMA_{name}_SERVER_GRPC_PORT": str(free_port()) for name in ("XDS", "SDS")}
    apply(cluster, a_resource("Mesh", mesh, "", {"mtls": {"enabled": True, "ca": {"builtin": {}}}}))
    with ExitStack() as stack:
        with installed.another(**ports) as cp:
            machine = Machine(cp, tmp_path, stack)
            for name, token in two_proxies(cluster, namespace, mesh, machine.service("web"), calling).items():
                known = f"/meshes/{mesh}/dataplanes/{name}.{namespace}"
                eventually(lambda known=known: cp.get(known).status == 200, 60)
                machine.sidecar(f"{name}.{namespace}", mesh, token_text=token)
            assert not is_answered(calling)
            every = [{"match": {"service": "*"}}]
            permission = {"sources": every, "destinations": every}
            apply(cluster, a_resource("TrafficPermission", "all", namespace, permission, mesh))
            eventually(lambda: fetch(calling) == "web", 60)
            load = stack.enter_context(Load(calling))
        outlived(load, 100)
        with installed.another(**ports):
            outlived(load, 100)
            assert load.failures == []
            cluster.kubectl("delete", "trafficpermissions.kuma.io", "all", "-n", namespace)
            eventually(lambda: load.failures, 60, "the proxies follow the new control plane")


def outlived(load: Load, requests: int) -> None:
    """Wait for so many more answers."""
    before = load.answers["web"]
    eventually(lambda: load.answers["web"] > before + requests, 60)


def two_proxies(cluster: Cluster, namespace: str, mesh: str, port: int, calling: int) -> dict[str, str]:
    """A Pod with a Service, and who calls it at a port of this machine; their names with their tokens."""
    a_service(cluster, namespace, "web", (80, port))
    pod = a_pod(cluster, namespace, "127.0.1.7", "web-1", port, {"kuma.io/mesh": mesh})
    inbound = {"interface": f"127.0.1.8:{free_port()}:9", "tags": {"service": f"shop.{namespace}.svc:80"}}
    outbound = {"interface": f":{calling}", "service": f"web.{namespace}.svc:80"}
    networking = {"inbound": [inbound], "outbound": [outbound]}
    apply(cluster, a_resource("Dataplane", "shop-1", namespace, {"networking": networking}, mesh))
    return {
        "web-1": a_token(cluster, namespace, pod),
        "shop-1": a_token(cluster, namespace, None),
    }


def a_resource(kind: str, name: str, namespace: str, spec: Any, mesh: str = "") -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace} if namespace else {"name": name}
    more = {"mesh": mesh} if mesh else {}
    return {"apiVersion": "kuma.io/v1alpha1", "kind": kind, **more, "metadata": meta, "spec": spec}


def apply(cluster: Cluster, item: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(item))


def a_token(cluster: Cluster, namespace: str, pod: dict[str, Any] | None) -> str:
    """A token of the namespace's ServiceAccount, bound to a Pod if there is one."""
    spec: dict[str, Any] = {}
    if pod:
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"]}
        spec["boundObjectRef"] = {**bound, "uid": pod["metadata"]["uid"]}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    return str(cluster.create(path, {"spec": spec})["status"]["token"])


def is_answered(port: int) -> bool:
    try:
        return bool(fetch(port))
    except OSError:
        return False


def test_a_sidecar_may_be_there_first_and_have_no_token(
    installed: Installed, namespace: str, tmp_path: Path
) -> None:
    """kuma-dp with what the injector sets, before its Pod has an address; nobody else is in its namespace yet."""
    cluster, admin = installed.cluster, free_port()
    variables = {
        "POD_NAME": "web-1",
        "POD_NAMESPACE": namespace,
        "KUMA_DATAPLANE_NAME": f"web-1.{namespace}",
        "KUMA_DATAPLANE_MESH": "default",
        "KUMA_DATAPLANE_ADMIN_PORT": str(admin),
        "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH": str(tmp_path / "no-token-is-mounted"),
        "KUMA_CONTROL_PLANE_API_SERVER_URL": installed.cp.api_url,
    }
    clean = {key: value for key, value in os.environ.items() if not key.startswith("KUMA_")}
    log = tmp_path / "sidecar.log"
    with ExitStack() as stack:
        machine = Machine(installed.cp, tmp_path, stack)
        command = [*machine.kuma_dp, "run", "--log-level=info"]
        sidecar = Sidecar(start(command, log, stack, env=clean | variables), admin, log)
        eventually(lambda: "asking for the bootstrap" in log.read_text(), 60)
        port = machine.service("web")
        a_service(cluster, namespace, "web", (80, port))
        a_pod(cluster, namespace, "127.0.1.9", "web-1", port)
        eventually(sidecar.is_live, 60)
        eventually(lambda: fetch(port, host="127.0.1.9") == "web", 60)
    assert "no-token-is-mounted: No such file or directory. Without the token" in log.read_text()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_resource_is_served_as_it_was_applied(
    installed: Installed, namespace: str, name: str
) -> None:
    """Those of the HTTP API chapter, turned into manifests by ``kumactl`` and applied by ``kubectl``."""
    apply_documented(installed, namespace, "mesh")
    document = apply_documented(installed, namespace, name)
    expected = {**document, "name": f"{document['name']}.{namespace}"}
    place = f"/meshes/mesh-1/{DOCUMENTED[name]}/{expected['name']}"
    answer = eventually(lambda: (found := installed.cp.get(place)).status == 200 and found)
    assert answer.body == expected


DOCUMENTS = HELLO.parents[1] / "tests" / "conformance" / "data" / "seed"


def apply_documented(installed: Installed, namespace: str, name: str) -> Any:
    path = DOCUMENTS / f"{name}.json"
    command = [str(BIN / "kumactl"), "apply", "-f", str(path), "-o", "kubernetes"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    installed.cluster.kubectl("apply", "-n", namespace, "-f", "-", input=made)
    return json.loads(path.read_text())


def test_a_namespace_that_is_deleted_takes_its_part_of_the_mesh_along(
    installed: Installed, namespace: str
) -> None:
    cluster, going = installed.cluster, f"{namespace}-going"
    cluster.create("/api/v1/namespaces", {"metadata": {"name": going}})
    for where, ip in ((namespace, "192.168.0.6"), (going, "192.168.0.7")):
        a_service(cluster, where, "example", (80, 8080))
        a_pod(cluster, where, ip)
    every = [{"match": {"service": "*"}}]
    rule = {"sources": every, "destinations": every}
    apply(cluster, a_resource("TrafficPermission", "all", going, rule, "default"))
    path, called = f"{KUMA}/namespaces/{namespace}/dataplanes/example", f"example.{going}.svc:80"
    eventually(lambda: called in services_called(cluster.get(path)), 60)
    cluster.delete(f"/api/v1/namespaces/{going}")
    for kind, name in (("dataplanes", "example"), ("traffic-permissions", "all")):
        place = f"/meshes/default/{kind}/{name}.{going}"
        eventually(lambda place=place: installed.cp.get(place).status == 404, 120)
    eventually(lambda: called not in services_called(cluster.get(path)), 60)


def services_called(item: dict[str, Any]) -> list[str]:
    return [outbound["service"] for outbound in item["spec"]["networking"].get("outbound", ())]


def test_a_dataplane_goes_with_its_pod_and_an_insight_with_its_dataplane(
    installed: Installed, namespace: str
) -> None:
    """Late in this file: the garbage collector looks for new kinds every 30 seconds."""
    cluster = installed.cluster
    a_service(cluster, namespace, "example", (80, 8080))
    a_pod(cluster, namespace, "192.168.0.4")
    path = f"{KUMA}/namespaces/{namespace}"
    owner = eventually(lambda: cluster.get(f"{path}/dataplanes/example"), 60)
    key = ResourceKey("DataplaneInsight", "default", f"example.{namespace}")
    installed.cp.platform.core.store.create(key, '{"subscriptions":[]}')
    (reference,) = cluster.get(f"{path}/dataplaneinsights/example")["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["uid"]) == ("Dataplane", owner["metadata"]["uid"])
    cluster.delete(f"/api/v1/namespaces/{namespace}/pods/example?gracePeriodSeconds=0")
    for kind in ("dataplanes", "dataplaneinsights"):
        eventually(lambda kind=kind: _is_gone(cluster, f"{path}/{kind}/example"), 60)


def test_at_rest_it_asks_for_nothing_but_leases(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, controllers and certificates; Leases are renewed ten times a second here, so that it soon is seen.

    Watches are no questions: they stay open.
    """
    monkeypatch.setattr(components, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(leadership, "RENEW_SECONDS", 0.1)
    asked: list[str] = []
    ask = ApiClient.ask

    def noting(self: ApiClient, method: str, path: str, *rest: Any, **more: Any) -> Any:
        asked.append(path)
        return ask(self, method, path, *rest, **more)

    monkeypatch.setattr(ApiClient, "ask", noting)

    def is_at_rest() -> bool:
        last = asked[-60:]
        return len(last) == 60 and all("/leases" in path for path in last)

    eventually(is_at_rest, 60)


def test_it_never_asked_for_what_it_may_not_do(installed: Installed) -> None:
    """The control plane did all of the above under the role that is installed."""
    assert {kind.plural for kind in KUMA_0_3} >= {"meshes", "dataplanes"}
    assert installed.forbidden == []


def test_the_controllers_outlive_an_api_server(installed: Installed, namespace: str) -> None:
    """Behind the one above: an API server that comes up may say no for a moment."""
    cluster = installed.cluster
    a_service(cluster, namespace, "web", (80, 8080))
    with cluster.lost():
        assert installed.cp.get("/").status == 200
    a_pod(cluster, namespace, "192.168.0.5", "late")
    path = f"{KUMA}/namespaces/{namespace}/dataplanes/late"
    eventually(lambda: cluster.get(path), 60)
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        apply(cluster, a_resource("Greeting", "empty", namespace, {"text": ""}, "default"))
