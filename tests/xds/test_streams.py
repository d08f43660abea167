"""Both variants of the protocol against a client that behaves as Envoy does, without a network."""

from __future__ import annotations

import pytest
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuma_core.testing.xds_client import DeltaClient, SotwClient
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.server.stream import ProtocolError
from kuma_core.xds.snapshot import EMPTY, TYPES, Snapshot
from tests.examples import examples

from .simulation import Link, cluster, endpoints, listener, local, outbounds, route, routed

both = pytest.mark.parametrize("variant", ["delta", "sotw"])


@both
def test_a_first_snapshot_arrives_whole_and_in_order(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100, mailer=7200))
    assert link.runs(outbounds(ledger=7100, mailer=7200))
    order = [item.type_url for item in link.client.received]
    assert order == [CLUSTER, ENDPOINTS, LISTENER]


@both
def test_nothing_is_sent_before_there_is_a_snapshot(variant):
    link = Link(variant)
    link.settle()
    assert link.client.received == []


@both
def test_an_equal_snapshot_sends_nothing(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    before = link.client.count()
    link.publish(outbounds(ledger=7100))
    assert link.client.count() == before


@both
def test_an_endpoint_change_sends_endpoints_alone(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    before = link.client.count()
    link.publish(Snapshot([cluster("ledger"), endpoints("ledger", 9000, 9001), listener(7100, "ledger")]))
    assert [item.type_url for item in link.client.received[before:]] == [ENDPOINTS]


@both
def test_scenario_52_a_proxy_without_resources_gets_empty_answers(variant):
    link = Link(variant)
    link.publish(Snapshot())
    assert {item.type_url for item in link.client.received} == {CLUSTER, LISTENER}
    assert all(item.version and item.nonce for item in link.client.received)


@both
def test_scenario_47_a_deleted_dataplane_is_emptied_and_comes_back(variant):
    link = Link(variant)
    full = outbounds(ledger=7100)
    link.publish(full)
    link.publish(EMPTY)
    assert link.runs(EMPTY)
    last_two = [item.type_url for item in link.client.received[-2:]]
    assert last_two == [LISTENER, CLUSTER], "listeners must go before the clusters that they use"
    link.publish(full)
    assert link.runs(full)


@both
def test_a_removed_service_loses_its_listener_first(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100, mailer=7200))
    before = link.client.count()
    link.publish(outbounds(ledger=7100))
    order = [item.type_url for item in link.client.received[before:]]
    assert order.index(LISTENER) < order.index(CLUSTER)
    assert link.runs(outbounds(ledger=7100))


@both
def test_a_listener_moves_to_another_cluster_without_a_gap(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    moved = Snapshot([cluster("mailer"), endpoints("mailer", 9000), listener(7100, "mailer")])
    link.publish(moved)  # Link checks at every step that listeners find their clusters
    assert link.runs(moved)


@both
def test_a_changed_cluster_gets_its_endpoints_again(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    before = link.client.count()
    link.publish(Snapshot([cluster("ledger", 7), endpoints("ledger", 9000), listener(7100, "ledger")]))
    after = link.client.received[before:]
    assert [item.type_url for item in after] == [CLUSTER, ENDPOINTS]
    assert after[1].names == ("ledger",)


@both
def test_scenario_45_a_rejected_response_waits_for_other_content(variant):
    link = Link(variant)
    link.client.reject[LISTENER] = "no such port"
    link.publish(outbounds(ledger=7100))
    assert link.client.count(LISTENER) == 1
    assert (LISTENER, "no such port") in link.recorder.answers
    del link.client.reject[LISTENER]
    link.publish(outbounds(ledger=7100))
    assert link.client.count(LISTENER) == 1, "the same content must not be sent again"
    nonce = link.client.received[-1].nonce
    link.publish(outbounds(ledger=7101))
    assert link.client.count(LISTENER) == 2
    assert link.client.received[-1].nonce != nonce
    assert link.runs(outbounds(ledger=7101))


@both
def test_after_a_rejection_other_content_brings_everything_that_is_missing(variant):
    link = Link(variant)
    link.client.reject[CLUSTER] = "bad address"
    link.publish(outbounds(ledger=7100, mailer=7200))
    del link.client.reject[CLUSTER]
    link.publish(outbounds(ledger=7100, mailer=7200, search=7300))
    assert link.runs(outbounds(ledger=7100, mailer=7200, search=7300))


@both
def test_rejected_clusters_leave_running_listeners_alone(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    link.client.reject[CLUSTER] = "bad address"
    before = link.client.count(LISTENER)
    link.publish(Snapshot([cluster("mailer"), endpoints("mailer", 9000), listener(7100, "mailer")]))
    assert link.client.count(LISTENER) == before
    assert link.client.resources[LISTENER].keys() == {"outbound:127.0.0.1:7100"}


def test_rejected_clusters_do_not_leave_a_fresh_client_without_listeners():
    link = Link("delta")
    link.client.reject[CLUSTER] = "bad address"
    link.publish(Snapshot([local(9001)]))
    link.request(bytes(DeltaDiscoveryRequest(type_url=LISTENER)))
    assert link.client.count(LISTENER) == 1


def test_scenario_44_endpoints_asked_for_again_are_answered():
    link = Link("sotw")
    link.publish(outbounds(ledger=7100))
    before, client = link.client.count(ENDPOINTS), link.client
    assert isinstance(client, SotwClient)
    link.request(client._request(ENDPOINTS))
    assert client.count(ENDPOINTS) == before + 1


def test_scenario_46_a_stale_nonce_is_not_answered():
    link = Link("sotw")
    link.publish(outbounds(ledger=7100))
    before = link.client.count()
    link.request(bytes(DiscoveryRequest(type_url=CLUSTER, response_nonce="0", version_info="old")))
    assert link.client.count() == before


def test_a_change_of_endpoint_names_is_answered():
    link = Link("sotw")
    link.publish(outbounds(ledger=7100, mailer=7200))
    nonce = link.client.nonces[ENDPOINTS]
    version = link.client.versions[ENDPOINTS]
    before = link.client.count()
    link.request(
        bytes(
            DiscoveryRequest(
                type_url=ENDPOINTS, response_nonce=nonce, version_info=version, resource_names=["ledger"]
            )
        )
    )
    assert link.client.received[before].names == ("ledger",)


def test_endpoints_are_answered_for_the_names_asked_for_only():
    link = Link("sotw")
    link.publish(outbounds(ledger=7100, mailer=7200))
    extra = Snapshot([*_all(outbounds(ledger=7100, mailer=7200)), endpoints("secret", 1)])
    link.publish(extra)
    assert all("secret" not in item.names for item in link.client.received)


def test_scenario_49_a_reconnection_re_sends_nothing():
    first = Link("delta")
    first.publish(outbounds(ledger=7100))
    before = first.client.count()
    second = Link("delta", first.client)
    second.publish(outbounds(ledger=7100))
    new = first.client.received[before:]
    assert all(not item.names for item in new), new


def test_scenario_49_a_reconnection_re_sends_one_identical_set_where_no_version_can_be_believed():
    first = Link("sotw")
    first.publish(outbounds(ledger=7100))
    before = first.client.count()
    second = Link("sotw", first.client)
    second.publish(outbounds(ledger=7100))
    old, new = first.client.received[:before], first.client.received[before:]
    assert [(item.type_url, item.version, item.names) for item in new] == [
        (item.type_url, item.version, item.names) for item in old
    ]


@both
def test_a_reconnection_brings_what_changed_meanwhile(variant):
    first = Link(variant)
    first.publish(outbounds(ledger=7100, mailer=7200))
    second = Link(variant, first.client)
    second.publish(outbounds(ledger=7101, search=7300))
    assert second.runs(outbounds(ledger=7101, search=7300))


def test_a_reconnected_client_loses_listeners_before_clusters():
    first = Link("delta")
    first.publish(outbounds(ledger=7100, mailer=7200))
    before = first.client.count()
    second = Link("delta", first.client)
    second.publish(outbounds(ledger=7100))
    removals = [item.type_url for item in first.client.received[before:] if item.removed]
    assert removals[:2] == [LISTENER, CLUSTER]


def test_endpoints_that_do_not_exist_are_answered_as_removed():
    link = Link("delta")
    link.publish(outbounds(ledger=7100))
    link.request(bytes(DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_subscribe=["nobody"])))
    assert link.client.received[-1].removed == ("nobody",)
    before = link.client.count()
    link.publish(outbounds(ledger=7100))
    assert link.client.count() == before, "once is enough"


def test_a_name_subscribed_again_is_sent_again():
    link = Link("delta")
    link.publish(outbounds(ledger=7100))
    before = link.client.count(ENDPOINTS)
    link.request(bytes(DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_subscribe=["ledger"])))
    assert link.client.count(ENDPOINTS) == before + 1


def test_only_one_response_of_a_type_is_unanswered_and_the_latest_content_wins():
    link = Link("delta")
    link.publish(outbounds(ledger=7100))
    before = link.client.count(ENDPOINTS)
    sent = []
    for port in range(9100, 9120):
        link.stream.snapshot = Snapshot(
            [cluster("ledger"), endpoints("ledger", port), listener(7100, "ledger")]
        )
        sent += list(link.stream.responses())
    assert len(sent) == 1
    for response in sent:
        link._requests.extend(link.client.take(response))
    link.settle()
    assert link.client.count(ENDPOINTS) == before + 2
    assert link.client.versions[ENDPOINTS]["ledger"] == endpoints("ledger", 9119).version


@pytest.mark.parametrize("request_type", [DeltaDiscoveryRequest, DiscoveryRequest])
def test_a_type_is_required_and_v2_is_refused_visibly(request_type):
    variant = "delta" if request_type is DeltaDiscoveryRequest else "sotw"
    with pytest.raises(ProtocolError, match="type URL is required for ADS") as missing:
        Link(variant).stream.take(bytes(request_type(response_nonce="1")))
    assert not missing.value.unimplemented
    with pytest.raises(ProtocolError, match="v3") as old:
        Link(variant).stream.take(bytes(request_type(type_url="type.googleapis.com/envoy.api.v2.Cluster")))
    assert old.value.unimplemented


def test_a_type_that_nobody_serves_is_left_unanswered():
    link = Link("delta")
    link.publish(outbounds(ledger=7100))
    before = link.client.count()
    link.request(
        bytes(DeltaDiscoveryRequest(type_url="type.googleapis.com/envoy.service.runtime.v3.Runtime"))
    )
    assert link.client.count() == before


SERVICES = ["a", "b", "c", "d"]


@st.composite
def _snapshots(draw):
    names = draw(st.sets(st.sampled_from(SERVICES)))
    resources = []
    for index, name in enumerate(sorted(names)):
        target = draw(st.sampled_from(sorted(names)))
        resources.append(cluster(name, draw(st.sampled_from([5, 6]))))
        resources.append(endpoints(name, *draw(st.sets(st.sampled_from([9000, 9001]), max_size=2))))
        if draw(st.booleans()):
            resources.append(listener(7100 + index, target))
        else:
            resources += [routed(7100 + index, f"r{index}"), route(f"r{index}", target)]
    return Snapshot(resources)


_FAULTS = st.sampled_from(
    [
        CLUSTER,
        ENDPOINTS,
        LISTENER,
        ROUTES,
        *((url, name) for name in SERVICES for url in (CLUSTER, ENDPOINTS)),
        *((LISTENER, f"{kind}:{port}") for port in (7100, 7101) for kind in ("outbound:127.0.0.1", "routed")),
        (ROUTES, "r0"),
        (ROUTES, "r1"),
    ]
)


@both
@settings(max_examples=examples(30, chaos=300))
@given(data=st.data())
def test_whatever_happens_the_client_ends_with_the_last_snapshot_and_no_gap(variant, data):
    link = Link(variant)
    client, gapless = link.client, True
    for _ in range(data.draw(st.integers(1, 6))):
        snapshot = data.draw(_snapshots())
        if data.draw(st.booleans()):
            link = Link(variant, client, gapless)
        for fault in data.draw(st.sets(_FAULTS, max_size=2)):
            (client.reject if isinstance(fault, str) else client.bad)[fault] = "not today"
            # a new listener goes out though the client refused its cluster
            gapless = gapless and fault != CLUSTER and fault[0] != CLUSTER
        link.publish(snapshot)
        link.pass_time(data.draw(st.sampled_from([0, 1, 10])))
        if data.draw(st.booleans()):
            client.reject.clear()
            client.bad.clear()
    client.reject.clear()
    client.bad.clear()
    if data.draw(st.booleans()):
        link = Link(variant, client, gapless)
    final = data.draw(_snapshots())
    link.publish(final)
    link.pass_all_time()
    assert link.runs(final)
    assert all(link.stream.settled(url) for url in TYPES)
    assert isinstance(client, DeltaClient | SotwClient)


def _all(snapshot: Snapshot):
    for url in (CLUSTER, ENDPOINTS, LISTENER):
        yield from snapshot.resources(url).values()
