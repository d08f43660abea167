"""The protocol's rules, each as the raw exchange: what a client says, and what it hears.

``docs/explanation/xds.md`` tells the rules and names these tests.
"""

from __future__ import annotations

import pytest

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.server.ordering import RETURN_SECONDS
from kuma_core.xds.snapshot import EMPTY, Snapshot

from .exchange import Exchange, Said, gist
from .simulation import cluster, endpoints, listener, local, outbounds, route, routed, switched

both = pytest.mark.parametrize("variant", ["delta", "sotw"])
named = pytest.mark.parametrize("url", [CLUSTER, LISTENER, ENDPOINTS, ROUTES])
wild = pytest.mark.parametrize("url", [CLUSTER, LISTENER])

THREE = Snapshot(
    [
        item
        for number, name in enumerate("abc")
        for item in (cluster(name), endpoints(name, 9000), routed(7100 + number, name), route(name, name))
    ]
)
NAMES = {LISTENER: ("routed:7100", "routed:7101", "routed:7102")}


def names_of(url: str) -> tuple[str, str, str]:
    return NAMES.get(url, ("a", "b", "c"))


def without(snapshot: Snapshot, *gone: tuple[str, str]) -> Snapshot:
    return Snapshot(
        item
        for url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
        for name, item in snapshot.resources(url).items()
        if (url, name) not in gone
    )


def types(said: list[Said]) -> list[str]:
    return [item.type for item in said]


# -- what is asked for, and what is answered


@both
@wild
def test_a_first_request_without_names_asks_for_everything(variant, url):
    exchange = Exchange(variant, THREE)
    assert [item.names for item in exchange.ask(url)] == [names_of(url)]


@both
@wild
def test_so_does_a_star(variant, url):
    exchange = Exchange(variant, THREE)
    assert [item.names for item in exchange.ask(url, "*")] == [names_of(url)]


@both
@named
def test_whoever_names_some_gets_those(variant, url):
    first, second, _ = names_of(url)
    exchange = Exchange(variant, THREE)
    assert [item.names for item in exchange.ask(url, second, first)] == [(first, second)]
    assert exchange.ack(url, [first, second]) == []


@named
def test_names_that_become_none_end_in_nothing(url):
    first, second, _ = names_of(url)
    exchange = Exchange("sotw", without(THREE, (url, second)))
    exchange.ask(url, first)
    assert exchange.ack(url) == [], "no names after some are not everything"
    assert exchange.give(EMPTY) == []
    assert exchange.give(THREE) == []
    nonce = exchange.last_nonce(url)
    assert [item.names for item in exchange.sotw(url, [first], response_nonce=nonce)] == [(first,)]


@wild
def test_a_star_that_is_taken_back_ends_in_nothing(url):
    exchange = Exchange("sotw", THREE)
    exchange.ask(url, "*")
    assert exchange.ack(url) == []
    assert exchange.give(outbounds(ledger=7100)) == []


@wild
def test_a_star_beside_a_name_is_everything_and_a_name_alone_is_not(url):
    first, *_ = names_of(url)
    exchange = Exchange("sotw", THREE)
    exchange.ask(url)
    assert [item.names for item in exchange.ack(url, ["*", first])] == [names_of(url)]
    assert [item.names for item in exchange.ack(url, [first])] == [(first,)]


@wild
def test_no_names_at_all_stay_everything_for_as_long_as_none_was_named(url):
    exchange = Exchange("sotw", without(THREE, (url, names_of(url)[0])))
    exchange.ask(url)
    assert exchange.ack(url) == []
    assert [item.names for item in exchange.give(THREE)] == [names_of(url)]


@named
def test_a_reconnection_with_names_is_answered_though_its_version_is_that_of_now(url):
    """The names may be new to the client."""
    first, second, _ = names_of(url)
    exchange = Exchange("sotw", THREE)
    (said,) = exchange.ask(url, first, second)
    again = Exchange("sotw", THREE)
    assert [item.names for item in again.sotw(url, [first, second], version_info=said.version)] == [
        (first, second)
    ]


