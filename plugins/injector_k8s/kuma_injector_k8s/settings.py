"""What ``kuma-injector`` can be told: keys and variables of Kuma 0.3, a few of our own, and their checks."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from kuma_core.sdk import DURATION, FLAG, NUMBER, TEXT, Config, ConfigError, Setting
from kuma_core.sdk.programs import build_config

PREFIX = "KUMA_INJECTOR_"

ADDRESS, PORT, CERT_DIR = "webHookServer.address", "webHookServer.port", "webHookServer.certDir"
URL = "injector.controlPlane.apiServer.url"
SIDECAR, INIT = "injector.sidecarContainer", "injector.initContainer"
NATIVE = "injector.nativeSidecars"
PROBES, PROBES_PORT = "injector.virtualProbesEnabled", "injector.virtualProbesPort"
HOOKS = "injector.leavingHooksEnabled"
AUDIENCE = "injector.tokenAudience"

LARGEST_ID = 2**31 - 1
"""The largest uid and gid that the API server takes."""

_QUANTITY = re.compile(r"[+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+|[numkMGTPE]|[KMGTPE]i)?", re.ASCII)


def _of_sidecar(key: str, variable: str, default: Any, help_: str, *aliases: str) -> Setting:
    kind = NUMBER if isinstance(default, int) else TEXT
    return _setting(f"{SIDECAR}.{key}", f"SIDECAR_CONTAINER_{variable}", default, kind, help_, *aliases)


def _setting(path: str, variable: str, default: Any, kind: Any, help_: str, *aliases: str) -> Setting:
    names = tuple(PREFIX + name for name in aliases)
    return Setting(path, PREFIX + variable, default, kind, help_, "Injector", aliases=names)


READINESS: Final = {"initialDelaySeconds": 1, "timeoutSeconds": 3, "periodSeconds": 5, "successThreshold": 1}
LIVENESS: Final = {"initialDelaySeconds": 60, "timeoutSeconds": 3, "periodSeconds": 5}
RESOURCES: Final = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"cpu": "1000m", "memory": "512Mi"},
}


def _probes() -> Iterator[Setting]:
    for name, numbers in (("readinessProbe", READINESS), ("livenessProbe", LIVENESS)):
        for key, default in {**numbers, "failureThreshold": 12}.items():
            words = f"`{key}` of the sidecar's {name}."
            yield _of_sidecar(f"{name}.{key}", f"{_snake(name)}_{_snake(key)}", default, words)


def _resources() -> Iterator[Setting]:
    for part, amounts in RESOURCES.items():
        for name, default in amounts.items():
            variable = f"RESOURCES_{part}_{name}".upper()
            yield _of_sidecar(
                f"resources.{part}.{name}", variable, default, f"`{part}.{name}` of the sidecar's resources."
            )


def _snake(text: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", text).upper()


SETTINGS: tuple[Setting, ...] = (
    _setting(ADDRESS, "WEBHOOK_SERVER_ADDRESS", "", TEXT, "Address to listen on. Empty: all."),
    _setting(PORT, "WEBHOOK_SERVER_PORT", 8443, NUMBER, "Port to listen on. 0: one that is free."),
    _setting(
        CERT_DIR,
        "WEBHOOK_SERVER_CERT_DIR",
        "",
        TEXT,
        "Folder with `tls.crt` and `tls.key`, looked at with each handshake. Required.",
    ),
    _setting(
        URL,
        "CONTROL_PLANE_API_SERVER_URL",
        "http://kuma-control-plane.kuma-system:5681",
        TEXT,
        "Where sidecars ask the control plane's API server.",
    ),
    _of_sidecar("image", "IMAGE", "kuma/kuma-dp:latest", "Image of the sidecar."),
    _of_sidecar("redirectPort", "REDIRECT_PORT", 15001, "Where the Pod's traffic is redirected to."),
    _of_sidecar("uid", "UID", 5678, "User of the sidecar, whose traffic is not redirected."),
    _of_sidecar(
        "gid",
        "GID",
        5678,
        "Group of the sidecar. Kuma 0.3 reads the second variable.",
        "SIDECAR_CONTAINER_GUI",
    ),
    _of_sidecar("adminPort", "ADMIN_PORT", 9901, "Port of Envoy's admin API in the Pod."),
    _setting(
        f"{SIDECAR}.drainTime",
        "SIDECAR_CONTAINER_DRAIN_TIME",
        30 * 10**9,
        DURATION,
        "How long Envoy lets connections of a listener that went away live on.",
    ),
    *_probes(),
    *_resources(),
    _setting(
        f"{INIT}.image",
        "INIT_CONTAINER_IMAGE",
        "kuma/kuma-init:latest",
        TEXT,
        "Image that sets up the redirection.",
    ),
    _setting(
        NATIVE,
        "NATIVE_SIDECARS",
        False,
        FLAG,
        "Whether the sidecar is a native one: an init container with `restartPolicy: Always`, which "
        "needs version 1.29 or later of Kubernetes.",
    ),
    _setting(
        PROBES,
        "VIRTUAL_PROBES_ENABLED",
        True,
        FLAG,
        "Whether HTTP and TCP probes of containers go to the sidecar, so that they work in an encrypted mesh.",
    ),
    _setting(
        PROBES_PORT, "VIRTUAL_PROBES_PORT", 9000, NUMBER, "Port of the sidecar for them, and for hooks."
    ),
    _setting(
        HOOKS,
        "LEAVING_HOOKS_ENABLED",
        True,
        FLAG,
        "Whether containers that are to end wait until others call the Pod no more (`preStop`).",
    ),
    _setting(
        AUDIENCE,
        "TOKEN_AUDIENCE",
        "",
        TEXT,
        "Audience of the tokens of sidecars, which the control plane has to ask for, too. "
        "Empty: sidecars show the token that the Pod mounts.",
    ),
)


def read(document: Mapping[str, Any], file: str, environ: Mapping[str, str]) -> Config:
    """The settings from a file's content and the environment, which wins.

    Raises ConfigError, in the words of Kuma 0.3, with all that is wrong.
    """
    config = build_config(SETTINGS, document, file, environ)
    found = [*_sections(config)]
    if found:
        raise ConfigError("Invalid configuration: " + "; ".join(found))
    return config


def _sections(config: Config) -> Iterator[str]:
    for name, problems in (
        (".WebHookServer", _server(config)),
        (".Injector", _injector(config)),
    ):
        if text := "; ".join(problems):
            yield f"{name} is not valid: {text}"


def _server(config: Config) -> Iterator[str]:
    address = config.text(ADDRESS)
    if address and not _is_ip(address):
        yield ".Address must be either empty or a valid IPv4/IPv6 address"
    yield from _port(config, PORT, ".Port")
    if not config.text(CERT_DIR):
        yield f".CertDir must be non-empty (set {PREFIX}WEBHOOK_SERVER_CERT_DIR)"


def _injector(config: Config) -> Iterator[str]:
    if not _is_url(config.text(URL)):
        yield ".ControlPlane is not valid: .ApiServer is not valid: .URL must be a valid absolute URI"
    if text := "; ".join(_sidecar(config)):
        yield f".SidecarContainer is not valid: {text}"
    if not config.text(f"{INIT}.image"):
        yield ".InitContainer is not valid: .Image must be non-empty"
    if config.flag(PROBES) or config.flag(HOOKS):
        yield from _port(config, PROBES_PORT, ".VirtualProbesPort", 1)


def _sidecar(config: Config) -> Iterator[str]:
    if not config.text(f"{SIDECAR}.image"):
        yield ".Image must be non-empty"
    yield from _port(config, f"{SIDECAR}.redirectPort", ".RedirectPort")
    for key in ("uid", "gid"):
        if not 0 <= config.number(f"{SIDECAR}.{key}") <= LARGEST_ID:
            yield f".{key.upper()} must be in the range [0, {LARGEST_ID}]"
    yield from _port(config, f"{SIDECAR}.adminPort", ".AdminPort")
    if config.value(f"{SIDECAR}.drainTime") <= 0:
        yield ".DrainTime must be positive"
    for name in ("readinessProbe", "livenessProbe"):
        if text := "; ".join(_too_small(config, name)):
            yield f"{_title(name)} is not valid: {text}"
    if text := "; ".join(_odd_amounts(config)):
        yield f".Resources is not valid: {text}"


def _too_small(config: Config, probe: str) -> Iterator[str]:
    start = f"{SIDECAR}.{probe}."
    for setting in SETTINGS:
        if setting.path.startswith(start) and config.number(setting.path) < 1:
            yield f"{_title(setting.path.removeprefix(start))} must be >= 1"


def _odd_amounts(config: Config) -> Iterator[str]:
    for part, amounts in RESOURCES.items():
        for name in amounts:
            if not _QUANTITY.fullmatch(config.text(f"{SIDECAR}.resources.{part}.{name}")):
                yield f"{_title(part)} is not valid: {_title(name)} must be a quantity such as 100m or 64Mi"


def _title(key: str) -> str:
    return "." + ("CPU" if key == "cpu" else key[:1].upper() + key[1:])


def _port(config: Config, path: str, name: str, least: int = 0) -> Iterator[str]:
    if not least <= config.number(path) <= 65535:
        yield f"{name} must be in the range [{least}, 65535]"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
