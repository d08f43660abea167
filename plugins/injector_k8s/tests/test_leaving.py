"""Containers that are to end wait until others call the Pod no more; the sidecar is not ready before Envoy is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from kuma_injector_k8s.injection.patch import patch
from kuma_injector_k8s.injection.pods import why_not

from .patching import applied
from .samples import WITHOUT_HOOKS, config, container, environment, injected, pod

WORD = "3f9c0d"
HOOK = {"httpGet": {"path": f"/kuma/leaving/{WORD}", "port": 9000, "scheme": "HTTP"}}


def hooked(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return injected(item, settings=more.pop("settings", None) or config(), word=WORD, **more)


def test_containers_and_the_sidecar_wait_at_the_sidecars_port() -> None:
    found = hooked(pod())
    assert container(found, "app")["lifecycle"] == {"preStop": HOOK}
    assert container(found, "kuma-sidecar")["lifecycle"] == {"preStop": HOOK}
    assert json.loads(environment(found)["KUMA_DATAPLANE_PROBES"]) == {
        "port": 9000,
        "targets": {},
        "leaving": f"/kuma/leaving/{WORD}",
        "ready": "/kuma/ready",
    }
    assert container(found, "kuma-init")["args"][-4:] == ["-d", "9000", "-b", "*"]


def test_the_sidecar_has_started_once_its_envoy_listens() -> None:
    assert container(hooked(pod()), "kuma-sidecar")["startupProbe"] == {
        "httpGet": {"path": "/kuma/ready", "port": 9000, "scheme": "HTTP"},
        "timeoutSeconds": 3,
        "periodSeconds": 1,
        "failureThreshold": 120,
    }


def test_nothing_else_differs_from_the_pod_of_kuma_0_3() -> None:
    plain, found = injected(pod()), hooked(pod())
    assert plain == injected(pod(), settings=WITHOUT_HOOKS)
    sidecar, init = container(found, "kuma-sidecar"), container(found, "kuma-init")
    for added in ("lifecycle", "startupProbe"):
        del sidecar[added]
    sidecar["env"] = [one for one in sidecar["env"] if one["name"] != "KUMA_DATAPLANE_PROBES"]
    init["args"] = [*init["args"][:-4], *init["args"][-2:]]
    assert (sidecar, init) == (container(plain, "kuma-sidecar"), container(plain, "kuma-init"))
    assert found["metadata"] == plain["metadata"]


@pytest.mark.parametrize("own", [{"exec": {"command": ["sleep", "5"]}}, {"sleep": {"seconds": 5}}])
def test_a_hook_of_the_application_stays(own: dict[str, Any]) -> None:
    item = pod()
    item["spec"]["containers"][0]["lifecycle"] = {"preStop": own}
    assert container(hooked(item), "app")["lifecycle"] == {"preStop": own}


@pytest.mark.parametrize("preset", [{}, None, {"preStop": None}])
def test_what_says_nothing_of_the_end_is_no_hook(preset: Any) -> None:
    item = pod()
    item["spec"]["containers"][0]["lifecycle"] = preset
    assert container(hooked(item), "app")["lifecycle"] == {"preStop": HOOK}


def test_another_hook_of_the_application_stays_beside() -> None:
    item, start = pod(), {"exec": {"command": ["true"]}}
    item["spec"]["containers"][0]["lifecycle"] = {"postStart": start}
    assert container(hooked(item), "app")["lifecycle"] == {"postStart": start, "preStop": HOOK}


def test_every_container_waits_and_no_init_container() -> None:
    other = {"name": "other", "image": "other"}
    item = pod(initContainers=[{"name": "logs", "image": "logs", "restartPolicy": "Always"}])
    item["spec"]["containers"].append(other)
    found = hooked(item)
    assert container(found, "other")["lifecycle"] == {"preStop": HOOK}
    assert "lifecycle" not in container(found, "logs")


def test_a_native_sidecar_ends_after_the_containers_which_wait() -> None:
    found = hooked(pod(), native=True)
    assert container(found, "app")["lifecycle"] == {"preStop": HOOK}
    sidecar = container(found, "kuma-sidecar")
    assert "lifecycle" not in sidecar
    assert sidecar["restartPolicy"] == "Always"
    assert json.loads(environment(found)["KUMA_DATAPLANE_PROBES"])["leaving"] == f"/kuma/leaving/{WORD}"


def test_probes_and_hooks_share_the_port() -> None:
    item = pod()
    item["spec"]["containers"][0] |= {
        "readinessProbe": {"tcpSocket": {"port": 8080}},
        "ports": [{"containerPort": 9000}],
    }
    found = hooked(item)
    told = json.loads(environment(found)["KUMA_DATAPLANE_PROBES"])
    assert (told["port"], list(told["targets"])) == (9001, ["/app/readinessProbe"])
    assert container(found, "app")["lifecycle"]["preStop"]["httpGet"]["port"] == 9001
    assert container(found, "kuma-init")["args"].count("-d") == 1


def test_hooks_need_no_probes() -> None:
    item = pod()
    item["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 8080}}
    found = hooked(item, settings=config({"KUMA_INJECTOR_VIRTUAL_PROBES_ENABLED": "false"}))
    assert container(found, "app")["readinessProbe"] == {"tcpSocket": {"port": 8080}}
    assert container(found, "app")["lifecycle"] == {"preStop": HOOK}


def test_nobody_calls_a_gateway_through_its_sidecar() -> None:
    item = pod({"kuma.io/gateway": "enabled"})
    assert hooked(item) == injected(item)


def test_the_patch_stays_small_and_is_made_once() -> None:
    item = pod({"kuma.io/mesh": "default"})
    operations = patch(item, "default", {}, config(), word=WORD)
    added = [one for one in operations if "lifecycle" in one["path"]]
    assert added == [{"op": "add", "path": "/spec/containers/0/lifecycle", "value": {"preStop": HOOK}}]
    assert why_not(applied(item, operations)) == "it has a sidecar"


def test_kuma_dp_understands_what_it_is_told() -> None:
    text = environment(hooked(pod()))["KUMA_DATAPLANE_PROBES"]
    code = (
        "from kuma_core.dataplane.probe_targets import parse; import sys; p = parse(sys.argv[1]);"
        "print(p.port, p.leaving, p.ready)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, text], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"9000 /kuma/leaving/{WORD} /kuma/ready\n"
