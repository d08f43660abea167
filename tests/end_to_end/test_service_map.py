"""The service map over REST, beside what real Envoys let through."""

from __future__ import annotations

import random
from contextlib import ExitStack

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Machine
from .test_mtls import SETTINGS, encrypt, permit, refused
from .test_traffic import instance

SERVICES = ("web", "ledger", "mailer")
ROUNDS = 6
ENDS = [(a, b) for a in SERVICES for b in SERVICES if a != b]


@pytest.fixture
def machine(tmp_path):
    plugins = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin]
    with running_platform(plugins, SETTINGS) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def verdicts(machine: Machine) -> dict[tuple[str, str], str]:
    body = machine.cp.get("/meshes/default/service-map").body
    return {(edge["source"], edge["destination"]): edge["verdict"] for edge in body["edges"]}


def test_the_map_says_what_real_envoys_let_through(machine):
    """Random permissions: who is refused, and who is not, is tried by a connection for each edge."""
    ports = {ends: free_port() for ends in ENDS}
    for name in SERVICES:
        document = instance(machine, f"{name}-1", name)
        document["networking"]["outbound"] = [outbound(f":{ports[a, b]}", b) for a, b in ENDS if a == name]
        machine.cp.apply(document)
    sidecars = {name: machine.sidecar(f"{name}-1") for name in SERVICES}
    eventually(lambda: set(verdicts(machine).values()) == {"plaintext"})
    encrypt(machine)
    dice, permitted = random.Random(7), []
    for _ in range(ROUNDS):
        for name in permitted:
            machine.cp.delete(f"/meshes/default/traffic-permissions/{name}")
        permitted = [f"p{n}" for n in range(dice.randrange(4))]
        for name in permitted:
            permit(machine, name, dice.choice([*SERVICES, "*"]), dice.choice([*SERVICES, "*"]))
        eventually(lambda: machine.cp.get("/meshes/default/service-map").body["current"])
        eventually(lambda: seen(ports) == verdicts(machine), 60, "Envoys that do what the map says")
    sidecars["ledger"].process.kill()
    eventually(lambda: verdicts(machine)["web", "ledger"] == "noEndpoint")
    (found,) = machine.cp.get("/meshes/default/findings").body["items"][:1]
    assert (found["id"], found["subject"]["name"]) == ("service-without-healthy-instance", "ledger")


def seen(ports: dict[tuple[str, str], int]) -> dict[tuple[str, str], str]:
    return {ends: "denied" if refused(port) else "allowed" for ends, port in ports.items()}
