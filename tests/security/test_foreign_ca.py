"""An authority of somebody's own works with no change elsewhere; identities are issued fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.ca.identity import IdentityIssuer
from kuma_core.model import ResourceKey
from kuma_core.testing.authorities import verified
from kuma_core.testing.builders import mesh, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..bench.bare_leaf import bare_leaves
from ..end_to_end.support import Machine, fetch
from ..end_to_end.test_mtls import SETTINGS, address, permit
from ..end_to_end.test_traffic import client, instance
from . import acme_ca
from .support import certificate_of

IDENTITIES, SECONDS = 1000, 2.0
FLOORS = 2.0
"""How many times as long as bare ``cryptography`` it may take on a machine that is too busy for the seconds."""


def test_a_plugin_of_less_than_60_lines_signs_what_real_envoys_trust(tmp_path: Path) -> None:
    assert len(Path(acme_ca.__file__).read_text().splitlines()) < 60
    plugins = [kuma_store_memory, kuma_policy_traffic, acme_ca]
    with running_platform(plugins, SETTINGS) as cp, ExitStack() as stack:
        machine, port = Machine(cp, tmp_path, stack), free_port()
        wrong = cp.put("/meshes/default", mesh("default", mtls={"ca": {"acme": {"colour": "red"}}}))
        assert [cause["field"] for cause in wrong.body["causes"]] == ["mtls.ca.acme.colour"]
        cp.apply(mesh("default", mtls={"enabled": True, "ca": {"acme": {"team": "a"}}}))
        ledger = instance(machine, "ledger-1", "ledger")
        cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
        permit(machine, "everyone", "*", "*")
        machine.sidecar("ledger-1")
        machine.sidecar("web")
        assert eventually(lambda: fetch(port)) == "ledger-1"
        anchors = cp.platform.core.authorities["acme"].trust_anchors("default")
        verified(certificate_of(address(ledger)[1]), anchors)


def test_1_000_identities_are_issued_in_less_than_2_seconds(
    record_property: Callable[[str, object], None],
) -> None:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp:
        spec = cp.platform.core.resources.get(ResourceKey("Mesh", "default", "default")).spec
        issuer = IdentityIssuer(cp.platform.core.authorities, timedelta(days=90))
        bare = bare_leaves(IDENTITIES, time.thread_time)
        best, floor = map(min, zip(*[(_seconds(issuer, spec), bare()) for _ in range(3)], strict=True))
    record_property("seconds_for_1000_identities", round(best, 3))
    print(f"{IDENTITIES} identities in {best:.2f} s, by bare cryptography in {floor:.2f} s")
    assert best < max(SECONDS, FLOORS * floor)


def _seconds(issuer: IdentityIssuer, spec: object) -> float:
    """Of a processor: what else runs on the machine at this moment does not count."""
    began = time.thread_time()
    serials = {issuer.issue("default", spec, [f"web-{n}"]).chain for n in range(IDENTITIES)}  # type: ignore[arg-type]
    assert len(serials) == IDENTITIES
    return time.thread_time() - began
