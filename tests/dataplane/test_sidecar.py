"""The sidecar of a Pod: everything from the environment, and nothing depends on what is started first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from kuma_core.dataplane import sidecar as subject
from kuma_core.dataplane.control_plane import NoDataplane, Unreachable
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.settings import check, resolve
from kuma_core.errors import KumaError
from kuma_core.testing.waiting import eventually

from .support import KUMA_DP, FakeControlPlane, Program, free_port

ENVIRONMENT = {
    "POD_NAME": "web.v1-7f8",
    "POD_NAMESPACE": "demo",
    "INSTANCE_IP": "127.0.0.1",
    "KUMA_DATAPLANE_MESH": "shop",
    "KUMA_DATAPLANE_NAME": "web.v1-7f8.demo",
    "KUMA_DATAPLANE_DRAIN_TIME": "30s",
    "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH": "/no/such/serviceaccount/token",
}
"""What the injector sets, but for addresses and ports."""
NO_DATAPLANE = (404, b'{"title": "Could not find a resource"}')


@pytest.fixture
def pod(start: Callable[..., Program], stub: Callable[..., str]) -> Callable[..., Program]:
    """``kuma-dp run`` as the sidecar's container has it, for a control plane at this URL."""

    def run(url: str, **more: str) -> Program:
        variables = {**ENVIRONMENT, "KUMA_CONTROL_PLANE_API_SERVER_URL": url, **more}
        return start(
            KUMA_DP, "run", "--log-level=info", KUMA_DATAPLANE_RUNTIME_BINARY_PATH=stub(), **variables
        )

    return run


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "PAUSES", (0.0, 0.001))


def is_of_a_pod(**changes: str) -> bool:
    environ = {key: value for key, value in (ENVIRONMENT | changes).items() if value}
    return check(resolve({}, environ)[0]).is_of_a_pod


def test_a_pod_is_known_by_what_the_injector_sets() -> None:
    assert is_of_a_pod()
    assert not is_of_a_pod(POD_NAME="")
    assert not is_of_a_pod(POD_NAMESPACE="")
    assert not is_of_a_pod(KUMA_DATAPLANE_NAME="web-1")
    assert not is_of_a_pod(KUMA_DATAPLANE_NAME="web", POD_NAME="web", POD_NAMESPACE="")


def test_its_dataplane_and_a_token_may_be_missing_at_first(
    pod: Callable[..., Program], control_plane: FakeControlPlane, stub_pid: Callable[[], int]
) -> None:
    control_plane.bootstrap, good = NO_DATAPLANE, control_plane.bootstrap
    sidecar = pod(control_plane.url)
    eventually(lambda: len(control_plane.requests) >= 3, 60)
    assert sidecar.process.poll() is None
    control_plane.bootstrap = good
    stub_pid()
    assert {path for _, path, _ in control_plane.requests} == {"/catalog", "/bootstrap"}
    *_, (_, _, asked) = control_plane.requests
    assert b'"name": "web.v1-7f8.demo"' in asked
    assert b"dataplaneTokenPath" not in asked
    missing = "could not read file: /no/such/serviceaccount/token: No such file or directory"
    assert f"Warning: {missing}. Without the token of the Pod's ServiceAccount" in sidecar.err
    sidecar.process.terminate()
    assert sidecar.end() == 0


def test_the_control_plane_may_come_after_the_pod(
    pod: Callable[..., Program], stub_pid: Callable[[], int], late: Callable[[int], FakeControlPlane]
) -> None:
    """A few seconds longer than kuma-dp waits on a machine, where it gives up after four attempts."""
    port = free_port()
    sidecar = pod(f"http://127.0.0.1:{port}")
    eventually(lambda: sidecar.err.count("cannot connect, trying again") > 3, 60)
    assert sidecar.process.poll() is None
    late(port)
    stub_pid()


@pytest.fixture
def late() -> Iterator[Callable[[int], FakeControlPlane]]:
    servers: list[FakeControlPlane] = []

    def make(port: int) -> FakeControlPlane:
        servers.append(FakeControlPlane(port))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def test_a_pod_that_stops_while_it_waits_stops_at_once(
    pod: Callable[..., Program], control_plane: FakeControlPlane, tmp_path: Path
) -> None:
    control_plane.bootstrap = NO_DATAPLANE
    sidecar = pod(control_plane.url)
    eventually(lambda: len(control_plane.requests) >= 3, 60)
    sidecar.process.terminate()
    assert sidecar.end() == 0
    assert not (tmp_path / "envoy.pid").exists()


@pytest.mark.usefixtures("hurried")
def test_a_dataplane_that_never_comes_is_told_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "DATAPLANE_SECONDS", 0.05)
    asked = threading.Event()

    def ask() -> None:
        asked.set()
        raise NoDataplane('status: 404. There is no Dataplane "a.b.demo" in mesh "m": create it with kumactl')

    with pytest.raises(KumaError) as caught:
        subject.patiently(ask, "a.b.demo", Log("off"))
    assert str(caught.value) == (
        'status: 404. There is no Dataplane "a.b.demo" in mesh "m" after 0.05 s. The control plane makes it of the Pod '
        "and the Services that select it: 'kubectl -n demo describe pod a.b' says why it does not."
    )


@pytest.mark.usefixtures("hurried")
def test_a_control_plane_is_waited_for_without_end_and_does_not_use_up_the_time_of_the_dataplane(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subject, "DATAPLANE_SECONDS", 10.0)
    monkeypatch.setattr(subject, "QUIET_SECONDS", 0.0)
    now = iter(range(0, 10_000, 8))
    clock = SimpleNamespace(monotonic=lambda: float(next(now)), sleep=lambda _: None)
    monkeypatch.setattr(subject, "time", clock)
    answers: list[Exception] = [Unreachable("refused")] * 20 + [NoDataplane("none"), Unreachable("away")]
    answers += [NoDataplane("none")]

    def ask() -> str:
        if answers:
            raise answers.pop(0)
        return "there"

    assert subject.patiently(ask, "web.demo", Log("off")) == "there"
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "Warning: waiting for the control plane: refused"
    assert 2 <= len(told) < 10


def test_other_refusals_are_told_at_once() -> None:
    def ask() -> None:
        raise KumaError("adminPort: is taken")

    with pytest.raises(KumaError, match="adminPort: is taken"):
        subject.patiently(ask, "web.demo", Log("off"))


def test_on_a_machine_a_missing_dataplane_is_told_at_once(
    pod: Callable[..., Program], control_plane: FakeControlPlane
) -> None:
    """Also in a Pod whose Dataplane somebody applies by hand, under a name of its own."""
    control_plane.bootstrap = NO_DATAPLANE
    machine = pod(control_plane.url, KUMA_DATAPLANE_NAME="web-1")
    assert machine.end() == 1
    assert "create it with 'kumactl apply -f FILE'" in machine.err
    assert len(control_plane.requests) == 2