@wild
def test_a_reconnection_without_names_is_answered_too(url):
    """A client that refused a response in part tells the version that it had before."""
    exchange = Exchange("sotw", THREE)
    (said,) = exchange.ask(url)
    again = Exchange("sotw", THREE)
    assert [item.names for item in again.sotw(url, version_info=said.version)] == [names_of(url)]
    assert again.ack(url) == []


@named
def test_a_request_with_an_older_nonce_is_left_aside(url):
    first, second, third = names_of(url)
    exchange = Exchange("sotw", THREE)
    exchange.ask(url, first)
    exchange.ack(url, [first, second])
    assert exchange.sotw(url, [first, third], response_nonce="1") == []
    assert [item.names for item in exchange.ack(url, [first, third])] == [(first, third)]


@named
def test_names_count_in_a_delta_request_whatever_its_nonce(url):
    first, second, _ = names_of(url)
    exchange = Exchange("delta", THREE)
    exchange.ask(url, first)
    exchange.ack(url)
    said = exchange.delta(url, resource_names_subscribe=(second,), response_nonce="77")
    assert [item.names for item in said] == [(second,)]


# -- delta: names come and go


@named
def test_a_name_that_is_asked_for_again_is_told_again(url):
    first, *_ = names_of(url)
    exchange = Exchange("delta", THREE)
    exchange.ask(url, first)
    exchange.ack(url)
    assert [item.names for item in exchange.delta(url, resource_names_subscribe=(first,))] == [(first,)]
    assert exchange.ack(url) == []


@named
def test_a_name_that_is_asked_for_again_while_it_is_on_its_way_is_told_again(url):
    first, *_ = names_of(url)
    exchange = Exchange("delta", THREE)
    exchange.ask(url, first)
    assert exchange.delta(url, resource_names_subscribe=(first,)) == []
    assert [item.names for item in exchange.ack(url)] == [(first,)]


@named
def test_a_name_that_does_not_exist_is_told_as_removed_once_and_told_when_it_comes(url):
    first = names_of(url)[0]
    exchange = Exchange("delta", without(THREE, (url, first)))
    assert [(item.names, item.removed) for item in exchange.ask(url, first)] == [((), (first,))]
    assert exchange.ack(url) == []
    assert [item.names for item in exchange.give(THREE)] == [(first,)]


@wild
def test_a_name_dropped_beside_everything_is_answered_with_the_resource(url):
    first, *_ = names_of(url)
    exchange = Exchange("delta", THREE)
    exchange.ask(url, "*", first)
    exchange.ack(url)
    said = exchange.delta(url, resource_names_unsubscribe=(first,))
    assert [(item.names, item.removed) for item in said] == [((first,), ())]
    assert exchange.ack(url) == []


@wild
def test_a_name_dropped_beside_everything_that_does_not_exist_is_answered_as_removed(url):
    exchange = Exchange("delta", THREE)
    exchange.ask(url, "*", "nobody")
    exchange.ack(url)
    said = exchange.delta(url, resource_names_unsubscribe=("nobody",))
    assert [(item.names, item.removed) for item in said] == [((), ("nobody",))]
    assert exchange.ack(url) == []


@wild
def test_a_name_dropped_that_was_never_asked_for_is_not_answered(url):
    first, *_ = names_of(url)
    exchange = Exchange("delta", THREE)
    exchange.ask(url)
    exchange.ack(url)
    assert exchange.delta(url, resource_names_unsubscribe=(first, "nobody")) == []


@named
def test_a_name_dropped_beside_no_other_is_not_answered_and_hears_nothing_more(url):
    first, *_ = names_of(url)
    exchange = Exchange("delta", THREE)
    exchange.ask(url, first)
    exchange.ack(url)
    assert exchange.delta(url, resource_names_unsubscribe=(first,)) == []
    assert exchange.give(EMPTY) == []


@wild
def test_everything_asked_for_anew_comes_anew(url):
    exchange = Exchange("delta", THREE)
    exchange.ask(url, "*")
    exchange.ack(url)
    assert exchange.delta(url, resource_names_unsubscribe=("*",)) == []
    assert exchange.give(without(THREE, (url, names_of(url)[0]))) == []
    said = exchange.delta(url, resource_names_subscribe=("*",))
    assert [item.names for item in said] == [names_of(url)[1:]]
    assert exchange.ack(url) == []


