"""Everything that ``kuma-dp run`` can be told: flags, environment variables, defaults, and their checks.

A flag wins over the environment, the environment over the default; where flag and environment differ, a
warning says so (in the original, the environment silently won).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from kuma_core.dataplane.ports import PortRange, parse_range
from kuma_core.dataplane.probe_targets import Probing, parse
from kuma_core.durations import SECOND, parse_duration
from kuma_core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to be told: ``flag`` is None where only an environment variable exists."""

    name: str
    flag: str | None
    env: str
    default: str
    metavar: str
    help: str


OPTIONS = (
    Option("name", "--name", "KUMA_DATAPLANE_NAME", "", "NAME", "Name of the Dataplane resource. Required."),
    Option("mesh", "--mesh", "KUMA_DATAPLANE_MESH", "default", "MESH", "Mesh of the Dataplane resource."),
    Option(
        "cp_address",
        "--cp-address",
        "KUMA_CONTROL_PLANE_API_SERVER_URL",
        "http://localhost:5681",
        "URL",
        "URL of the control plane's API server.",
    ),
    Option(
        "ca_cert_file",
        "--ca-cert-file",
        "KUMA_CONTROL_PLANE_CA_CERT_FILE",
        "",
        "FILE",
        "Root certificate to know the control plane by, PEM; it wins over what the bootstrap says. Print it "
        "with 'kumactl inspect control-plane-ca'.",
    ),
    Option(
        "admin_port",
        "--admin-port",
        "KUMA_DATAPLANE_ADMIN_PORT",
        "",
        "PORT|RANGE",
        "Port for Envoy's admin API on 127.0.0.1, or a range of which the first free port is taken: 9901, "
        "9901-9999, 9901- or -9901. Empty, - or 0: none over the network.",
    ),
    Option(
        "binary_path",
        "--binary-path",
        "KUMA_DATAPLANE_RUNTIME_BINARY_PATH",
        "envoy",
        "PATH",
        "Envoy's executable; without a slash it is looked up in PATH, beside kuma-dp and here.",
    ),
    Option(
        "config_dir",
        "--config-dir",
        "KUMA_DATAPLANE_RUNTIME_CONFIG_DIR",
        "",
        "DIRECTORY",
        "Where bootstrap.yaml is written and kept. Empty: a temporary directory.",
    ),
    Option(
        "token_file",
        "--dataplane-token-file",
        "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH",
        "",
        "FILE",
        "File that holds the token made by 'kumactl generate dataplane-token'.",
    ),
    Option(
        "log_directory",
        "--access-log-directory",
        "KUMA_DATAPLANE_RUNTIME_ACCESS_LOG_DIRECTORY",
        "",
        "DIRECTORY",
        "Folder below which the files of access logs have to be. Empty: where the control plane says, or anywhere.",
    ),
    Option(
        "drain_time",
        None,
        "KUMA_DATAPLANE_DRAIN_TIME",
        "30s",
        "DURATION",
        "How long Envoy lets connections of a listener that went away live on, and the end waits for open ones.",
    ),
    Option(
        "probes",
        None,
        "KUMA_DATAPLANE_PROBES",
        "",
        "JSON",
        "Probes of Kubernetes that are answered for the application; the injector writes it.",
    ),
    Option(
        "instance_ip", None, "INSTANCE_IP", "127.0.0.1", "IP", "Address of the Pod, for the Host of probes."
    ),
)

POD_VARIABLES = ("POD_NAME", "POD_NAMESPACE")
"""What the sidecar injector sets from the fields of the Pod; ``KUMA_DATAPLANE_NAME`` joins them there."""
POD = "pod"
"""Under which name the values have both, joined."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of one run; paths and URL as they were given."""

    name: str
    mesh: str
    cp_address: str
    ca_cert_file: str
    admin_ports: PortRange | None
    binary_path: str
    config_dir: str
    token_file: str
    log_directory: str
    drain_seconds: int
    is_of_a_pod: bool = False
    """Whether the Dataplane is that of the Pod we run in: a control plane makes it, once the Pod has an address."""
    probing: Probing | None = None
    instance_ip: str = ""


