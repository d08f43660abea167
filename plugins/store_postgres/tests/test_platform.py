"""Whole control planes over a real PostgreSQL: restarts on both sides, and several over one database."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import grpc
import pytest

import kuma_ca_builtin
import kuma_store_postgres
from kuma_core.sdk import ENDPOINTS, ConfigError
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from .server import OwnServer, Server

PLUGINS = [kuma_store_postgres]
ORDERS = dataplane("orders-1", inbound("10.0.0.1:80:80", "orders"))


def ready(cp: RunningPlatform) -> int:
    return cp.request("GET", "/ready", port=cp.diagnostics).status


def test_rest_is_served_and_survives_a_restart_of_the_control_plane(server: Server, database: str) -> None:
    environ = server.environ(database)
    with running_platform(PLUGINS, environ) as cp:
        cp.apply(mesh("shop"), ORDERS, dataplane("web-1", inbound("10.0.0.2:80:80", "web"), mesh="shop"))
        assert cp.put("/meshes/default/dataplanes/orders-1", ORDERS).headers["Kuma-Result"] == "unchanged"
        before = cp.get("/meshes/shop/dataplanes").body
        token = cp.token("orders-1")
    with running_platform(PLUGINS, environ) as cp:
        assert cp.get("/meshes/shop/dataplanes").body == before
        assert cp.get("/meshes/default/dataplanes/orders-1").status == 200
        with fleet(cp) as envoys:
            envoy = envoys.connect(DeltaClient("default.orders-1"), token)
            eventually(lambda: envoy.client.received, what="an answer to the token of the first run")
        assert cp.delete("/meshes/shop").status == 200
        assert cp.get("/meshes/shop/dataplanes/web-1").status == 404
    eventually(lambda: not server.clients(database), what="a database without clients")


def test_names_may_be_as_long_as_the_api_takes_them(server: Server, database: str) -> None:
    """A secret's name is longer than that of its mesh."""
    with running_platform([*PLUGINS, kuma_ca_builtin], server.environ(database)) as cp:
        name = "a" * 253
        cp.apply(
            mesh(name, mtls={"enabled": True, "ca": {"builtin": {}}}), {**ORDERS, "mesh": name, "name": name}
        )
        assert cp.get(f"/meshes/{name}/dataplanes/{name}").status == 200


def test_a_restart_of_the_database_is_survived(mortal_server: OwnServer, mortal_database: str) -> None:
    environ = mortal_server.environ(mortal_database)
    with running_platform(PLUGINS, environ) as cp, fleet(cp) as envoys:
        cp.apply(ORDERS, _client())
        envoy = envoys.connect(DeltaClient("default.web-1"))
        eventually(lambda: _sees(envoy.client, "10.0.0.1"))
        mortal_server.kill()
        try:
            answer = cp.get("/meshes/default/dataplanes")
            assert answer.status == 503
            assert answer.body["details"] == "The store cannot be reached at the moment; try again later"
            assert cp.put("/meshes/default/dataplanes/orders-1", ORDERS).status == 503
            eventually(lambda: ready(cp) == 503)
            assert cp.request("GET", "/healthy", port=cp.diagnostics).status == 200
            assert envoy.code is None
            assert _sees(envoy.client, "10.0.0.1")
        finally:
            mortal_server.start()
        eventually(lambda: ready(cp) == 200, 30, "a control plane that is ready again")
        assert cp.get("/meshes/default/dataplanes/orders-1").status == 200
        cp.apply(dataplane("orders-1", inbound("10.0.0.9:80:80", "orders")))
        eventually(lambda: _sees(envoy.client, "10.0.0.9"), what="a change after the restart")


