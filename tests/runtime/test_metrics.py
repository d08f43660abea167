"""Each of the kernel's own metrics moves when the thing happens that it tells of, and only then."""

from __future__ import annotations

import http.client
import io
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import kuma_ca_builtin
from kuma_core.log_queue import LogQueue
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.runtime import metrics
from kuma_core.runtime.http import WORKERS, HttpServer, bind
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import ENDPOINTS
from kuma_core.xds.server.sds_hub import MadeSecret
from kuma_store_memory.store import MemoryStore

from ..api.support import BreakableStorePlugin, send
from ..security.support import SDS, stream

WRITE_TO_ACK = "kuma_xds_write_to_ack_seconds"
WEB = dataplane("web-1", inbound("127.0.0.1:8000:8001", "web"), outbounds=[outbound(":7100", "echo")])


def echo(number: int) -> dict[str, Any]:
    return dataplane(f"echo-{number}", inbound(f"127.0.0.1:{20000 + number}:9000", "echo"))


def value(cp: RunningPlatform, sample: str, **labels: str) -> float:
    """The sum of all samples of this name that have these labels; 0 if there is none."""
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    return sum(
        item.value
        for family in text_string_to_metric_families(text)
        for item in family.samples
        if item.name == sample and labels.items() <= item.labels.items()
    )


@pytest.fixture(scope="module")
def plugin() -> BreakableStorePlugin:
    return BreakableStorePlugin()


@pytest.fixture(scope="module")
def cp(plugin: BreakableStorePlugin) -> Iterator[RunningPlatform]:
    with running_platform([plugin, kuma_ca_builtin]) as platform:
        platform.apply(echo(0), WEB)
        yield platform


def configured(client: DeltaClient) -> bool:
    return client.count(ENDPOINTS) > 0


# -- from a write to the last acknowledgement


def test_a_write_is_one_observation_and_one_that_touches_nobody_is_none(cp: RunningPlatform) -> None:
    client = DeltaClient("default.web-1")
    with fleet(cp) as envoys:
        before = value(cp, f"{WRITE_TO_ACK}_count")
        envoys.connect(client)
        eventually(lambda: configured(client))
        cp.catch_up()
        cp.apply(dataplane("far", inbound("127.0.0.1:21000:9000", "far")))  # which nobody calls
        cp.catch_up()
        assert value(cp, f"{WRITE_TO_ACK}_count") == before
        seconds = value(cp, f"{WRITE_TO_ACK}_sum")
        cp.apply(echo(1))
        eventually(lambda: value(cp, f"{WRITE_TO_ACK}_count") == before + 1)
        assert 0 < value(cp, f"{WRITE_TO_ACK}_sum") - seconds < 30
        assert value(cp, f"{WRITE_TO_ACK}_bucket", le="+Inf") == before + 1
        assert client.count(ENDPOINTS) == 2
        assert cp.delete("/meshes/default/dataplanes/echo-1").status == 200
        eventually(lambda: value(cp, f"{WRITE_TO_ACK}_count") == before + 2)
    assert value(cp, "kuma_xds_unanswered_writes") == 0


def test_the_time_begins_before_the_store_takes_the_write(
    cp: RunningPlatform, plugin: BreakableStorePlugin
) -> None:
    client = DeltaClient("default.web-1")
    with fleet(cp) as envoys:
        envoys.connect(client)
        eventually(lambda: configured(client))
        cp.catch_up()
        count, seconds = value(cp, f"{WRITE_TO_ACK}_count"), value(cp, f"{WRITE_TO_ACK}_sum")
        times = cp.platform.core.store_times
        times.begun(ResourceKey("Dataplane", "default", "echo-0"))  # as the store is slow to tell of it
        threading.Event().wait(0.3)
        cp.apply(dataplane("echo-0", inbound("127.0.0.1:20500:9000", "echo")))
        eventually(lambda: value(cp, f"{WRITE_TO_ACK}_count") == count + 1)
        assert value(cp, f"{WRITE_TO_ACK}_sum") - seconds >= 0.3


def test_a_write_that_the_store_refuses_is_forgotten(
    cp: RunningPlatform, plugin: BreakableStorePlugin
) -> None:
    answer = cp.delete("/meshes/default/dataplanes/nobody")
    assert answer.status == 404
    assert ResourceKey("Dataplane", "default", "nobody") not in cp.platform.core.store_times._began


