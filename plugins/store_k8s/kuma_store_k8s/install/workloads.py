"""The Deployments, and what they need in their namespace. Each keeps the *restricted* level of Pod Security."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from kuma_store_k8s.install.choices import CONTROL_PLANE, INJECTOR, USER, Choices, Pair
from kuma_store_k8s.install.injector import injector_config, injector_deployment, injector_service

ADMISSION_CERTIFICATES = "/var/run/secrets/kuma.io/kuma-admission-server/tls-cert"
SDS_CERTIFICATES = "/var/run/secrets/kuma.io/kuma-sds/tls-cert"
CONFIG = "/etc/kuma.io/kuma-control-plane"

PORTS = (
    (443, "https-admission-server", 5443),
    (5677, "grpc-sds", 5677),
    (5678, "grpc-xds", 5678),
    (5679, "http-xds", 5679),
    (5681, "http-api-server", 5681),
    (5682, "http-bootstrap-server", 5682),
    (5683, "gui-server", 5683),
    (5685, "http-events", 5685),
)
"""Ports of the Service, their names, and where they lead; the admin server behind 5679 takes nobody from elsewhere."""

Object = dict[str, Any]


def namespace(choices: Choices) -> Object:
    """The namespace, in which only Pods of the restricted level start."""
    level = "restricted"
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn", "audit")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": choices.namespace, "labels": labels},
    }


def secrets(choices: Choices) -> Iterator[Object]:
    """The pairs that came by flags; without any, no key is in a manifest."""
    given = (
        ("kuma-sds-tls-cert", choices.sds),
        ("kuma-admission-server-tls-cert", choices.admission),
        ("kuma-injector-tls-cert", choices.injector if choices.injector_image else Pair()),
    )
    for name, found in given:
        if found:
            data = {"tls.crt": _base64(found.certificate), "tls.key": _base64(found.key)}
            made = {"apiVersion": "v1", "kind": "Secret", "metadata": _named(choices, name)}
            yield {**made, "type": "kubernetes.io/tls", "data": data}


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _named(choices: Choices, name: str) -> Object:
    return {"name": name, "namespace": choices.namespace}


def config_maps(choices: Choices) -> Iterator[Object]:
    """The configuration files of the programs."""
    text = "# Settings of kuma-cp. Environment variables of the Deployment win over this file.\n"
    yield _config_map(choices, f"{CONTROL_PLANE}-config", text)
    if choices.injector_image:
        yield _config_map(choices, f"{INJECTOR}-config", injector_config())


def _config_map(choices: Choices, name: str, text: str) -> Object:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(choices, name)}
    return {**made, "data": {"config.yaml": text}}


def accounts(choices: Choices) -> Iterator[Object]:
    """The ServiceAccounts."""
    for name in (INJECTOR, CONTROL_PLANE) if choices.injector_image else (CONTROL_PLANE,):
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(choices, name)}


def services(choices: Choices) -> Iterator[Object]:
    """The Services."""
    if choices.injector_image:
        yield injector_service(choices)
    ports = [{"port": port, "name": name, "targetPort": target} for port, name, target in PORTS]
    made = {"apiVersion": "v1", "kind": "Service", "metadata": _named(choices, choices.service)}
    yield {**made, "spec": {"selector": {"app": CONTROL_PLANE}, "ports": ports}}


def budgets(choices: Choices) -> Iterator[Object]:
    """Whoever empties a node takes one control plane at a time; a single one does not hold him up."""
    yield {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _named(choices, CONTROL_PLANE),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": CONTROL_PLANE}}},
    }


# -- the Deployments

NODE_SECONDS = 5
"""Within which all nodes have heard who answers for a Service. As long, a Pod that is ready counts for nothing, and one
that is to end still answers: a question that reaches nobody would cost a Pod its sidecar, or refuse a write."""


def deployments(choices: Choices) -> Iterator[Object]:
    """The control plane, and the injector if there is one."""
    yield deployment(choices, CONTROL_PLANE, _container(choices), _volumes(choices), choices.replicas)
    if choices.injector_image:
        container, volumes = injector_deployment(choices)
        yield deployment(choices, INJECTOR, container, volumes)


def deployment(
    choices: Choices, name: str, container: Object, volumes: list[Object], replicas: int | None = None
) -> Object:
    """A Deployment of one container, replaced without a gap."""
    labels = {"app": name}
    spec: Object = {
        "selector": {"matchLabels": labels},
        "minReadySeconds": NODE_SECONDS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": name,
                "enableServiceLinks": False,  # variables such as KUMA_CONTROL_PLANE_PORT are none of our settings
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": USER,
                    "runAsGroup": USER,
                    "fsGroup": USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{**container, "lifecycle": {"preStop": {"sleep": {"seconds": NODE_SECONDS}}}}],
                "volumes": volumes,
            },
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _named(choices, name), "spec": spec}


def _container(choices: Choices) -> Object:
    return {
        "name": "control-plane",
        "image": choices.tagged(choices.image),
        "imagePullPolicy": choices.pull_policy,
        "args": ["run", "--log-level=info", f"--config-file={CONFIG}/config.yaml"],
        "env": [{"name": name, "value": value} for name, value in _environment(choices).items()],
        "ports": [{"containerPort": target} for _, _, target in PORTS],
        "startupProbe": {**_probe("/healthy"), "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {**_probe("/healthy"), "periodSeconds": 10, "failureThreshold": 3},
        "readinessProbe": {**_probe("/ready"), "periodSeconds": 5, "failureThreshold": 2},
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": _mounts(choices),
    }


def _probe(path: str) -> Object:
    return {"httpGet": {"path": path, "port": 5680}, "timeoutSeconds": 3}


def _environment(choices: Choices) -> dict[str, str]:
    made = {
        "KUMA_ENVIRONMENT": "kubernetes",
        "KUMA_STORE_TYPE": "kubernetes",
        "KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE": choices.namespace,
        "KUMA_GENERAL_ADVERTISED_HOSTNAME": f"{choices.service}.{choices.namespace}",
        "KUMA_SDS_SERVER_GRPC_PORT": "5677",
        "KUMA_XDS_SERVER_GRPC_PORT": "5678",
        "KUMA_API_SERVER_PORT": "5681",
        "KUMA_API_SERVER_READ_ONLY": "true",
        "KUMA_BOOTSTRAP_SERVER_PORT": "5682",
        "KUMA_KUBERNETES_ADMISSION_SERVER_PORT": "5443",
        "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": ADMISSION_CERTIFICATES,
    }
    if choices.sds:
        made["KUMA_SDS_SERVER_TLS_CERT_FILE"] = f"{SDS_CERTIFICATES}/tls.crt"
        made["KUMA_SDS_SERVER_TLS_KEY_FILE"] = f"{SDS_CERTIFICATES}/tls.key"
    return made


def _mounts(choices: Choices) -> list[Object]:
    """The certificate of admission is a copy, in memory, which the program takes from its Secret and keeps new."""
    mounts: list[Object] = [
        {"name": "config", "mountPath": CONFIG, "readOnly": True},
        {"name": "admission-tls-cert", "mountPath": ADMISSION_CERTIFICATES},
        {"name": "run", "mountPath": "/run/kuma-cp"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if choices.sds:
        mounts.append({"name": "sds-tls-cert", "mountPath": SDS_CERTIFICATES, "readOnly": True})
    return mounts


def _volumes(choices: Choices) -> list[Object]:
    volumes: list[Object] = [
        {"name": "config", "configMap": {"name": f"{CONTROL_PLANE}-config"}},
        {"name": "admission-tls-cert", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "run", "emptyDir": {"sizeLimit": "1Mi"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if choices.sds:
        volumes.append({"name": "sds-tls-cert", "secret": {"secretName": "kuma-sds-tls-cert"}})
    return volumes
