"""kumactl's users of events: ``get --watch``, ``inspect dataplanes --watch`` and ``wait``, as programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

KUMACTL = Path(sys.executable).with_name("kumactl")
WEB = dataplane("web-1", inbound("10.0.0.5:80:80", "web"))


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as running:
        running.apply(WEB)
        yield running


@pytest.fixture
def config(cp: RunningPlatform, tmp_path: Path) -> Path:
    return configured(cp.api_url, tmp_path)


def configured(url: str, folder: Path) -> Path:
    path = folder / "kumactl.yaml"
    coordinates = {"coordinates": {"apiServer": {"url": url}}, "name": "cp"}
    context = {"name": "cp", "controlPlane": "cp"}
    path.write_text(repr({"controlPlanes": [coordinates], "contexts": [context], "currentContext": "cp"}))
    return path


@contextmanager
def running(config: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    output = (config.parent / "output").open("w")
    with (
        output,
        subprocess.Popen(
            [KUMACTL, "--config-file", config, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environ,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=10)


def output(config: Path) -> str:
    return (config.parent / "output").read_text()


def test_get_watch_shows_what_changes_and_what_is_gone(cp: RunningPlatform, config: Path) -> None:
    with running(config, "get", "dataplanes", "--watch"):
        eventually(lambda: "web-1" in output(config))
        cp.apply(dataplane("watched", inbound("10.0.0.6:80:80", "api")))
        eventually(lambda: "service=api" in output(config))
        cp.delete("/meshes/default/dataplanes/watched")
        eventually(lambda: "watched is gone" in output(config))
        assert output(config).count("NAME") == 1
        assert output(config).count("web-1") == 1


def test_inspect_watch_shows_each_new_status_and_no_counters(cp: RunningPlatform, config: Path) -> None:
    with running(config, "inspect", "dataplanes", "-w") as process:
        eventually(lambda: "Never connected" in output(config) or "Offline" in output(config))
        with fleet(cp) as envoys:
            envoys.connect(DeltaClient("default.web-1"))
            eventually(lambda: "Online" in output(config))
        eventually(lambda: output(config).rstrip().rpartition("\n")[2].count("Offline") == 1)
        assert len(output(config).splitlines()) == 4
        assert process.poll() is None


def test_wait_returns_once_it_is_so(cp: RunningPlatform, config: Path) -> None:
    with running(config, "wait", "dataplane", "web-1", "--timeout=60s") as process:
        eventually(lambda: cp.platform.features and _clients(cp) == 1, what="a command that follows")
        assert process.poll() is None
        with fleet(cp) as envoys:
            envoys.connect(DeltaClient("default.web-1"))
            assert process.wait(timeout=30) == 0
    assert output(config) == 'Dataplane "web-1" is online\n'


def _clients(cp: RunningPlatform) -> float:
    text: str = cp.request("GET", "/metrics", port=cp.diagnostics).body
    (line,) = [line for line in text.splitlines() if line.startswith("kuma_events_clients ")]
    return float(line.split()[1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["web-9", "--timeout=300ms"],
            'Dataplane "web-9" is not online after 0.3 s: there is no such Dataplane',
        ),
        (
            ["web-1", "--for=gone", "--timeout=300ms"],
            'Dataplane "web-1" is not gone after 0.3 s: O',  # online or offline, as its last stream has it
        ),
        (["web-1", "--for=happy"], 'cannot wait for "happy"; use online, offline, degraded, gone'),
        (["web-1", "--timeout=-1s"], '"-1s" is no time to wait; use more than 0, as in 30s'),
        (["web-1", "--timeout=soon"], '"soon" is not a duration'),
    ],
)
def test_wait_says_how_it_is_instead(config: Path, arguments: list[str], sentence: str) -> None:
    done = run(config, "wait", "dataplane", *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_what_is_so_already_is_not_waited_for(config: Path) -> None:
    assert run(config, "wait", "dataplane", "web-1", "--for=offline").returncode == 0
    assert run(config, "wait", "dataplane", "nobody", "--for=gone").returncode == 0


def test_a_kind_without_events_is_refused(config: Path) -> None:
    done = run(config, "get", "dataplane-insights", "--watch")
    assert 'no events tell of a kind "DataplaneInsight"' in done.stderr.replace('\\"', '"')


def test_a_watch_outlives_a_restart_of_the_control_plane(tmp_path: Path) -> None:
    with running_platform([kuma_store_memory]) as first:
        settings = {
            "KUMA_API_SERVER_PORT": str(first.api),
            "KUMA_EVENTS_SERVER_PORT": str(first.events),
        }
        config = configured(first.api_url, tmp_path)
    with ExitStack() as ending:
        first = ending.enter_context(running_platform([kuma_store_memory], settings))
        first.apply(WEB)
        with running(config, "get", "meshes", "--watch") as process:
            eventually(lambda: "default" in output(config))
            ending.close()  # and not only told to stop: the ports are free then
            with running_platform([kuma_store_memory], settings) as second:
                second.apply({"type": "Mesh", "name": "another"})
                eventually(lambda: "another" in output(config), what="a watch that came back")
            assert process.poll() is None


def run(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KUMACTL, "--config-file", config, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