def resolve(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Choose a text for every option; give the texts by option name, and the warnings.

    A variable that is set but empty counts as set.
    """
    values: dict[str, str] = {}
    warnings: list[str] = []
    for option in OPTIONS:
        flag, env = flags.get(option.name), environ.get(option.env)
        values[option.name] = next((text for text in (flag, env) if text is not None), option.default)
        if flag is not None and env is not None and flag != env:
            warnings.append(f"{option.flag}={flag} is used, and {option.env}={env} is not; unset one of them")
    values[POD] = ".".join(filter(None, map(environ.get, POD_VARIABLES)))
    return values, warnings


class _Problems:
    """What is wrong, by section, in the order in which it was found."""

    def __init__(self) -> None:
        self._sections: dict[str, list[str]] = {}

    def add(self, section: str, problem: str) -> None:
        self._sections.setdefault(section, []).append(problem)

    def parsed(self, section: str, field: str, parse: Callable[[], object]) -> None:
        """Run a parser; what its ``ValueError`` says is the problem of ``field``."""
        try:
            parse()
        except ValueError as error:
            self.add(section, f"{field}: {error}")

    def __str__(self) -> str:
        return "; ".join(f"{name} is not valid: {'; '.join(texts)}" for name, texts in self._sections.items())


def check(values: Mapping[str, str]) -> Settings:
    """Turn the chosen texts into settings, or raise ``ConfigError`` with every problem in one sentence.

    The sentence names fields as Kuma 0.3.1 did, ``.Dataplane: .Mesh must be non-empty``.
    """
    problems = _Problems()
    _check_address(values["cp_address"], problems)
    _check_dataplane(values, problems)
    if (folder := values["log_directory"]) and not (os.path.isabs(folder) and os.path.isdir(folder)):
        problems.add(
            ".DataplaneRuntime", f'.AccessLogDirectory "{folder}" must be an absolute path of a folder'
        )
    problems.parsed(".DataplaneRuntime", ".Probes", lambda: parse(values["probes"]))
    if not values["binary_path"]:
        problems.add(".DataplaneRuntime", ".BinaryPath must be non-empty")
    if text := str(problems):
        raise ConfigError(f"Invalid configuration: {text}\n{_NEXT_STEP}")
    return _settings(values)


_NEXT_STEP = "Run 'kuma-dp run --help' for the flag and the environment variable of each."


def _check_address(url: str, problems: _Problems) -> None:
    if not url:
        problems.add(".ControlPlane", ".ApiServer is not valid: .URL must be non-empty")
    elif not is_absolute_url(url):
        problems.add(".ControlPlane", ".ApiServer is not valid: .URL must be a valid absolute URI")


def _check_dataplane(values: Mapping[str, str], problems: _Problems) -> None:
    section = ".Dataplane"
    if not values["mesh"]:
        problems.add(section, ".Mesh must be non-empty")
    if not values["name"]:
        problems.add(section, ".Name must be non-empty")
    problems.parsed(section, ".AdminPort", lambda: parse_range(values["admin_port"]))
    try:
        if parse_duration(values["drain_time"]) <= 0:
            problems.add(section, ".DrainTime must be positive")
    except ValueError as error:
        problems.add(section, f".DrainTime: {error}")


def is_absolute_url(url: str) -> bool:
    """Whether it is an ``http`` or ``https`` URL with a host, and with a port that exists if it names one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _settings(values: Mapping[str, str]) -> Settings:
    return Settings(
        name=values["name"],
        mesh=values["mesh"],
        cp_address=values["cp_address"],
        ca_cert_file=values["ca_cert_file"],
        admin_ports=parse_range(values["admin_port"]),
        binary_path=values["binary_path"],
        config_dir=values["config_dir"],
        token_file=values["token_file"],
        log_directory=values["log_directory"],
        drain_seconds=parse_duration(values["drain_time"]) // SECOND,
        is_of_a_pod=_is_of_a_pod(values),
        probing=parse(values["probes"]),
        instance_ip=values["instance_ip"],
    )


def _is_of_a_pod(values: Mapping[str, str]) -> bool:
    """Whether the Dataplane is named after our Pod. Who runs in a Pod, and applies a Dataplane of another name by hand,
    is told that it is missing, as on any machine."""
    pod = values.get(POD, "")
    return "." in pod and values["name"] == pod
