"""The two containers that a Pod gets. The tables of Kuma 0.3 say what is in them; Pod Security asks for the rest."""

from __future__ import annotations

import json
from typing import Any

from kuma_core.sdk import Config
from kuma_core.sdk.programs import format_duration
from kuma_injector_k8s import settings
from kuma_injector_k8s.injection.leaving import READY, of_sidecar
from kuma_injector_k8s.injection.pods import INIT, SIDECAR, Object, is_gateway
from kuma_injector_k8s.injection.probes import Rewritten
from kuma_injector_k8s.injection.token import Token

Made = dict[str, Any]


def sidecar(mesh: str, config: Config, token: Token, probes: Rewritten, native: bool) -> Made:
    """The container of the proxy; ``native`` as an init container that goes on running."""
    admin = f"http://localhost:{_number(config, 'adminPort')}"
    made: Made = {
        "name": SIDECAR,
        "image": _text(config, "image"),
        "imagePullPolicy": "IfNotPresent",
        "args": ["run", "--log-level=info"],
        "env": [
            *_FIELDS,
            *({"name": k, "value": v} for k, v in _environment(mesh, config, token, probes).items()),
        ],
        "securityContext": _of_nobody(config),
        "livenessProbe": _probe(config, "livenessProbe", admin),
        "readinessProbe": _probe(config, "readinessProbe", admin),
        "resources": {
            part: {name: _text(config, f"resources.{part}.{name}") for name in amounts}
            for part, amounts in settings.RESOURCES.items()
        },
    }
    if token.mount:
        made["volumeMounts"] = [token.mount]
    if native:
        started = {"timeoutSeconds": 3, "periodSeconds": 1, "failureThreshold": 60}
        made |= {"restartPolicy": "Always", "startupProbe": {**_wget(f"{admin}/ready"), **started}}
    elif probes.leaving:
        made |= of_sidecar(probes.port, probes.leaving)
    return made


def init(pod: Object, config: Config, probes: Rewritten) -> Made:
    """The container that sets up the redirection, before any other that is to be in the mesh."""
    exempt = ["-d", str(probes.port)] if probes.port else []
    return {
        "name": INIT,
        "image": config.text(f"{settings.INIT}.image"),
        "imagePullPolicy": "IfNotPresent",
        "args": [
            *("-p", str(_number(config, "redirectPort"))),
            *("-u", str(_number(config, "uid"))),
            *("-g", str(_number(config, "gid"))),
            *("-m", "REDIRECT"),
            *("-i", "*"),
            *exempt,
            *("-b", "" if is_gateway(pod) else "*"),
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "runAsNonRoot": False,
            "runAsUser": 0,
        },
        "resources": {
            "requests": {"cpu": "10m", "memory": "10M"},
            "limits": {"cpu": "100m", "memory": "50M"},
        },
    }


def _field(name: str, path: str) -> Made:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


_FIELDS = (
    _field("POD_NAME", "metadata.name"),
    _field("POD_NAMESPACE", "metadata.namespace"),
    _field("INSTANCE_IP", "status.podIP"),
)


def _environment(mesh: str, config: Config, token: Token, probes: Rewritten) -> dict[str, str]:
    made = {
        "KUMA_CONTROL_PLANE_API_SERVER_URL": config.text(settings.URL),
        "KUMA_DATAPLANE_MESH": mesh,
        "KUMA_DATAPLANE_NAME": "$(POD_NAME).$(POD_NAMESPACE)",  # the kubelet knows the name, we may not
        "KUMA_DATAPLANE_ADMIN_PORT": str(_number(config, "adminPort")),
        "KUMA_DATAPLANE_DRAIN_TIME": format_duration(config.value(f"{settings.SIDECAR}.drainTime")),
        "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH": token.path,
    }
    if probes.port:
        told = {"port": probes.port, "targets": probes.targets}
        told |= {"leaving": probes.leaving, "ready": READY} if probes.leaving else {}
        text = json.dumps(told, separators=(",", ":"), sort_keys=True)
        made["KUMA_DATAPLANE_PROBES"] = text.replace("$", "$$")  # the kubelet expands $(NAME)
    return made


def _of_nobody(config: Config) -> Made:
    uid, gid = _number(config, "uid"), _number(config, "gid")
    made: Made = {"runAsUser": uid, "runAsGroup": gid, "allowPrivilegeEscalation": False}
    made |= {"capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    return {**made, "runAsNonRoot": True} if uid else made


def _probe(config: Config, name: str, url: str) -> Made:
    start = f"{settings.SIDECAR}.{name}."
    numbers = {
        setting.path.removeprefix(start): config.number(setting.path)
        for setting in settings.SETTINGS
        if setting.path.startswith(start)
    }
    return {**_wget(url), "successThreshold": 1, **numbers}


def _wget(url: str) -> Made:
    return {"exec": {"command": ["wget", "-qO-", url]}}


def _text(config: Config, key: str) -> str:
    return config.text(f"{settings.SIDECAR}.{key}")


def _number(config: Config, key: str) -> int:
    return config.number(f"{settings.SIDECAR}.{key}")
