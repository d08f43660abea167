"""What the control plane accepts, a real Envoy accepts: random documents of all kinds, given to one over ADS.

What could be known at the write is to be refused at the write; what depends on the proxy's machine, such as folders and
ports, is left out of the documents.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, mesh
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.policies import snapshot_of

from .one_envoy import OneEnvoy, one_envoy
from .test_mtls import SETTINGS
from .worlds import Document, World, worlds

PLUGINS = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin]
EVERY_RUN, CHAOS = 200, 2000
TAKEN = "Address already in use"
"""Somebody else on this machine was quicker to take a port: the one thing that no document can foresee here."""


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """Also gives Envoys their certificates, as those of a Dataplane that it knows."""
    with running_platform(
        PLUGINS, {**SETTINGS, "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false"}
    ) as platform:
        platform.apply(
            mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}),
            dataplane("proxy", gateway={"service": "x"}),
        )
        yield platform


class Judge:
    """Asks the control plane whether a document is accepted, and Envoy what it thinks of those that are."""

    def __init__(self, cp: RunningPlatform, folder: Path, variant: str, stack: ExitStack) -> None:
        self._cp, self._folder, self._variant = cp, folder, variant
        self._stack = stack
        self._catalog = make_catalog(PLUGINS)
        self._envoys = 0
        self._envoy: OneEnvoy | None = None
        self._running = ExitStack()
        stack.callback(lambda: self._running.close())
        self.accepted: Counter[str] = Counter()

    def accepts(self, document: Document) -> bool:
        kind = self._cp.platform.catalog.kinds[document["type"]]
        scope = f"/meshes/{document['mesh']}" if "mesh" in document else ""
        path = f"{scope}/{kind.path}/{document['name']}"
        answer = self._cp.put(f"{path}?dry-run=validate", document)
        assert answer.status in (200, 400), answer
        return answer.status == 200

    def refusals(self, world: World) -> list[str]:
        """What Envoy refuses of the accepted documents of a world."""
        good = [document for document in world.documents if self.accepts(document)]
        if world.proxy not in good:
            return []
        self.accepted.update(document["type"] for document in good)
        dataplanes = [document for document in good if document["type"] == "Dataplane"]
        rest = [document for document in good if document["type"] != "Dataplane"]
        if not any(document["type"] == "Mesh" for document in rest):
            rest.append({"type": "Mesh", "name": "default"})
        secrets = self._cp.platform.core.proxies.reconciler.maker.secret_server
        refused = self._current().offer(snapshot_of(self._catalog, dataplanes, rest, secrets=secrets))
        if refused:
            self._running.close()  # the next world begins with an Envoy that refused nothing
            self._envoy = None
        return [text for text in refused if TAKEN not in text]

    def _current(self) -> OneEnvoy:
        if self._envoy is None:
            folder = self._folder / str(self._envoys)
            folder.mkdir()
            self._envoys += 1
            self._running = ExitStack()
            self._envoy = self._running.enter_context(one_envoy(folder, self._variant))
        return self._envoy


def run(judge: Judge, examples: int) -> None:
    @settings(
        max_examples=examples,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(worlds())
    def check(world: World) -> None:
        refused = judge.refusals(world)
        assert refused == [], json.dumps(world.documents, indent=1)

    check()


# The control plane in this process draws random numbers, for its jitter, while hypothesis draws its own.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize(
    ("variant", "examples"),
    [("delta", EVERY_RUN), pytest.param("delta", CHAOS, marks=pytest.mark.chaos)],
)
def test_what_is_accepted_is_accepted_by_envoy(
    cp: RunningPlatform, tmp_path: Path, variant: str, examples: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        judge = Judge(cp, tmp_path, variant, stack)
        run(judge, examples)
    with capsys.disabled():
        print(f"\naccepted, and offered to an Envoy: {judge.accepted.total()} {dict(judge.accepted)}")
    assert judge.accepted.total() >= examples
    assert set(judge.accepted) == {*KINDS}


KINDS = (
    *("Mesh", "Dataplane", "TrafficPermission", "TrafficRoute"),
    *("TrafficLog", "HealthCheck", "ProxyTemplate"),
)