@wild
def test_a_star_once_more_brings_everything_once_more(url):
    exchange = Exchange("delta", THREE)
    exchange.ask(url, "*")
    exchange.ack(url)
    said = exchange.delta(url, resource_names_subscribe=("*",))
    assert [item.names for item in said] == [names_of(url)]


@wild
def test_a_star_taken_back_leaves_the_names(url):
    first, second, _ = names_of(url)
    exchange = Exchange("delta", THREE)
    exchange.ask(url, "*", first)
    exchange.ack(url)
    exchange.delta(url, resource_names_unsubscribe=("*",))
    assert gist(exchange.give(without(THREE, (url, second)))) == []
    said = exchange.give(without(THREE, (url, first)))
    assert [item.removed for item in said] == [(first,)]


@wild
def test_nothing_to_tell_of_everything_is_told(url):
    """A client waits for its first answer."""
    exchange = Exchange("delta", EMPTY)
    assert [(item.names, item.removed) for item in exchange.ask(url)] == [((), ())]
    assert exchange.ack(url) == []


# -- delta: a client that is back


@named
def test_a_client_that_is_back_is_told_what_differs(url):
    first, second, third = names_of(url)
    held = {first: THREE.resources(url)[first].version, second: "older", "gone": "1"}
    names = () if url in NAMES or url == CLUSTER else (first, second, third, "gone")
    exchange = Exchange("delta", THREE)
    said = exchange.delta(url, resource_names_subscribe=names, initial_resource_versions=held)
    if url == CLUSTER:
        said += [*exchange.ack(url), *exchange.later(RETURN_SECONDS)]
    assert [name for item in said for name in item.names] == [second, third]
    assert [name for item in said for name in item.removed] == ["gone"]


def test_a_client_that_is_back_and_asks_for_clusters_alone_hears_of_removals():
    exchange = Exchange("delta", Snapshot([local(9001)]))
    held = {"localhost:9001": local(9001).version, "gone": "1"}
    assert gist(exchange.delta(CLUSTER, initial_resource_versions=held)) == [("cds", ())]
    assert exchange.ack(CLUSTER) == [], "its listeners may use the cluster"
    assert exchange.stream.wake() == RETURN_SECONDS
    assert gist(exchange.later(RETURN_SECONDS)) == [("cds", (), ("gone",))]
    exchange.ack(CLUSTER)
    assert exchange.stream.wake() is None


def test_a_client_that_is_back_loses_a_cluster_after_the_routes_that_use_it():
    exchange = Exchange("delta", switched("b"))
    held = {"a": cluster("a").version, "b": cluster("b").version}
    exchange.delta(CLUSTER, initial_resource_versions=held)
    exchange.ack(CLUSTER)
    listeners = {"routed:7100": routed(7100, "main").version}
    exchange.delta(LISTENER, initial_resource_versions=listeners)
    assert exchange.ack(LISTENER) == [], "its routes may use the cluster"
    routes = {"main": route("main", "a").version}
    said = exchange.delta(ROUTES, resource_names_subscribe=("main",), initial_resource_versions=routes)
    assert gist(said) == [("rds", ("main",))]
    assert gist(exchange.ack(ROUTES)) == [("cds", (), ("a",))]


def test_endpoints_that_go_while_their_cluster_stays_are_told():
    exchange = Exchange("delta", THREE)
    exchange.ask(CLUSTER)
    exchange.ask(ENDPOINTS, "a", "b", "c")
    exchange.ack(ENDPOINTS)
    exchange.ack(CLUSTER)
    assert gist(exchange.give(without(THREE, (ENDPOINTS, "b")))) == [("eds", (), ("b",))]
    assert exchange.ack(ENDPOINTS) == []