def test_a_database_that_hangs_starves_no_stream(mortal_server: OwnServer, mortal_database: str) -> None:
    """Whoever is connected stays so, whoever comes is served from memory, and requests are answered in time."""
    environ = mortal_server.environ(mortal_database) | {
        "KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT": "500ms",
        "KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT": "1",
    }
    with running_platform(PLUGINS, environ) as cp, fleet(cp) as envoys:
        cp.apply(ORDERS, _client(), {**_client(), "name": "web-2"})
        token = cp.token("web-2")
        envoy = envoys.connect(DeltaClient("default.web-1"))
        eventually(lambda: _sees(envoy.client, "10.0.0.1"))
        mortal_server.pause(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            late = envoys.connect(DeltaClient("default.web-2"), token)
            eventually(
                lambda: _sees(late.client, "10.0.0.1"), 5, "a proxy that comes while the database hangs"
            )
            assert cp.put("/meshes/default/dataplanes/orders-1", ORDERS).status == 503
            assert time.monotonic() - begun < 15
            eventually(lambda: ready(cp) == 503)
            assert cp.request("GET", "/healthy", port=cp.diagnostics).status == 200
            assert envoy.code is late.code is None
        finally:
            mortal_server.pause(signal.SIGCONT)
        eventually(lambda: ready(cp) == 200, 30, "a control plane that is ready again")
        cp.apply(dataplane("orders-1", inbound("10.0.0.9:80:80", "orders")))
        for client in (envoy.client, late.client):
            eventually(partial(_sees, client, "10.0.0.9"))


def test_a_dataplane_written_on_one_reaches_an_envoy_on_the_other(server: Server, database: str) -> None:
    environ = server.environ(database)
    with running_platform(PLUGINS, environ) as one, running_platform(PLUGINS, environ) as two:
        one.apply(ORDERS, _client())
        with fleet(two) as envoys:
            envoy = envoys.connect(DeltaClient("default.web-1"))
            eventually(lambda: _sees(envoy.client, "10.0.0.1"))
            begun = time.monotonic()
            one.apply(dataplane("orders-1", inbound("10.0.0.7:80:80", "orders")))
            eventually(lambda: _sees(envoy.client, "10.0.0.7"))
            assert time.monotonic() - begun < 10, "told, not found by the look of every minute"
            insights = "/meshes/default/dataplanes+insights/web-1"
            eventually(lambda: one.get(insights).body["dataplaneInsight"]["subscriptions"])


@pytest.mark.parametrize("how", ["revoked", "of a retired key"])
def test_a_stream_whose_token_is_over_by_the_other_one_ends_within_a_second(
    server: Server, database: str, how: str
) -> None:
    environ = server.environ(database)
    with running_platform(PLUGINS, environ) as one, running_platform(PLUGINS, environ) as two:
        one.apply(ORDERS)
        token = one.token("orders-1")
        with fleet(two) as envoys:
            envoy = envoys.connect(DeltaClient("default.orders-1"), token)
            eventually(lambda: envoy.client.received)
            if how == "revoked":
                _admin(one, "POST", "/tokens/revocations", {"token": token})
            else:
                key = _admin(one, "GET", "/tokens/signing-keys")["items"][0]["id"]
                _admin(one, "POST", "/tokens/signing-keys")
                _admin(one, "DELETE", f"/tokens/signing-keys/{key}")
            eventually(lambda: envoy.code is grpc.StatusCode.UNAUTHENTICATED, 1.0, "the end of the stream")


def test_two_that_start_at_once_on_an_empty_database_both_come_up(server: Server, database: str) -> None:
    failures: list[BaseException] = []
    gate = threading.Barrier(2)

    def start() -> None:
        try:
            gate.wait(10)
            with running_platform(PLUGINS, server.environ(database)) as cp:
                assert cp.get("/meshes/default").status == 200
        except BaseException as error:  # noqa: BLE001 - judged by the test
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=40)
    assert failures == []


def test_a_start_without_a_schema_ends_with_the_sentence(server: Server) -> None:
    sentence = "holds no tables of Kuma yet: run `kuma-cp migrate up`"
    with server.database() as name, pytest.raises(ConfigError, match=sentence):
        running_platform(PLUGINS, server.environ(name)).__enter__()


def _admin(cp: RunningPlatform, method: str, path: str, body: object = None) -> Mapping[str, Any]:
    answer = cp.request(method, path, body, cp.admin)
    assert answer.status == 200, answer
    found: Mapping[str, Any] = answer.body
    return found


def _client() -> Mapping[str, object]:
    web = inbound("10.0.0.5:80:80", "web")
    return dataplane("web-1", web, outbounds=[outbound("127.0.0.1:9000", "orders")])


def _sees(client: DeltaClient, address: str) -> bool:
    """Whether the client runs with an endpoint of that address."""
    return any(address.encode() in packed for packed in client.resources[ENDPOINTS].values())
