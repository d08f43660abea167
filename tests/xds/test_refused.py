"""What a client refused: offered again with back-off, holding back nothing else, and wrong nowhere for good."""

from __future__ import annotations

import pytest

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.seal import Sealed
from kuma_core.xds.server.holdings import MOST_FORMS, Doubt
from kuma_core.xds.server.refusals import BACKOFF_SECONDS, JITTER, Refusals
from kuma_core.xds.snapshot import EMPTY, Snapshot

from .simulation import Link, body, cluster, endpoints, listener, local, outbounds, route, routed, switched

both = pytest.mark.parametrize("variant", ["delta", "sotw"])
TAKEN = (LISTENER, "outbound:127.0.0.1:7101")


def everything(snapshot: Snapshot) -> list[Sealed]:
    return [
        item for url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES) for item in snapshot.resources(url).values()
    ]


def with_more(snapshot: Snapshot, *more: Sealed) -> Snapshot:
    return Snapshot([*everything(snapshot), *more])


@both
@pytest.mark.parametrize("url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
def test_what_was_refused_is_offered_again_after_longer_and_longer_waits(variant, url):
    link = Link(variant)
    link.publish(EMPTY)
    link.client.reject[url] = "not now"
    link.publish(switched("ledger"))
    for seconds in (*BACKOFF_SECONDS, BACKOFF_SECONDS[-1]):
        before = link.client.count(url)
        link.pass_time(seconds * (1 - JITTER) - 0.001)
        assert link.client.count(url) == before, f"sooner than after {seconds} s"
        link.pass_time(seconds * 2 * JITTER + 0.002)
        assert link.client.count(url) == before + 1, f"not after {seconds} s"
    link.client.reject.clear()
    link.pass_all_time()
    assert link.runs(switched("ledger"))
    before = link.client.count()
    link.pass_time(10_000)
    assert link.client.count() == before, "what was accepted is not offered again"


@both
def test_a_port_that_was_taken_for_a_moment_gets_its_listener(variant):
    link = Link(variant)
    link.client.bad[TAKEN] = "cannot bind"
    link.publish(outbounds(ledger=7101))
    assert not link.client.resources[LISTENER]
    assert not link.stream.settled(LISTENER)
    link.pass_time(0.5)
    link.client.bad.clear()
    link.pass_time(1)
    assert link.runs(outbounds(ledger=7101))
    assert link.stream.wake() is None


@both
def test_other_content_is_offered_at_once(variant):
    link = Link(variant)
    link.client.bad[TAKEN] = "cannot bind"
    link.publish(outbounds(ledger=7101))
    link.client.bad.clear()
    link.publish(outbounds(ledger=7101, mailer=7102))
    assert link.runs(outbounds(ledger=7101, mailer=7102)), "another resource may have been in the way"


@both
def test_what_replaces_a_refused_resource_is_offered_at_once(variant):
    link = Link(variant)
    link.client.bad[TAKEN] = "cannot bind"
    link.publish(outbounds(ledger=7101))
    link.publish(outbounds(ledger=7102))
    assert link.runs(outbounds(ledger=7102))
    before = link.client.count()
    link.pass_time(10_000)
    assert link.client.count() == before


@both
def test_an_outbound_that_was_moved_to_a_taken_port_and_back_has_its_listener(variant):
    """Envoy removes the old listener though it refuses the response."""
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    link.client.bad[TAKEN] = "cannot bind"
    link.publish(outbounds(ledger=7101))
    assert not link.client.resources[LISTENER]
    link.publish(outbounds(ledger=7100))
    assert link.runs(outbounds(ledger=7100))
    assert link.stream.settled(LISTENER)


@both
def test_so_it_has_at_another_control_plane(variant):
    """What the client tells of itself is older than what it applied."""
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    link.client.bad[TAKEN] = "cannot bind"
    link.publish(outbounds(ledger=7101))
    other = Link(variant, link.client)
    other.publish(outbounds(ledger=7100))
    assert other.runs(outbounds(ledger=7100))


@both
@pytest.mark.parametrize("new_stream", [False, True])
def test_good_parts_of_a_refused_response_are_taken_back_too(variant, new_stream):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    link.client.bad[TAKEN] = "cannot bind"
    link.client.bad[CLUSTER, "refused"] = "bad address"
    changed = [
        cluster("ledger", 7),
        cluster("refused"),
        endpoints("ledger", 9000),
        listener(7100, "ledger"),
        listener(7101, "ledger"),
        listener(7102, "ledger"),
    ]
    link.publish(Snapshot(changed))
    assert link.client.resources[LISTENER].keys() == {"outbound:127.0.0.1:7100", "outbound:127.0.0.1:7102"}
    assert link.client.resources[CLUSTER]["ledger"] == body(cluster("ledger", 7))
    if new_stream:
        link = Link(variant, link.client)
    link.publish(outbounds(ledger=7100))
    assert link.runs(outbounds(ledger=7100))


@both
def test_a_refused_listener_holds_back_no_other(variant):
    link = Link(variant)
    link.publish(outbounds(mailer=7100))
    link.client.bad[TAKEN] = "cannot bind"
    link.publish(outbounds(ledger=7101, mailer=7100))
    link.publish(outbounds(ledger=7101, search=7102))
    running = link.client.resources
    assert running[LISTENER].keys() == {"outbound:127.0.0.1:7102"}
    assert running[ENDPOINTS]["search"] == body(endpoints("search", 9000))
    kept = running[CLUSTER].keys() - {"ledger", "search"}
    assert kept == (set() if variant == "delta" else {"mailer"}), "a refused removal may not have happened"


@both
@pytest.mark.parametrize("url", [ENDPOINTS, ROUTES])
def test_refused_endpoints_and_routes_hold_back_no_others(variant, url):
    """Envoy stops at the first bad one of a response, and leaves out those behind it."""

    def content(port: int, service: str) -> Snapshot:
        names = ("a", "b", "c")
        found = [cluster(name) for name in (*names, "d")] + [endpoints("d", 9000)]
        found += [endpoints(name, port) for name in names]
        found += [item for i, n in enumerate(names) for item in (routed(7100 + i, n), route(n, service))]
        return Snapshot(found)

    link = Link(variant)
    link.publish(content(9000, "a"))
    link.client.bad[url, "a"] = "a bad one"
    link.publish(content(9001, "d"))
    wanted = content(9001, "d").resources(url)
    held = link.client.resources[url]
    assert {name for name in wanted if held.get(name) == body(wanted[name])} == wanted.keys() - {"a"}
    link.client.bad.clear()
    link.pass_all_time()
    assert link.runs(content(9001, "d"))


@both
def test_a_refused_cluster_holds_back_only_what_would_break_without_it(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100, mailer=7200))
    link.client.bad[CLUSTER, "refused"] = "bad address"
    moved = [cluster("refused"), endpoints("refused", 1), cluster("search"), endpoints("search", 9000)]
    wanted = [*moved, listener(7100, "refused"), listener(7200, "search"), listener(7300, "search")]
    link.publish(Snapshot(wanted))
    held = link.client.resources[LISTENER]
    assert held["outbound:127.0.0.1:7100"] == body(listener(7100, "ledger")), "it stays as it was"
    assert held["outbound:127.0.0.1:7200"] == body(listener(7200, "search"))
    assert held["outbound:127.0.0.1:7300"] == body(listener(7300, "search"))
    assert link.client.resources[CLUSTER].keys() == {"ledger", "search"}, "one is still used, one is not"
    link.client.bad.clear()
    link.pass_all_time()
    assert link.runs(Snapshot(wanted))