def test_endpoints_that_go_with_their_cluster_are_not_told():
    """Connections still go there until the client drops the cluster, and the endpoints with it."""
    exchange = Exchange("delta", THREE)
    exchange.ask(CLUSTER)
    exchange.ask(ENDPOINTS, "a", "b", "c")
    exchange.ack(ENDPOINTS)
    exchange.ack(CLUSTER)
    assert gist(exchange.give(without(THREE, (ENDPOINTS, "b"), (CLUSTER, "b")))) == [("cds", (), ("b",))]
    assert exchange.delta(ENDPOINTS, resource_names_unsubscribe=("b",)) == []
    assert exchange.ack(CLUSTER) == []


def test_a_changed_cluster_hears_again_that_it_has_no_endpoints():
    """It warms until it does."""
    exchange = Exchange("delta", Snapshot([cluster("a")]))
    exchange.ask(CLUSTER)
    assert gist(exchange.ask(ENDPOINTS, "a")) == [("eds", (), ("a",))]
    exchange.ack(ENDPOINTS)
    exchange.ack(CLUSTER)
    assert gist(exchange.give(Snapshot([cluster("a", 7)]))) == [("cds", ("a",)), ("eds", (), ("a",))]


# -- make before break


def open_all(variant: str, snapshot: Snapshot, route_names: tuple[str, ...] = ("main",)) -> Exchange:
    """A client that has everything."""
    exchange = Exchange(variant, snapshot)
    services = tuple(snapshot.resources(CLUSTER))
    exchange.ask(CLUSTER)
    exchange.ask(ENDPOINTS, *services)
    exchange.ack(ENDPOINTS, services)
    exchange.ack(CLUSTER)
    exchange.ask(LISTENER)
    exchange.ask(ROUTES, *route_names)
    exchange.ack(LISTENER)
    assert exchange.ack(ROUTES, route_names) == []
    return exchange


def ask_endpoints(exchange: Exchange, *names: str) -> list[Said]:
    """Name other clusters' endpoints, as a client does when it gets clusters."""
    if exchange.variant == "delta":
        return exchange.delta(ENDPOINTS, resource_names_subscribe=names)
    return exchange.sotw(ENDPOINTS, names, response_nonce=exchange.last_nonce(ENDPOINTS))


@both
def test_routes_wait_for_the_acknowledgement_of_their_clusters_and_clusters_for_that_of_the_routes(variant):
    exchange = open_all(variant, switched("a"))
    said = exchange.give(switched("b"))
    assert types(said) == ["cds"], "the route waits"
    assert types(ask_endpoints(exchange, "a", "b")) == ["eds"]
    assert exchange.ack(ENDPOINTS, ["a", "b"]) == []
    assert types(exchange.ack(CLUSTER)) == ["rds"], "the old cluster waits"
    said = exchange.ack(ROUTES, ["main"])
    assert types(said) == ["cds"]
    assert said[0].removed == ("a",) if variant == "delta" else said[0].names == ("b",)


@both
def test_a_cluster_whose_route_was_refused_stays(variant):
    exchange = open_all(variant, switched("a"))
    exchange.give(switched("b"))
    ask_endpoints(exchange, "a", "b")
    exchange.ack(ENDPOINTS, ["a", "b"])
    exchange.ack(CLUSTER)
    assert exchange.nack(ROUTES, ["main"]) == [], "the client may still send requests to it"
    assert types(exchange.later(2)) == ["rds"]
    assert types(exchange.ack(ROUTES, ["main"])) == ["cds"]


@both
def test_a_route_waits_for_a_cluster_that_was_refused(variant):
    exchange = open_all(variant, switched("a"))
    exchange.give(switched("b"))
    assert exchange.nack(CLUSTER) == [], "the client has no such cluster"
    assert types(exchange.later(2)) == ["cds"]
    ask_endpoints(exchange, "a", "b")
    exchange.ack(ENDPOINTS, ["a", "b"])
    assert types(exchange.ack(CLUSTER)) == ["rds"]


@both
def test_additions_go_out_as_clusters_endpoints_listeners_routes(variant):
    exchange = Exchange(variant, EMPTY)
    for url in (CLUSTER, LISTENER):
        exchange.ask(url)
        exchange.ack(url)
    heard = exchange.give(switched("a"))
    heard += exchange.ask(ENDPOINTS, "a")
    heard += exchange.ack(ENDPOINTS, ["a"])
    heard += exchange.ack(CLUSTER)
    heard += exchange.ask(ROUTES, "main")
    assert types(heard) == ["cds", "eds", "lds", "rds"]


