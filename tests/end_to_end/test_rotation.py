"""The root of a mesh is rotated under load, and no request between real Envoys fails."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import VerificationError

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_ca_builtin.roots import Kept, Root, encode, secret_name
from kuma_core.builtin.rotation import driver as rotation_driver
from kuma_core.resources.secrets import SecretManager
from kuma_core.testing.authorities import root_without_key_id, verified
from kuma_core.testing.builders import outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

from ..ca.support import builtin_ca, rotation, stage, stays
from ..security.support import certificate_of
from .load import SteadyLoad
from .support import Machine, Sidecar, fetch
from .test_mtls import SETTINGS, address, certificates, encrypt, permit
from .test_traffic import client, instance

PLUGINS = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin]
LEAVES = {**SETTINGS, "KUMA_CA_DEFAULTS_LEAF_LIFETIME": "6s"}
RATE = 200


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage lasts as long as it takes, and not as long as an Envoy that is away may need to come back."""
    monkeypatch.setattr(rotation_driver, "SHORTEST_SECONDS", 1.0)


@contextmanager
def talk(port: int) -> Iterator[Callable[[], bytes]]:
    """A connection that stays open; each call is a word there and back."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as opened:

        def say() -> bytes:
            opened.sendall(b"word")
            return opened.recv(4)

        yield say


@contextmanager
def echo() -> Iterator[int]:
    """A TCP service that says what it hears; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    opened, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=repeat, args=(opened,), daemon=True).start()

        def repeat(opened: socket.socket) -> None:
            with opened:
                while heard := opened.recv(100):
                    opened.sendall(heard)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def rotate(cp: RunningPlatform) -> tuple[str, str]:
    """Rotate the root of the mesh and wait for the end; the certificates of the old root and the new one."""
    old = builtin_ca(cp).signer("default")
    assert rotation(cp, "POST").status == 200
    eventually(lambda: stage(cp) == "", 60, "the end of the rotation")
    return old, builtin_ca(cp).signer("default")


def trusted_serials(sidecar: Sidecar) -> set[int]:
    """The serial numbers of the roots that an Envoy trusts, wherever it uses them."""
    return {int(ca["serial_number"], 16) for item in certificates(sidecar) for ca in item.get("ca_cert", [])}


def serial(pem: str) -> int:
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def plant_root_of_0_3_1(cp: RunningPlatform) -> None:
    """Have the mesh begin with a root that was taken over from Kuma 0.3.1."""
    secrets = SecretManager(cp.platform.core.store)
    kept = Kept((Root(*root_without_key_id("default")),))
    secrets.replace(secrets.get("default", secret_name("default")), encode(kept))


@pytest.mark.parametrize(("protocol", "times"), [("delta", 2), ("sotw", 1)])
def test_a_root_is_rotated_under_200_requests_in_a_second_without_a_failed_one(
    protocol: str, times: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    settings = {**LEAVES, "KUMA_XDS_SERVER_PROTOCOL": protocol}
    with running_platform(PLUGINS, settings) as cp, ExitStack() as stack:
        machine, port = Machine(cp, tmp_path, stack), free_port()
        plant_root_of_0_3_1(cp)
        encrypt(machine)
        ledger = instance(machine, "ledger-1", "ledger")
        cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
        permit(machine, "p", "web", "ledger")
        sidecars = [machine.sidecar("ledger-1"), machine.sidecar("web")]
        eventually(lambda: fetch(port))
        inbound_port = address(ledger)[1]
        with SteadyLoad(port, RATE) as load:
            leaves = {certificate_of(inbound_port)}
            for _ in range(times):
                old, new = rotate(cp)
                for sidecar in sidecars:
                    eventually(lambda s=sidecar, n=new: trusted_serials(s) == {serial(n)})
                leaf = certificate_of(inbound_port)
                verified(leaf, [new])
                with pytest.raises(VerificationError):
                    verified(leaf, [old])
                leaves.add(leaf)
            eventually(lambda: leaves.add(certificate_of(inbound_port)) or len(leaves) > times + 2, 30)
        summary = load.summary()
    print(f"{times} rotations over {protocol}: {summary}")
    for name, value in summary.items():
        record_property(name, value)
    assert load.failures == []
    assert summary["rate"] > RATE * 0.5, "a slower machine than this test is for"


def test_a_connection_that_is_open_stays_open_through_a_rotation(tmp_path: Path) -> None:
    with running_platform(PLUGINS, SETTINGS) as cp, ExitStack() as stack:
        machine, port = Machine(cp, tmp_path, stack), free_port()
        encrypt(machine)
        workload = stack.enter_context(echo())
        ledger = instance(machine, "ledger-1", "ledger")
        interface = ledger["networking"]["inbound"][0]["interface"].rpartition(":")[0]
        ledger["networking"]["inbound"][0]["interface"] = f"{interface}:{workload}"
        cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
        permit(machine, "p", "web", "ledger")
        machine.sidecar("ledger-1")
        machine.sidecar("web")

        def answers() -> bool:
            with talk(port) as say:
                return say() == b"word"

        eventually(answers)
        with talk(port) as say:
            assert say() == b"word"
            rotate(cp)
            assert say() == b"word"


def envoy_of(sidecar: Sidecar) -> int:
    """The process of the Envoy that kuma-dp runs."""
    pid = sidecar.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [int(child) for child in children if "envoy" in Path(f"/proc/{child}/comm").read_text()]
    return found


@contextmanager
def frozen(sidecar: Sidecar) -> Iterator[None]:
    """An Envoy that neither works nor is gone."""
    pid = envoy_of(sidecar)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_two_control_planes_with_an_envoy_each_rotate_without_a_failed_request(tmp_path: Path) -> None:
    """Whoever leads: the stage lasts until the Envoy of the other control plane has acknowledged, too."""
    store, port = MemoryStore(), free_port()
    plugins = [SharedStore(store), kuma_policy_traffic, kuma_ca_builtin]
    with (
        running_platform(plugins, LEAVES) as one,
        running_platform(plugins, LEAVES) as two,
        ExitStack() as stack,
    ):
        first, second = Machine(one, tmp_path, stack), Machine(two, tmp_path, stack)
        encrypt(first)
        ledger = instance(first, "ledger-1", "ledger")
        one.apply(ledger, client("web", outbound(f":{port}", "ledger")))
        permit(first, "p", "web", "ledger")
        first.sidecar("ledger-1")
        web = second.sidecar("web")
        eventually(lambda: fetch(port))
        eventually(lambda: one.platform.leadership.leads or two.platform.leadership.leads)
        with frozen(web):
            assert rotation(one, "POST").status == 200
            shown = eventually(lambda: told(one))
            assert (shown[one.platform.instance_id], shown[two.platform.instance_id]) == (True, False)
            assert stays(one, "trusting", 3)
        eventually(lambda: stage(one) == "", 60)
        with SteadyLoad(port, RATE / 2) as load:
            _, new = rotate(two)
        assert load.failures == []
        verified(certificate_of(address(ledger)[1]), [new])


def told(cp: RunningPlatform) -> dict[str, bool] | None:
    """What the control planes say of the stage, once this one has settled it."""
    shown: dict[str, bool] = rotation(cp).body["rotation"]["settled"]
    return shown if shown.get(cp.platform.instance_id) else None
