"""A leaked token, by the page that tells what to do, with two control planes and real Envoys."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import jwt
import pytest

import kuma_ca_builtin
import kuma_policy_traffic
from kuma_core.testing.builders import outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

from ..end_to_end.support import BIN, Load, Machine, Sidecar
from ..end_to_end.test_mtls import encrypt, permit
from ..end_to_end.test_traffic import client, instance
from .support import DELTA, SDS, ask_delta, ask_identity, kumactl, stream

PAGE = Path(__file__).parents[2] / "docs/how-to/leaked-token.md"
SETTINGS = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
WITHIN = 1.0
BACK = 35.0
"""Envoy tries again after at most 30 s, and kuma-dp looks at the file once a second."""


@pytest.fixture
def two() -> Iterator[tuple[RunningPlatform, RunningPlatform]]:
    plugins = [SharedStore(MemoryStore()), kuma_policy_traffic, kuma_ca_builtin]
    with running_platform(plugins, SETTINGS) as here, running_platform(plugins, SETTINGS) as there:
        yield here, there


def post(cp: RunningPlatform, path: str, body: object = None) -> dict[str, str]:
    answer = cp.request("POST", path, body, cp.admin)
    assert answer.status == 200, answer
    found: dict[str, str] = answer.body
    return found


# -- raw streams


def test_what_one_control_plane_revokes_the_other_ends_within_a_second(
    two: tuple[RunningPlatform, RunningPlatform], tmp_path: Path
) -> None:
    here, there = two
    with ExitStack() as stack:
        there.apply(instance(Machine(there, tmp_path, stack), "web-1", "web"))
        token = here.token("web-1")
        streams = []
        for cp in two:
            for method, ask in ((DELTA, ask_delta), (SDS, ask_identity)):
                streams.append(stack.enter_context(stream(cp, method, token)))
                ask(streams[-1])
                assert streams[-1].receive()
        post(here, "/tokens/revocations", {"token": token})
        acknowledged = time.monotonic()
        for opened in streams:
            code, text = opened.refusal()
            assert (code, "it was revoked" in text) == (grpc.StatusCode.UNAUTHENTICATED, True)
        assert time.monotonic() - acknowledged < WITHIN
        for cp in two:
            with stream(cp, DELTA, token) as again:
                ask_delta(again)
                assert "it was revoked" in again.refusal()[1]


def test_a_token_of_a_new_key_is_good_everywhere_at_once_and_a_retired_one_nowhere(
    two: tuple[RunningPlatform, RunningPlatform], tmp_path: Path
) -> None:
    here, there = two
    with ExitStack() as stack:
        here.apply(instance(Machine(here, tmp_path, stack), "web-1", "web"))
        eventually(lambda: there.get("/meshes/default/dataplanes/web-1").status == 200)
        for one, other in ((here, there), (there, here)) * 2:
            old_key = one.request("GET", "/tokens/signing-keys", None, one.admin).body["items"][0]["id"]
            old = one.token("web-1")
            with stream(other, DELTA, old) as running:
                ask_delta(running)
                running.receive()
                post(one, "/tokens/signing-keys")
                with stream(other, DELTA, one.token("web-1")) as new:
                    ask_delta(new)
                    assert new.receive(), "no matter whether the other one was told of the key yet"
                path = f"/tokens/signing-keys/{old_key}"
                assert other.request("DELETE", path, None, other.admin).status == 200
                assert "the key that signed it is not known here" in running.refusal()[1]
            with stream(one, DELTA, old) as again:
                ask_delta(again)
                assert "the key that signed it is not known here" in again.refusal()[1]


# -- the page, with real Envoys


def commands() -> list[str]:
    found = re.findall(r"^ *\$ (.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(found) == 9
    return found


def connected(sidecar: Sidecar) -> bool:
    """Whether Envoy has a stream; it says so for a moment of one that is about to be refused, too."""
    return sidecar.stat("control_plane.connected_state") == 1


def token_id(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["jti"])


def is_let_in(cp: RunningPlatform, token: str) -> bool:
    """Whether a stream is open that was let in with the token."""
    return token_id(token) in {given.proof.id for given in list(cp.platform.core.proxies._guard._open)}


def run(cp: RunningPlatform, folder: Path, command: str) -> str:
    """Type a command of the page; kumactl is told which control plane is meant."""
    kumactl(cp, folder, "config", "view")  # writes the configuration
    typed = command.replace("kumactl ", f"{BIN / 'kumactl'} --config-file=kumactl-config ")
    done = subprocess.run(
        typed, shell=True, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), command
    return done.stdout


def test_the_page_works_as_it_stands(two: tuple[RunningPlatform, RunningPlatform], tmp_path: Path) -> None:
    """kumactl asks one control plane, the proxies are connected to the other one."""
    here, there = two
    revoke, *renew_and_look, rotate, generate, move, keys, retire = commands()
    with ExitStack() as stack:
        machine = Machine(there, tmp_path, stack)
        port = free_port()
        encrypt(machine)
        permit(machine, "everyone", "*", "*")
        machine.cp.apply(instance(machine, "echo-1", "echo"), client("web-1", outbound(f":{port}", "echo")))
        machine.sidecar("echo-1")
        file = tmp_path / "web-1-token"
        (tmp_path / "default-web-1-token").symlink_to(file)  # where the machine puts it
        web = machine.sidecar("web-1", token_text=here.token("web-1"))
        load = stack.enter_context(Load(port))
        leaked = file.read_text()
        eventually(lambda: load.answers["echo-1"] > 5 and is_let_in(there, leaked))
        load.failures.clear()

        run(here, tmp_path, revoke)
        acknowledged = time.monotonic()
        eventually(lambda: not connected(web), WITHIN)
        assert time.monotonic() - acknowledged < WITHIN
        before = load.answers["echo-1"]
        eventually(lambda: load.answers["echo-1"] > before + 20)
        assert not is_let_in(there, leaked)

        for command in renew_and_look:
            shown = run(here, tmp_path, command)
        assert "web-1" in shown
        second = file.read_text()
        eventually(lambda: is_let_in(there, second), BACK, "Envoy with the new token")
        more = free_port()
        machine.cp.apply(client("web-1", outbound(f":{port}", "echo"), outbound(f":{more}", "echo")))
        eventually(
            lambda: f"outbound:127.0.0.1:{more}" in web.listeners(), BACK, "a listener by the new token"
        )

        old_key = run(here, tmp_path, keys).splitlines()[1].split()[0]
        for command in (rotate, generate, move, keys):
            run(here, tmp_path, command)
        assert is_let_in(there, second), "both keys are good"
        third = file.read_text()
        run(here, tmp_path, retire.replace("OLD", old_key))
        eventually(lambda: not is_let_in(there, second), WITHIN)
        eventually(lambda: is_let_in(there, third), BACK, "Envoy with the token of the new key")
        assert load.failures == []