def test_removals_go_out_as_listeners_routes_clusters():
    exchange = open_all("delta", switched("a"))
    heard = exchange.give(EMPTY)
    heard += exchange.ack(LISTENER)
    heard += exchange.ack(ROUTES)
    assert gist(heard) == [("lds", (), ("routed:7100",)), ("rds", (), ("main",)), ("cds", (), ("a",))]


def test_in_state_of_the_world_a_route_that_is_still_asked_for_keeps_its_cluster():
    """It cannot be taken away from the client, whose old connections may use it."""
    exchange = open_all("sotw", switched("a"))
    assert gist(exchange.give(EMPTY)) == [("lds", ())]
    assert exchange.ack(LISTENER) == []
    nonce = exchange.last_nonce(ROUTES)
    assert gist(exchange.sotw(ROUTES, response_nonce=nonce)) == [("cds", ())]


@both
def test_a_listener_waits_for_the_acknowledgement_of_its_cluster(variant):
    exchange = Exchange(variant, outbounds(ledger=7100))
    exchange.ask(CLUSTER)
    exchange.ask(ENDPOINTS, "ledger")
    assert exchange.ask(LISTENER) == []
    exchange.ack(ENDPOINTS, ["ledger"])
    assert types(exchange.ack(CLUSTER)) == ["lds"]


@both
def test_only_one_response_of_a_type_is_on_its_way(variant):
    exchange = open_all(variant, switched("a"))
    assert types(exchange.give(Snapshot([*_of(switched("a")), cluster("b")]))) == ["cds"]
    assert exchange.give(Snapshot([*_of(switched("a")), cluster("c")])) == []
    assert exchange.give(Snapshot([*_of(switched("a")), cluster("d")])) == []
    said = exchange.ack(CLUSTER)
    assert [set(item.names) - {"a"} for item in said] == [{"d"}]


def _of(snapshot: Snapshot):
    return [
        item for url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES) for item in snapshot.resources(url).values()
    ]


# -- refusals


@both
def test_a_refused_response_is_not_sent_again_at_once(variant):
    exchange = Exchange(variant, Snapshot([listener(7100, "ledger")]))
    exchange.ask(LISTENER)
    assert exchange.nack(LISTENER) == []
    assert exchange.later(0.8) == []
    assert types(exchange.later(0.4)) == ["lds"]


def test_what_was_refused_together_is_offered_in_halves_removals_included():
    exchange = Exchange("delta", Snapshot([listener(7100, "a"), listener(7101, "a")]))
    exchange.ask(LISTENER)
    exchange.ack(LISTENER)
    exchange.give(Snapshot([listener(7102, "a"), listener(7101, "a")]))
    new, old = "outbound:127.0.0.1:7102", "outbound:127.0.0.1:7100"
    heard = exchange.nack(LISTENER)
    assert gist(heard) == [("lds", (), (old,))]
    assert gist(exchange.ack(LISTENER)) == [("lds", (new,))]
    assert exchange.nack(LISTENER) == []


@both
def test_content_that_is_taken_back_is_sent_for_nobody_knows_what_was_applied(variant):
    exchange = Exchange(variant, Snapshot([listener(7100, "a"), listener(7101, "a")]))
    exchange.ask(LISTENER)
    exchange.ack(LISTENER)
    exchange.give(Snapshot([listener(7100, "b"), listener(7102, "a")]))
    before = Snapshot([listener(7100, "a"), listener(7101, "a")])
    exchange.stream.snapshot = before
    (said,) = exchange.nack(LISTENER)
    assert set(said.names) == set(before.resources(LISTENER))
    assert said.removed == (("outbound:127.0.0.1:7102",) if variant == "delta" else ())


@both
def test_a_second_refusal_of_the_same_nonce_changes_nothing(variant):
    exchange = Exchange(variant, Snapshot([listener(7100, "ledger")]))
    exchange.ask(LISTENER)
    assert exchange.nack(LISTENER) == []
    assert exchange.nack(LISTENER) == []
    assert types(exchange.later(1.2)) == ["lds"]
