"""The ADS server over a real gRPC connection, with fake Envoys."""

from __future__ import annotations

import grpc
import pytest
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest

import kuma_store_memory
from kuma_core.builtin.insights.writer import HISTORY
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import METHODS, fleet
from kuma_core.testing.platform import running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient, SotwClient
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER

CLIENTS = {"delta": DeltaClient, "sotw": SotwClient}
both = pytest.mark.parametrize("variant", ["delta", "sotw"])


@pytest.fixture(scope="module")
def cp():
    with running_platform([kuma_store_memory]) as found:
        yield found


@pytest.fixture
def envoys(cp):
    with fleet(cp) as found:
        yield found


def echo(name, port, **tags):
    return dataplane(name, inbound(f"127.0.0.1:{port}:{port + 1}", "echo", **tags))


def caller(name, service="echo"):
    return dataplane(name, inbound("127.0.0.1:8000:8001", name), outbounds=[outbound(":7100", service)])


def subscriptions(cp, name, mesh="default"):
    insight = cp.get(f"/meshes/{mesh}/dataplane-insights/{name}")
    return insight.body.get("subscriptions", []) if insight.status == 200 else []


@both
def test_scenarios_43_and_51_a_client_that_names_its_node_once_is_configured_and_counted(cp, envoys, variant):
    name = f"web-{variant}"
    cp.apply(echo("echo-1", 9000), caller(name))
    envoy = envoys.connect(CLIENTS[variant](f"default.{name}"))
    eventually(lambda: envoy.client.resources[LISTENER])
    assert envoy.client.resources[CLUSTER].keys() == {"localhost:8001", "echo"}

    def settled():
        subscription = subscriptions(cp, name)[0]
        status = subscription["status"]
        assert status["total"] == {"responsesSent": "3", "responsesAcknowledged": "3"}
        return subscription

    subscription = eventually(settled)
    assert subscription["controlPlaneInstanceId"] == cp.platform.instance_id
    assert subscription["status"]["rds"] == {}
    assert "disconnectTime" not in subscription


@both
def test_a_stream_that_ends_is_closed_in_the_insight(cp, envoys, variant):
    name = f"leaver-{variant}"
    cp.apply(caller(name))
    envoy = envoys.connect(CLIENTS[variant](f"default.{name}"))
    eventually(lambda: subscriptions(cp, name))
    envoys.disconnect(envoy)
    eventually(lambda: "disconnectTime" in subscriptions(cp, name)[0])


@both
def test_scenario_47_a_dataplane_that_is_applied_later_is_configured_without_reconnecting(
    cp, envoys, variant
):
    name = f"late-{variant}"
    envoy = envoys.connect(CLIENTS[variant](f"default.{name}"))
    eventually(lambda: cp.platform.core.proxies.streams.connected() >= 1)
    assert envoy.client.received == []
    cp.apply(caller(name))
    eventually(lambda: envoy.client.resources[LISTENER])
    eventually(lambda: subscriptions(cp, name), what="an insight for a stream that was open before")


@both
def test_scenario_45_a_rejection_is_counted_and_its_text_kept_until_the_next_acceptance(cp, envoys, variant):
    name = f"picky-{variant}"
    cp.apply(caller(name))
    client = CLIENTS[variant](f"default.{name}")
    client.reject[LISTENER] = "cannot bind"
    envoys.connect(client)

    def rejected():
        status = subscriptions(cp, name)[0]["status"]
        counted = {key: int(value) for key, value in status["lds"].items()}
        assert counted["responsesRejected"] == counted["responsesSent"] >= 1
        assert counted.get("responsesAcknowledged", 0) == 0
        return status["lastRejection"]

    assert eventually(rejected) == "lds: cannot bind"
    del client.reject[LISTENER]
    changed = caller(name)
    changed["networking"]["outbound"][0]["interface"] = ":7101"
    cp.apply(changed)
    eventually(lambda: "lastRejection" not in subscriptions(cp, name)[0]["status"])


