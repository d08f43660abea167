"""The injector's parts, for those who name an image of it."""

from __future__ import annotations

from typing import Any

from kuma_store_k8s.install.choices import INJECTOR, USER, Choices

CONFIG = "/etc/kuma.io/kuma-injector"
CERTIFICATES = "/var/run/secrets/kuma.io/kuma-injector/tls-cert"

Object = dict[str, Any]

_CONFIG = f"""\
injector:
  sidecarContainer:
    redirectPort: 15001
    uid: {USER}
    gid: {USER}
    adminPort: 9901
    drainTime: 30s
    readinessProbe:
      initialDelaySeconds: 1
      timeoutSeconds: 3
      periodSeconds: 5
      successThreshold: 1
      failureThreshold: 12
    livenessProbe:
      initialDelaySeconds: 60
      timeoutSeconds: 3
      periodSeconds: 5
      failureThreshold: 12
    resources:
      requests:
        cpu: 50m
        memory: 64Mi
      limits:
        cpu: 1000m
        memory: 512Mi
"""


def injector_config() -> str:
    """Its configuration file, with the defaults of what an operator may want to change."""
    return _CONFIG


def injector_service(choices: Choices) -> Object:
    """Where the API server finds it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": choices.injector_service, "namespace": choices.namespace},
        "spec": {
            "selector": {"app": INJECTOR},
            "ports": [{"port": 443, "name": "https", "targetPort": 8443}],
        },
    }


def injector_deployment(choices: Choices) -> tuple[Object, list[Object]]:
    """Its container, and the volumes of its Pod."""
    probe = {"port": 8443, "scheme": "HTTPS"}
    container = {
        "name": INJECTOR,
        "image": choices.tagged(choices.injector_image),
        "imagePullPolicy": choices.pull_policy,
        "args": ["run", "--log-level=info", f"--config-file={CONFIG}/config.yaml"],
        "env": [{"name": name, "value": value} for name, value in _environment(choices).items()],
        "ports": [{"containerPort": 8443}],
        "livenessProbe": {"httpGet": {"path": "/healthy", **probe}, "timeoutSeconds": 3},
        "readinessProbe": {"httpGet": {"path": "/ready", **probe}, "timeoutSeconds": 3},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
            {"name": "tls-cert", "mountPath": CERTIFICATES, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    return container, [
        {"name": "config", "configMap": {"name": f"{INJECTOR}-config"}},
        {"name": "tls-cert", "secret": {"secretName": "kuma-injector-tls-cert", "items": _pair()}},
        {"name": "tmp", "emptyDir": {}},
    ]


def _pair() -> list[Object]:
    """Of the Secret, which the control plane makes: not the key of the root that signed."""
    return [{"key": name, "path": name} for name in ("tls.crt", "tls.key")]


def _environment(choices: Choices) -> dict[str, str]:
    start = "KUMA_INJECTOR_"
    return {
        f"{start}WEBHOOK_SERVER_PORT": "8443",
        f"{start}WEBHOOK_SERVER_CERT_DIR": CERTIFICATES,
        f"{start}CONTROL_PLANE_API_SERVER_URL": f"http://{choices.service}.{choices.namespace}:5681",
        f"{start}SIDECAR_CONTAINER_IMAGE": choices.tagged(choices.sidecar_image),
        f"{start}INIT_CONTAINER_IMAGE": choices.tagged(choices.init_image),
    }