def test_a_proxy_that_answers_nothing_is_waited_for_until_it_leaves(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = DeltaClient("default.web-1")
    with fleet(cp) as envoys:
        envoy = envoys.connect(client)
        eventually(lambda: configured(client))
        cp.catch_up()
        monkeypatch.setattr(client, "take", lambda data: [])
        before = value(cp, f"{WRITE_TO_ACK}_count")
        cp.apply(echo(2))
        eventually(lambda: value(cp, "kuma_xds_unanswered_writes") == 1)
        cp.apply(echo(3))
        eventually(lambda: value(cp, "kuma_xds_unanswered_writes") == 2)
        assert value(cp, "kuma_xds_oldest_unanswered_write_seconds") > 0
        envoys.disconnect(envoy)
        eventually(lambda: value(cp, "kuma_xds_unanswered_writes") == 0)
    assert value(cp, "kuma_xds_oldest_unanswered_write_seconds") == 0
    assert value(cp, f"{WRITE_TO_ACK}_count") == before


def test_a_rejection_is_no_acknowledgement(cp: RunningPlatform) -> None:
    client = DeltaClient("default.web-1")
    with fleet(cp) as envoys:
        envoys.connect(client)
        eventually(lambda: configured(client))
        cp.catch_up()
        before = value(cp, f"{WRITE_TO_ACK}_count")
        client.reject[ENDPOINTS] = "no"
        rejected = value(cp, "kuma_xds_responses_rejected_total")
        cp.apply(echo(4))
        eventually(lambda: value(cp, "kuma_xds_responses_rejected_total") > rejected)
        eventually(lambda: value(cp, "kuma_xds_unanswered_writes") == 0)
        assert value(cp, f"{WRITE_TO_ACK}_count") == before


def test_each_control_plane_tells_of_its_own_proxies() -> None:
    shared = SharedStore(MemoryStore())
    with running_platform([shared]) as here, running_platform([shared]) as there:
        here.apply(echo(0), WEB)
        client = DeltaClient("default.web-1")
        with fleet(there) as envoys:
            envoys.connect(client)
            eventually(lambda: configured(client))
            there.catch_up()
            here.apply(echo(1))
            eventually(lambda: value(there, f"{WRITE_TO_ACK}_count") == 1)
        assert value(here, f"{WRITE_TO_ACK}_count") == 0


def test_generation_is_counted(cp: RunningPlatform) -> None:
    client = DeltaClient("default.web-1")
    before = value(cp, "kuma_xds_generation_seconds_count")
    with fleet(cp) as envoys:
        envoys.connect(client)
        eventually(lambda: value(cp, "kuma_xds_generation_seconds_count") > before)


# -- requests, and calls of the store


def requests(cp: RunningPlatform, route: str, method: str, code: str) -> float:
    return value(cp, "kuma_http_request_seconds_count", route=route, method=method, code=code)


@pytest.mark.parametrize(
    ("method", "path", "route", "code"),
    [
        ("GET", "/meshes/default", "/meshes/{mesh}", "200"),
        ("GET", "/meshes/nobody", "/meshes/{mesh}", "404"),
        ("PUT", "/meshes/default/dataplanes/x", "/meshes/{mesh}/dataplanes/{name}", "400"),
        ("GET", "/nowhere/at/all", "unknown", "404"),
        ("GET", "/meshes/./default", "unknown", "301"),
        ("POST", "/meshes", "/meshes", "405"),
    ],
)
def test_requests_by_route_method_and_code(
    cp: RunningPlatform, method: str, path: str, route: str, code: str
) -> None:
    before = requests(cp, route, method, code)
    assert send(cp.api, method, path).status == int(code)
    assert requests(cp, route, method, code) == before + 1


def test_no_client_makes_labels_up(cp: RunningPlatform) -> None:
    for number in range(3):
        send(cp.api, f"MADE{number}", f"/made/up/{number}")
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    assert not {"made", "MADE"} & set(text.replace('"', "/").split("/"))
    assert "MADE0" not in text


def test_the_other_servers_are_counted_and_probes_are_not(cp: RunningPlatform) -> None:
    before = requests(cp, "/bootstrap", "POST", "400"), requests(cp, "/tokens", "POST", "200")
    cp.request("POST", "/bootstrap", {}, cp.bootstrap)
    cp.token("web-1")
    assert requests(cp, "/bootstrap", "POST", "400") == before[0] + 1
    assert requests(cp, "/tokens", "POST", "200") == before[1] + 1
    assert value(cp, "kuma_http_request_seconds_count", route="/metrics") == 0


def calls(cp: RunningPlatform, verb: str, outcome: str) -> float:
    return value(cp, "kuma_store_call_seconds_count", verb=verb, outcome=outcome)


def test_calls_of_the_store_by_verb_and_outcome(cp: RunningPlatform, plugin: BreakableStorePlugin) -> None:
    created, deleted = calls(cp, "create", "answered"), calls(cp, "delete", "answered")
    cp.apply(mesh("counted"))
    assert calls(cp, "create", "answered") > created
    assert cp.delete("/meshes/counted").status == 200
    assert calls(cp, "delete", "answered") > deleted
    answered = calls(cp, "get", "answered")
    assert cp.get("/meshes/nobody").status == 404  # which is an answer
    assert calls(cp, "get", "answered") > answered


def test_what_cannot_be_reached_has_failed(cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    from kuma_core.errors import StoreUnavailable

    def fail(*_: Any) -> None:
        raise StoreUnavailable("the disk is on fire")

    store: Any = cp.platform.core.store
    failed = calls(cp, "list", "failed")
    with monkeypatch.context() as patch:
        patch.setattr(store._store, "list", fail, raising=False)
        assert cp.get("/meshes").status == 503
    assert calls(cp, "list", "failed") > failed


# -- certificates


def test_certificates_of_connected_proxies(cp: RunningPlatform) -> None:
    cp.apply(mesh("safe", mtls={"enabled": True, "ca": {"builtin": {}}}))
    cp.apply(dataplane("web-1", inbound("127.0.0.1:8002:8001", "web"), mesh="safe"))
    assert value(cp, "kuma_sds_certificates") == 0
    with stream(cp, SDS, cp.token("web-1", "safe")) as opened:
        opened.ask("identity_cert", node="safe.web-1")
        opened.secret()
        assert value(cp, "kuma_sds_certificates", age="young") == 1
        assert value(cp, "kuma_sds_certificates") == 1
    eventually(lambda: value(cp, "kuma_sds_certificates") == 0)


@pytest.mark.parametrize(
    ("at", "age"), [(0, "young"), (40, "middle"), (70, "due"), (85, "late"), (100, "ended"), (-50, "young")]
)
def test_a_certificate_ages(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch, at: float, age: str
) -> None:
    made: Any = MadeSecret(None, "", issued=1000, ends=1100)  # type: ignore[arg-type]  # nobody sends it
    monkeypatch.setattr(cp.platform.core.proxies.secrets_hub, "sent", lambda _: [made])
    monkeypatch.setattr(metrics.time, "time", lambda: 1000 + at)
    assert value(cp, "kuma_sds_certificates", age=age) == 1
    assert value(cp, "kuma_sds_certificates") == 1


# -- what waits


def test_what_the_reconciler_has_not_looked_at(cp: RunningPlatform, plugin: BreakableStorePlugin) -> None:
    reconciler = cp.platform.core.proxies.reconciler
    assert value(cp, "kuma_queue_length", queue="changes") == 0
    with plugin.hanging():
        reconciler.changed(Change(Op.RESYNC))
        eventually(lambda: reconciler.beat.reading)
        for number in range(3):
            reconciler.changed(Change(Op.PUT, ResourceKey("Dataplane", "default", f"x{number}")))
        assert value(cp, "kuma_queue_length", queue="changes") == 3
    eventually(lambda: value(cp, "kuma_queue_length", queue="changes") == 0)


def test_every_queue_is_told(cp: RunningPlatform) -> None:
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    (family,) = [item for item in text_string_to_metric_families(text) if item.name == "kuma_queue_length"]
    assert {sample.labels["queue"] for sample in family.samples} == {
        *("changes", "proxies", "reports", "certificates"),
        *("api-server", "admin-server", "admin-socket", "bootstrap-server", "diagnostics-server"),
    }


def test_requests_that_wait_for_a_worker() -> None:
    goes_on = threading.Event()

    def app(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        goes_on.wait(30)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    listener = bind("apiServer.port", "KUMA_API_SERVER_PORT", 0, "127.0.0.1")
    server = HttpServer("api-server", app, listener)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.close)
        stack.callback(goes_on.set)
        for _ in range(WORKERS + 2):
            client = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=30)
            stack.enter_context(closing(client)).request("GET", "/")
        eventually(lambda: server.waiting() == 2)
        goes_on.set()
        eventually(lambda: server.waiting() == 0)


def test_lines_of_the_log_that_nobody_reads(cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = os.pipe()
    with io.FileIO(reads) as reader, io.FileIO(writes, "w") as end:
        queue = LogQueue(writes, most_bytes=200_000)
        monkeypatch.setattr(sys, "stderr", queue)
        queue.write("x" * 150_000)  # more than a pipe holds
        eventually(lambda: value(cp, "kuma_log_waiting_bytes") == 0)
        queue.write("y" * 150_000)
        assert value(cp, "kuma_log_waiting_bytes") == 150_000
        queue.write("z" * 100_000 + "\n")
        assert value(cp, "kuma_log_lost_lines_total") == 1
        reading = threading.Thread(target=reader.readall)
        reading.start()
        assert queue.drain(10)
        end.close()
        reading.join()


def test_a_control_plane_knows_its_memory(cp: RunningPlatform) -> None:
    assert value(cp, "process_resident_memory_bytes") > 10_000_000