def test_a_refused_change_of_a_cluster_holds_back_no_listener():
    link = Link("delta")
    link.publish(outbounds(ledger=7100))
    link.client.bad[CLUSTER, "ledger"] = "bad address"
    link.publish(Snapshot([cluster("ledger", 7), endpoints("ledger", 9000), listener(7101, "ledger")]))
    assert link.client.resources[LISTENER].keys() == {"outbound:127.0.0.1:7101"}


def test_the_bad_one_of_many_is_found_in_few_steps():
    link = Link("delta")
    link.client.bad[CLUSTER, "localhost:9077"] = "bad address"
    link.publish(Snapshot([local(9000 + number) for number in range(256)]))
    assert len(link.client.resources[CLUSTER]) == 255
    refused = [error for url, error in link.recorder.answers if error]
    assert len(refused) == 9, "256, 128, 64, 32, 16, 8, 4, 2 and 1"
    before = link.client.count(CLUSTER)
    link.pass_time(2)
    assert [item.names for item in link.client.received if item.type_url == CLUSTER][before:] == [
        ("localhost:9077",)
    ]


@both
def test_refused_removals_are_offered_again_with_back_off(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    link.client.reject[LISTENER] = "no"
    link.publish(EMPTY)
    assert link.client.resources[LISTENER]
    assert link.client.resources[CLUSTER], "a listener uses it"
    link.client.reject.clear()
    link.pass_time(2)
    assert link.runs(EMPTY)


@both
def test_endpoints_that_a_changed_cluster_waits_for_are_sent_though_they_were_refused(variant):
    link = Link(variant)
    link.client.bad[ENDPOINTS, "ledger"] = "no such host"
    link.publish(outbounds(ledger=7100))
    before = link.client.count(ENDPOINTS)
    link.publish(Snapshot([cluster("ledger", 7), endpoints("ledger", 9000), listener(7100, "ledger")]))
    assert link.client.count(ENDPOINTS) == before + 1


@both
def test_a_type_is_up_to_date_only_when_all_of_it_is_accepted(variant):
    """A part that is accepted is no news of the whole."""
    link = Link(variant)
    link.client.bad[TAKEN] = "cannot bind"
    wanted = outbounds(ledger=7101, mailer=7102)
    link.publish(wanted)
    assert LISTENER not in link.recorder.versions
    assert link.recorder.refused[LISTENER] == "cannot bind"
    link.client.bad.clear()
    link.pass_all_time()
    assert link.recorder.versions[LISTENER] == wanted.version(LISTENER)
    assert link.recorder.refused[LISTENER] == ""


@both
def test_a_type_is_up_to_date_when_what_is_gone_went_with_something_else(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100, mailer=7200))
    wanted = outbounds(ledger=7100)
    link.publish(wanted)
    again = Link(variant, link.client)
    again.publish(wanted)
    for url in (CLUSTER, ENDPOINTS, LISTENER):
        assert link.recorder.versions[url] == again.recorder.versions[url] == wanted.version(url)


