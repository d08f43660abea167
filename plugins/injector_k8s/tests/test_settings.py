"""The keys and variables of kuma-injector."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kuma_core.sdk import ConfigError, Setting
from kuma_injector_k8s import settings
from kuma_injector_k8s.settings import SIDECAR
from kuma_store_k8s.install.injector import injector_config

from .samples import config

START = "KUMA_INJECTOR_"
PLACE = Path(settings.__file__).parent
PAGE = (Path(__file__).parents[3] / "docs/reference/kubernetes.md").read_text()


def test_the_defaults_are_those_of_kuma_0_3() -> None:
    found = config()
    values = {setting.path: found.shown(setting) for setting in settings.SETTINGS}
    assert values == {
        "webHookServer.address": "",
        "webHookServer.port": 8443,
        "webHookServer.certDir": "/certificates",
        "injector.controlPlane.apiServer.url": "http://kuma-control-plane.kuma-system:5681",
        f"{SIDECAR}.image": "kuma/kuma-dp:latest",
        f"{SIDECAR}.redirectPort": 15001,
        f"{SIDECAR}.uid": 5678,
        f"{SIDECAR}.gid": 5678,
        f"{SIDECAR}.adminPort": 9901,
        f"{SIDECAR}.drainTime": "30s",
        f"{SIDECAR}.readinessProbe.initialDelaySeconds": 1,
        f"{SIDECAR}.readinessProbe.timeoutSeconds": 3,
        f"{SIDECAR}.readinessProbe.periodSeconds": 5,
        f"{SIDECAR}.readinessProbe.successThreshold": 1,
        f"{SIDECAR}.readinessProbe.failureThreshold": 12,
        f"{SIDECAR}.livenessProbe.initialDelaySeconds": 60,
        f"{SIDECAR}.livenessProbe.timeoutSeconds": 3,
        f"{SIDECAR}.livenessProbe.periodSeconds": 5,
        f"{SIDECAR}.livenessProbe.failureThreshold": 12,
        f"{SIDECAR}.resources.requests.cpu": "50m",
        f"{SIDECAR}.resources.requests.memory": "64Mi",
        f"{SIDECAR}.resources.limits.cpu": "1000m",
        f"{SIDECAR}.resources.limits.memory": "512Mi",
        "injector.initContainer.image": "kuma/kuma-init:latest",
        "injector.nativeSidecars": False,
        "injector.virtualProbesEnabled": True,
        "injector.virtualProbesPort": 9000,
        "injector.leavingHooksEnabled": True,
        "injector.tokenAudience": "",
    }


@pytest.mark.parametrize("name", ["GUI", "GID"])
def test_the_group_has_two_spellings(name: str) -> None:
    found = config({f"{START}SIDECAR_CONTAINER_{name}": "9"})
    assert found.number(f"{SIDECAR}.gid") == 9


def test_the_right_spelling_wins() -> None:
    start = f"{START}SIDECAR_CONTAINER_"
    assert config({f"{start}GUI": "8", f"{start}GID": "9"}).number(f"{SIDECAR}.gid") == 9


@pytest.mark.parametrize(
    ("variable", "path", "text", "value"),
    [
        (
            "SIDECAR_CONTAINER_READINESS_PROBE_INITIAL_DELAY_SECONDS",
            "readinessProbe.initialDelaySeconds",
            "2",
            2,
        ),
        ("SIDECAR_CONTAINER_LIVENESS_PROBE_FAILURE_THRESHOLD", "livenessProbe.failureThreshold", "3", 3),
        ("SIDECAR_CONTAINER_RESOURCES_LIMITS_CPU", "resources.limits.cpu", "2", "2"),
        ("SIDECAR_CONTAINER_DRAIN_TIME", "drainTime", "1m", 60 * 10**9),
    ],
)
def test_the_environment_wins_over_the_file(variable: str, path: str, text: str, value: object) -> None:
    assert config({START + variable: text}).value(f"{SIDECAR}.{path}") == value


def test_the_file_of_the_installation_is_understood() -> None:
    import yaml

    assert config(document=yaml.safe_load(injector_config())).warnings == ()


def test_everything_that_is_wrong_is_told_at_once() -> None:
    environ = {
        "WEBHOOK_SERVER_ADDRESS": "here",
        "WEBHOOK_SERVER_PORT": "70000",
        "WEBHOOK_SERVER_CERT_DIR": "",
        "CONTROL_PLANE_API_SERVER_URL": "nowhere",
        "SIDECAR_CONTAINER_IMAGE": "",
        "SIDECAR_CONTAINER_UID": "-1",
        "SIDECAR_CONTAINER_DRAIN_TIME": "0s",
        "SIDECAR_CONTAINER_READINESS_PROBE_PERIOD_SECONDS": "0",
        "SIDECAR_CONTAINER_RESOURCES_LIMITS_CPU": "much",
        "INIT_CONTAINER_IMAGE": "",
        "VIRTUAL_PROBES_PORT": "0",
    }
    with pytest.raises(ConfigError) as caught:
        config({START + name: value for name, value in environ.items()})
    assert str(caught.value) == (
        "Invalid configuration: .WebHookServer is not valid: .Address must be either empty or a valid IPv4/IPv6 "
        "address; .Port must be in the range [0, 65535]; .CertDir must be non-empty (set "
        "KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR); .Injector is not valid: .ControlPlane is not valid: .ApiServer is "
        "not valid: .URL must be a valid absolute URI; .SidecarContainer is not valid: .Image must be non-empty; "
        ".UID must be in the range [0, 2147483647]; .DrainTime must be positive; .ReadinessProbe is not valid: "
        ".PeriodSeconds must be >= 1; .Resources is not valid: .Limits is not valid: .CPU must be a quantity such as "
        "100m or 64Mi; .InitContainer is not valid: .Image must be non-empty; .VirtualProbesPort must be in the "
        "range [1, 65535]"
    )


def test_every_setting_has_its_row_in_the_reference() -> None:
    assert [row for row in map(row_of, settings.SETTINGS) if row not in PAGE] == []


def row_of(setting: Setting) -> str:
    """What a setting's row has to be."""
    names = ", ".join(f"`{name.removeprefix(START)}`" for name in (setting.env, *setting.aliases))
    shown = setting.type.show(setting.default)
    default = str(shown).lower() if isinstance(shown, bool) else str(shown)
    return f"| `{setting.path}` | {names} | {f'`{default}`' if default else 'empty'} | {setting.help} |\n"


def test_every_line_of_the_log_has_its_row() -> None:
    text = " ".join(path.read_text() for path in PLACE.rglob("*.py"))
    told = set(re.findall(r'log\.(info|warning)\(\s*"([^"]+)"', text))
    assert len(told) > 5
    rows = set(re.findall(r"^\| (info|warning) \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert rows == told
