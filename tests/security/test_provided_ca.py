"""The provided authority: its life, kumactl and real Envoys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.testing.authorities import verified
from kuma_core.testing.builders import mesh, outbound
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.load import Workers
from ..end_to_end.support import Machine, fetch
from ..end_to_end.test_mtls import SETTINGS, address, encrypt, permit
from ..end_to_end.test_traffic import client, instance
from .support import SDS, certificate_of, identity, kumactl, stream

PLUGINS = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided]
REFUSED = "Cannot delete signing certificate when the mTLS in the mesh is active and type of CA is Provided"


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS, SETTINGS) as platform:
        yield platform


def certificates(cp: RunningPlatform, method: str, name: str, id: str = "", body: Any = None) -> JsonAnswer:
    path = f"/meshes/{name}/ca/provided/certificates" + (f"/{id}" if id else "")
    return cp.request(method, path, body, cp.admin)


def upload(cp: RunningPlatform, name: str = "default") -> str:
    """Upload a new root for a mesh; returns its certificate."""
    cert, key = (pem.decode() for pem in new_root(name))
    answer = certificates(cp, "POST", name, body={"cert": cert, "key": key})
    assert answer.status == 200, answer
    return cert


def put(cp: RunningPlatform, enabled: bool, ca: str) -> JsonAnswer:
    return cp.put("/meshes/cellar", mesh("cellar", mtls={"enabled": enabled, "ca": {ca: {}}}))


def test_the_life_of_a_certificate(cp: RunningPlatform) -> None:
    first = put(cp, False, "provided")
    assert first.status == 201
    assert "mtls.ca.provided: There is no signing certificate" in first.headers["Warning"]
    cert, key = (pem.decode() for pem in new_root("cellar"))
    added = certificates(cp, "POST", "cellar", body={"cert": cert, "key": key})
    assert (added.status, added.body["cert"]) == (200, cert)
    second = put(cp, True, "provided")
    assert second.status == 200
    assert "no signing certificate" not in second.headers.get("Warning", "")
    refused = certificates(cp, "DELETE", "cellar", added.body["id"])
    assert (refused.status, refused.body["details"]) == (400, REFUSED)
    change = put(cp, True, "builtin")
    assert (change.status, [cause["field"] for cause in change.body["causes"]]) == (400, ["mtls.ca"])
    assert put(cp, False, "builtin").status == 200
    assert certificates(cp, "DELETE", "cellar", added.body["id"]).status == 200
    assert certificates(cp, "GET", "cellar").body == []


def test_kumactl_adds_lists_and_deletes(cp: RunningPlatform, tmp_path: Path) -> None:
    for name, pem in zip(("cert", "key"), new_root("default"), strict=True):
        (tmp_path / name).write_bytes(pem)
    words = ("manage", "ca", "provided", "certificates")
    files = (f"--cert-file={tmp_path / 'cert'}", f"--key-file={tmp_path / 'key'}")
    missing = kumactl(cp, tmp_path, *words, "list")
    assert missing.stderr == "Error: Could not retrieve signing certs (Not found)\n"
    added = kumactl(cp, tmp_path, *words, "add", *files)
    (entry,) = certificates(cp, "GET", "default").body
    assert (added.stdout, added.stderr) == (f'added certificate "{entry["id"]}"\n', "")
    assert "There is a signing certificate already" in kumactl(cp, tmp_path, *words, "add", *files).stderr
    assert entry["id"] in kumactl(cp, tmp_path, *words, "list").stdout
    cp.apply(mesh("default", mtls={"enabled": True, "ca": {"provided": {}}}))
    delete = (*words, "delete", f"--id={entry['id']}")
    refused = kumactl(cp, tmp_path, *delete)
    assert (refused.returncode, REFUSED in refused.stderr) == (1, True)
    cp.apply(mesh("default"))
    assert kumactl(cp, tmp_path, *delete).stdout == f'removed certificate "{entry["id"]}"\n'


def test_an_identity_is_issued_once_a_certificate_is_uploaded(cp: RunningPlatform) -> None:
    cp.apply(mesh("default", mtls={"enabled": True, "ca": {"provided": {}}}), client("web-1"))
    cp.catch_up()
    for name in ("identity_cert", "mesh_ca"):
        with stream(cp, SDS, cp.token("web-1")) as opened:
            opened.ask(name)
            assert "has no certificate of its authority yet" in opened.refusal()[1]
    root = upload(cp)
    verified(identity(cp), [root])


@pytest.fixture
def machine(cp: RunningPlatform, tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def test_scenario_36_the_chain_of_an_envoy_leads_to_the_uploaded_root(machine: Machine) -> None:
    port = free_port()
    root = upload(machine.cp)
    machine.cp.apply(mesh("default", mtls={"enabled": True, "ca": {"provided": {}}}))
    ledger = instance(machine, "ledger-1", "ledger")
    machine.cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
    permit(machine, "everyone", "*", "*")
    machine.sidecar("ledger-1")
    machine.sidecar("web")
    assert eventually(lambda: fetch(port)) == "ledger-1"
    verified(certificate_of(address(ledger)[1]), [root])


def test_envoys_that_wait_get_their_identities_after_the_upload(machine: Machine) -> None:
    """Envoy asks again by itself, less and less often: after half a minute at the latest."""
    port, cp = free_port(), machine.cp
    cp.apply(mesh("default", mtls={"enabled": True, "ca": {"provided": {}}}))
    ledger = instance(machine, "ledger-1", "ledger")
    cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
    permit(machine, "everyone", "*", "*")
    for name in ("ledger-1", "web"):
        waiting = machine.sidecar(name, wait=False)
        eventually(lambda log=waiting.log: "has no certificate of its authority yet" in log.read_text())
    root = upload(cp)
    assert eventually(lambda: fetch(port), 40) == "ledger-1"
    verified(certificate_of(address(ledger)[1]), [root])


STEPS = [("off", "provided"), ("on", "provided"), ("off", "builtin"), ("on", "builtin")]


def test_from_builtin_to_provided_and_back_through_disabling_mtls(
    machine: Machine, record_property: Callable[[str, object], None]
) -> None:
    """Requests may fail for a moment, as both ends learn of each step by themselves; they recover at once."""
    port, cp = free_port(), machine.cp
    encrypt(machine)
    ledger = instance(machine, "ledger-1", "ledger")
    cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
    permit(machine, "everyone", "*", "*")
    machine.sidecar("ledger-1")
    machine.sidecar("web")
    eventually(lambda: fetch(port))
    roots = {"provided": upload(cp), "builtin": cp.platform.core.authorities["builtin"].signer("default")}
    for step, ca in STEPS:
        settled = certificate_of if step == "on" else fetch
        with Clients(port) as load:
            eventually(lambda load=load: len(load.answered) > 20)
            cp.apply(mesh("default", mtls={"enabled": step == "on", "ca": {ca: {}}}))
            eventually(lambda settled=settled: settled(address(ledger)[1]))
            before = len(load.answered)
            eventually(lambda load=load, before=before: len(load.answered) > before + 200)
        if step == "on":
            verified(certificate_of(address(ledger)[1]), [roots[ca]])
        summary = load.summary()
        print(f"mTLS {step}, {ca}: {summary}")
        for name, value in summary.items():
            record_property(f"{ca}_{step}_{name}", value)
        assert summary["seconds without an answer"] < 5


class Clients(Workers):
    """Four clients that ask again and again, without patience: a failed request costs 0.3 s at most."""

    def __init__(self, port: int) -> None:
        self._port = port
        super().__init__(4)
        self.answered: list[float] = []
        self.failed: list[float] = []

    def _run(self, _: int) -> None:
        while not self._stopped.wait(0.01):
            began = time.monotonic()
            try:
                fetch(self._port, timeout=0.3)
                self.answered.append(began)
            except OSError:
                self.failed.append(began)

    def summary(self) -> dict[str, float]:
        """Requests that were answered and that failed, the longest time in which none succeeded, and the time from
        the first that failed to the last, each by when it was sent."""
        pauses = [after - before for before, after in pairwise(sorted(self.answered))]
        window = max(self.failed) - min(self.failed) if self.failed else 0.0
        return {
            "answered": len(self.answered),
            "failed": len(self.failed),
            "seconds without an answer": round(max(pauses), 3),
            "seconds from the first to the last failure": round(window, 3),
        }