def test_scenario_9_a_change_in_one_mesh_sends_nothing_to_another(cp, envoys):
    cp.apply(mesh("island"), {**caller("web"), "mesh": "island"}, caller("mainland"))
    there = envoys.connect(DeltaClient("island.web"))
    here = envoys.connect(DeltaClient("default.mainland"))
    eventually(lambda: there.client.resources[LISTENER] and here.client.resources[LISTENER])
    before = there.client.count()
    cp.apply(echo("echo-9", 9900))
    eventually(lambda: here.client.count(ENDPOINTS) >= 2)
    assert there.client.count() == before


def test_deleting_a_mesh_empties_its_proxies(cp, envoys):
    cp.apply(mesh("doomed"), {**caller("web"), "mesh": "doomed"})
    envoy = envoys.connect(DeltaClient("doomed.web"))
    eventually(lambda: envoy.client.resources[LISTENER])
    assert cp.delete("/meshes/doomed").status == 200
    eventually(lambda: not envoy.client.resources[LISTENER] and not envoy.client.resources[CLUSTER])


@pytest.mark.parametrize("node_id", ["", "web", ".web", "default."])
def test_a_node_id_that_nobody_can_read_ends_the_stream(cp, node_id):
    request = DeltaDiscoveryRequest(node=Node(id=node_id), type_url=CLUSTER)
    error = _raw(cp, METHODS[DeltaClient], bytes(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f'node id "{node_id}"' in error.details()


def _raw(cp, method, *requests):
    """The status code with which a stream ends after some requests."""
    trusted = grpc.ssl_channel_credentials(cp.trusted)
    with grpc.secure_channel(f"127.0.0.1:{cp.xds_port}", trusted) as channel:
        metadata = (("authorization", cp.token("web")),)
        call = channel.stream_stream(method)(iter(requests), metadata=metadata)
        with pytest.raises(grpc.RpcError) as error:
            list(call)
        return error.value


def test_a_request_without_a_type_ends_the_stream(cp):
    error = _raw(cp, METHODS[DeltaClient], bytes(DeltaDiscoveryRequest(node=Node(id="default.web"))))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "type URL is required for ADS"


def test_the_v2_service_and_v2_types_are_unimplemented(cp):
    service = "/envoy.service.discovery.v2.AggregatedDiscoveryService/StreamAggregatedResources"
    assert _raw(cp, service, b"").code() is grpc.StatusCode.UNIMPLEMENTED
    old = bytes(DeltaDiscoveryRequest(type_url="type.googleapis.com/envoy.api.v2.Cluster"))
    assert _raw(cp, METHODS[DeltaClient], old).code() is grpc.StatusCode.UNIMPLEMENTED


def test_garbage_ends_its_own_stream_only(cp, envoys):
    cp.apply(caller("steady"))
    steady = envoys.connect(DeltaClient("default.steady"))
    eventually(lambda: steady.client.resources[LISTENER])
    assert _raw(cp, METHODS[DeltaClient], b"\xff" * 20).code() is grpc.StatusCode.INVALID_ARGUMENT
    cp.apply(echo("echo-8", 9800))
    eventually(lambda: steady.client.count(ENDPOINTS) >= 2)


def test_the_history_of_streams_is_bounded(cp, envoys):
    cp.apply(caller("restless"))
    for _ in range(HISTORY + 3):
        envoy = envoys.connect(DeltaClient("default.restless"))
        eventually(lambda envoy=envoy: envoy.client.received)
        envoys.disconnect(envoy)
    last = envoys.connect(DeltaClient("default.restless"))
    eventually(lambda: last.client.received)

    def settled():
        found = subscriptions(cp, "restless")
        assert [item for item in found if "disconnectTime" not in item]
        return found

    assert len(eventually(settled)) <= HISTORY
