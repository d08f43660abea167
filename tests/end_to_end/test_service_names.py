"""Services of any name, in an encrypted mesh: real Envoys have a certificate for each, and let in whom they should."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Machine, fetch
from .test_mtls import PLUGINS, SETTINGS, encrypt, permit, refused

NAMES = [
    "caf\u00e9",
    "o\u2019clock \u201cquoted\u201d",
    "\U0001f469\u200d\U0001f680",
    "no\u00a0break",
    "zero\u200bwidth",
    "line\nfeed\x01",
    " around ",
    "100%/a?b#c",
    "x" * 1000,
    "plain",
]


@pytest.fixture
def machine(tmp_path):
    with running_platform(PLUGINS, SETTINGS) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def test_each_service_is_reached_by_its_name_and_proves_it(machine):
    """One proxy offers all of them, another calls each; a third one, whose name differs by an accent, may not."""
    encrypt(machine)
    port = machine.service("ledger")
    ledger = [inbound(f"127.0.0.1:{free_port()}:{port}", name) for name in NAMES]
    ports = {name: free_port() for name in NAMES}
    stranger = free_port()
    machine.cp.apply(
        dataplane("ledger", *ledger),
        dataplane(
            "caller", *client("ren\u00e9e"), outbounds=[outbound(f":{p}", n) for n, p in ports.items()]
        ),
        dataplane("stranger", *client("renee"), outbounds=[outbound(f":{stranger}", NAMES[0])]),
    )
    permit(machine, "callers", "ren\u00e9e", "*")
    for name in ("ledger", "caller", "stranger"):
        machine.sidecar(name)
    for name in NAMES:
        assert eventually(lambda p=ports[name]: fetch(p), what=f"an answer of {name!r:.40}") == "ledger"
    assert refused(stranger)


def client(service):
    return [inbound(f"127.0.0.1:{free_port()}:{free_port()}", service)]


def test_a_service_is_not_taken_for_another_one(machine):
    """The endpoint that a route leads to is of another service: its certificate does not have the name."""
    encrypt(machine)
    port, listens = free_port(), free_port()
    real = dataplane("ledger", inbound(f"127.0.0.1:{listens}:{machine.service('ledger')}", "caf\u00e9"))
    machine.cp.apply(real, dataplane("caller", *client("web"), outbounds=[outbound(f":{port}", "caf\u00e9")]))
    permit(machine, "all", "*", "*")
    server = machine.sidecar("ledger")
    machine.sidecar("caller")
    assert eventually(lambda: fetch(port)) == "ledger"
    impostor = dataplane("impostor", inbound(f"127.0.0.1:{listens}:1", "caf\u00e9"))
    machine.cp.apply(
        impostor, {**real, "networking": {"inbound": [inbound(f"127.0.0.1:{listens}:1", "caf%C3%A9")]}}
    )
    eventually(lambda: refused(port))
    assert server.process.poll() is None