@both
def test_a_refused_end_of_everything_is_offered_again_to_a_client_that_is_back(variant):
    """The server of the new stream has never seen what there is to remove."""
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    again = Link(variant, link.client)
    again.client.reject[CLUSTER] = "not now"
    again.publish(EMPTY)
    again.client.reject.clear()
    again.pass_all_time()
    assert again.runs(EMPTY)


@both
def test_however_much_is_refused_little_is_remembered(variant):
    link = Link(variant)
    link.publish(outbounds(ledger=7100))
    link.client.reject = {CLUSTER: "no", LISTENER: "no", ENDPOINTS: "no"}
    for number in range(300):
        service = f"s{number}"
        news = [cluster(service), endpoints(service, 9000), cluster("ledger", 6 + number)]
        link.publish(Snapshot([*news, endpoints("ledger", number), listener(7100, service)]))
    for subscription in link.stream._subscriptions.values():
        assert len(subscription.refusals) <= 3
        assert len(subscription.held) <= 4
        doubts = [item for item in subscription.held.values() if isinstance(item, Doubt)]
        assert all(len(item.refused) <= MOST_FORMS for item in doubts)
    link.client.reject.clear()
    link.publish(outbounds(mailer=7100))
    link.pass_all_time()
    assert link.runs(outbounds(mailer=7100))
    for subscription in link.stream._subscriptions.values():
        assert len(subscription.refusals) == 0
        assert subscription.held.keys() <= {"mailer", "outbound:127.0.0.1:7100"}


def test_the_waits_of_many_proxies_are_spread():
    due = set()
    for _ in range(50):
        refusals = Refusals(lambda: 0.0)
        refusals.note({"a": "1"}, "no")
        due.add(refusals.next_due(0.0))
    assert len(due) > 40
    assert all(1 - JITTER <= at <= 1 + JITTER for at in due)
