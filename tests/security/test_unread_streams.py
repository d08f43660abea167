"""A stream that ends before anything of it was read: a real Envoy is told why, and comes back with a good token."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine
from .test_attacks import Victim


def test_a_real_envoy_is_told_why_its_credential_is_none(tmp_path: Path) -> None:
    with ExitStack() as stack:
        victim = Victim(stack, tmp_path)
        victim.put(dataplane("late", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "late")))
        machine: Any = Machine(victim, tmp_path, stack)  # type: ignore[arg-type]
        good = victim.token("late")
        sidecar = machine.sidecar("late", wait=False, token_text=f"{good[:-20]}{'x' * 20}")
        told = "could not parse token: it is no dataplane token"
        eventually(lambda: told in sidecar.log.read_text(), 30, "the reason")
        (line, *_) = [line for line in sidecar.log.read_text().splitlines() if told in line]
        assert "closed" in line
        assert "16" in line, "UNAUTHENTICATED, not a stream that was reset"
        (tmp_path / "default-late-token").write_text(good)
        eventually(sidecar.is_live, 60, "an Envoy that is configured")
