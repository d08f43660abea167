"""Probes of the application are asked by way of the sidecar."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .samples import config, container, environment, injected, pod


def probed(probes: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = pod()
    item["spec"]["containers"][0] |= probes
    item["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
    return injected(item, **more)


def told(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(environment(item)["KUMA_DATAPLANE_PROBES"].replace("$$", "$"))
    return found


def test_an_http_probe_asks_the_sidecar_which_asks_the_application() -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTPS"}, "periodSeconds": 7}
    probe["httpGet"]["httpHeaders"] = [{"name": "X-Probe", "value": "$(SECRET)"}]
    found = probed({"readinessProbe": {**probe, "timeoutSeconds": 4}})
    assert container(found, "app")["readinessProbe"] == {
        "httpGet": {"path": "/app/readinessProbe", "port": 9000, "scheme": "HTTP"},
        "periodSeconds": 7,
        "timeoutSeconds": 4,
    }
    target = {"port": 8080, "path": "/healthz", "scheme": "HTTPS", "timeout": 4}
    target["headers"] = [["X-Probe", "$(SECRET)"]]
    assert told(found) == {"port": 9000, "targets": {"/app/readinessProbe": target}}
    assert "$$(SECRET)" in environment(found)["KUMA_DATAPLANE_PROBES"], "the kubelet would expand it"


def test_a_tcp_probe_asks_the_sidecar_which_connects() -> None:
    found = probed({"livenessProbe": {"tcpSocket": {"port": 8080}}})
    assert container(found, "app")["livenessProbe"] == {
        "httpGet": {"path": "/app/livenessProbe", "port": 9000, "scheme": "HTTP"}
    }
    assert told(found)["targets"] == {"/app/livenessProbe": {"port": 8080, "timeout": 1}}


def test_the_port_of_probes_is_not_redirected() -> None:
    found = probed({"startupProbe": {"httpGet": {"port": 8080}}})
    assert container(found, "kuma-init")["args"][-4:] == ["-d", "9000", "-b", "*"]
    assert "-d" not in container(injected(pod()), "kuma-init")["args"]


def test_names_of_ports_are_looked_up() -> None:
    found = probed({"livenessProbe": {"tcpSocket": {"port": "http"}}})
    assert told(found)["targets"]["/app/livenessProbe"]["port"] == 8080


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {"command": ["true"]}},
        {"grpc": {"port": 8080}},
        {"httpGet": {"port": 8080, "host": "example.com"}},
        {"httpGet": {"port": "unknown"}},
    ],
)
def test_what_is_not_asked_of_the_pod_by_http_or_tcp_stays(probe: dict[str, Any]) -> None:
    found = probed({"livenessProbe": probe})
    assert container(found, "app")["livenessProbe"] == probe
    assert "KUMA_DATAPLANE_PROBES" not in environment(found)
    assert "-d" not in container(found, "kuma-init")["args"]


def test_a_port_that_a_container_declares_is_not_taken() -> None:
    item = pod()
    item["spec"]["containers"][0] |= {
        "livenessProbe": {"tcpSocket": {"port": 9000}},
        "ports": [{"containerPort": 9000}, {"containerPort": 9001}],
    }
    found = injected(item)
    assert told(found) == {"port": 9002, "targets": {"/app/livenessProbe": {"port": 9000, "timeout": 1}}}
    assert container(found, "kuma-init")["args"][-4:-2] == ["-d", "9002"]


def test_whoever_wants_it_as_it_was_says_so() -> None:
    probe = {"livenessProbe": {"httpGet": {"path": "/", "port": 8080}}}
    off = config({"KUMA_INJECTOR_VIRTUAL_PROBES_ENABLED": "false"})
    assert container(probed(probe, settings=off), "app")["livenessProbe"] == probe["livenessProbe"]


def test_a_gateway_is_probed_directly() -> None:
    item = pod({"kuma.io/gateway": "enabled"})
    item["spec"]["containers"][0]["livenessProbe"] = {"httpGet": {"path": "/", "port": 8080}}
    assert container(injected(item), "app")["livenessProbe"]["httpGet"]["port"] == 8080


@pytest.mark.parametrize("native", [False, True])
def test_init_containers_that_go_on_are_probed_through_a_native_sidecar(native: bool) -> None:
    """Without one they run before the redirection, and the sidecar that would answer for them starts later."""
    other = {"name": "logs", "image": "logs", "restartPolicy": "Always"}
    item = pod(initContainers=[{**other, "startupProbe": {"httpGet": {"path": "/", "port": 8081}}}])
    found = injected(item, native=native)
    assert container(found, "logs")["startupProbe"]["httpGet"]["port"] == (9000 if native else 8081)
