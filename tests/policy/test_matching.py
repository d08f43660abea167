"""Which policy applies: the matching scenarios, by number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.policy import matching
from kuma_core.policy.contract import Ends, Policy, Scope
from kuma_core.policy.matching import (
    Entry,
    MeshPolicies,
    PolicyIndex,
    connection_rank,
    entries,
    touches,
)
from kuma_core.policy.selectors import Rank, best_rank, rank
from kuma_core.specs.tags import TagPairs, sorted_tags


def tags(**pairs: str) -> TagPairs:
    return sorted_tags(pairs)


def policy(name: str, sources: list[TagPairs], destinations: list[TagPairs]) -> Entry:
    return Entry(name, name, Ends(tuple(sources), tuple(destinations)))


def chosen(index: PolicyIndex, *tag_sets: TagPairs, service: str = "ledger") -> str | None:
    found = index.best(tag_sets, service)
    return found.name if found else None


LEDGER = [tags(service="ledger")]
ANYTHING = [tags(service="*")]
ORDERS = tags(service="orders", zone="z1")


def test_scenario_1_more_tags_win_even_as_wildcards():
    index = PolicyIndex(
        [policy("a", [tags(service="*", zone="*")], LEDGER), policy("b", [tags(service="orders")], LEDGER)]
    )
    assert chosen(index, ORDERS) == "a"


def test_scenario_2_of_as_many_tags_the_exact_ones_win():
    index = PolicyIndex(
        [
            policy("a", [tags(service="orders", zone="*")], LEDGER),
            policy("b", [tags(service="orders", zone="z1")], LEDGER),
        ]
    )
    assert chosen(index, ORDERS) == "b"


@pytest.mark.parametrize("service", ["ledger", "mailer"])
def test_scenario_3_source_and_destination_are_added(service):
    index = PolicyIndex(
        [
            policy("m1", [tags(service="orders", zone="*")], ANYTHING),
            policy("m2", [tags(service="orders")], LEDGER),
        ]
    )
    assert chosen(index, ORDERS, service=service) == "m1"


def test_scenario_4_equal_ranks_go_to_the_first_name():
    both = [policy("r-b", [tags(service="orders")], LEDGER), policy("r-a", [tags(service="orders")], LEDGER)]
    assert chosen(PolicyIndex(both), ORDERS) == chosen(PolicyIndex(both[::-1]), ORDERS) == "r-a"


def test_scenario_5_the_better_of_two_sources_counts():
    index = PolicyIndex(
        [
            policy("two", [tags(service="orders"), tags(service="orders", zone="z1")], LEDGER),
            policy("one", [tags(service="orders", zone="*")], LEDGER),
        ]
    )
    assert chosen(index, ORDERS) == "two"


def test_scenario_6_any_inbound_is_the_proxys_identity():
    index = PolicyIndex([policy("admin", [tags(service="cart-admin")], LEDGER)])
    assert chosen(index, tags(service="cart"), tags(service="cart-admin")) == "admin"


def test_scenario_7_tags_are_never_combined_across_inbounds():
    index = PolicyIndex([policy("both", [tags(service="cart", role="admin")], LEDGER)])
    assert chosen(index, tags(service="cart"), tags(service="cart-admin", role="admin")) is None


def test_a_star_needs_the_tag_to_be_there():
    assert best_rank((tags(service="*", zone="*"),), (tags(service="orders"),)) is None


def test_a_destination_is_told_by_its_service_alone():
    index = PolicyIndex([policy("fine", [tags(service="*")], [tags(service="ledger", version="1")])])
    assert chosen(index, ORDERS) is None


def test_nothing_matches_in_an_empty_mesh():
    assert chosen(PolicyIndex(), ORDERS) is None
    assert MeshPolicies().index("TrafficRoute").entries == {}


def test_permissions_of_an_inbound_are_all_that_match_by_name():
    index = PolicyIndex(
        [
            policy("b", [tags(service="web")], LEDGER),
            policy("a", [tags(service="*")], ANYTHING),
            policy("c", [tags(service="web")], [tags(service="mailer")]),
        ]
    )
    assert [entry.name for entry in index.all_for_inbound(tags(service="ledger", zone="z1"))] == ["a", "b"]


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        (tags(service="cart", version="3"), "p2"),
        (tags(service="cart", version="1"), "p1"),
        (tags(service="mail"), "p0"),
    ],
)
def test_scenario_11_the_most_specific_template_wins_and_one_without_selectors_loses(proxy, expected):
    index = PolicyIndex(
        [
            policy("p1", [tags(service="cart")], []),
            policy("p2", [tags(service="cart", version="3")], []),
            policy("p0", [], []),
        ]
    )
    found = index.best_for_proxy((proxy,))
    assert found is not None
    assert found.name == expected


_services = st.sampled_from(["orders", "ledger", "mailer", "*"])
_selectors = st.builds(
    lambda service, extra: sorted_tags({"service": service, **extra}),
    _services,
    st.dictionaries(st.sampled_from(["zone", "version"]), st.sampled_from(["a", "b", "*"])),
)
_entries = st.lists(
    st.builds(
        lambda name, sources, destinations: policy(name, sources, destinations),
        st.sampled_from("abcdefgh"),
        st.lists(_selectors, min_size=1, max_size=3),
        st.lists(_services.map(lambda service: tags(service=service)), min_size=1, max_size=2),
    ),
    max_size=8,
    unique_by=lambda entry: entry.name,
)
_tag_sets = st.lists(
    st.builds(
        lambda service, extra: sorted_tags({"service": service, **extra}),
        st.sampled_from(["orders", "ledger"]),
        st.dictionaries(st.sampled_from(["zone", "version"]), st.sampled_from(["a", "b"])),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


def test_answers_for_tags_that_nobody_has_any_more_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(matching, "REMEMBERED_ANSWERS", 10)
    index = PolicyIndex([policy("r", [tags(service="web")], [tags(service="*")])])
    for number in range(95):
        proxy = (tags(service="web", version=str(number)),)
        assert index.best(proxy, "ledger").name == index.best_for_proxy(proxy).name == "r"
        assert len(index._answers) <= 10


@given(_entries, _tag_sets, st.sampled_from(["orders", "ledger", "mailer", "other"]))
def test_the_index_finds_what_a_look_at_every_policy_finds(found, tag_sets, service):
    ranked = [(connection_rank(entry.ends, tag_sets, service), entry.name) for entry in found]
    matching = [(position, name) for position, name in ranked if position is not None]
    best = max((position for position, _ in matching), default=None)
    expected = min((name for position, name in matching if position == best), default=None)
    assert chosen(PolicyIndex(found), *tag_sets, service=service) == expected


ROUTE = Policy("TrafficRoute", 1, Scope.ROUTE, lambda spec: spec, lambda matches, subject: None)


@given(_entries, _tag_sets, st.sets(st.sampled_from(["ledger", "mailer"])))
def test_a_policy_that_wins_somewhere_touches_the_proxy(found, tag_sets, services):
    index = PolicyIndex(found)
    for service in services:
        winner = index.best(tag_sets, service)
        assert winner is None or touches(ROUTE, winner, tag_sets, services)


def test_a_policy_for_others_does_not_touch_the_proxy():
    entry = policy("r", [tags(service="orders")], LEDGER)
    assert not touches(ROUTE, entry, (tags(service="web"),), {"ledger"})
    assert not touches(ROUTE, entry, (ORDERS,), {"mailer"})
    assert touches(ROUTE, entry, (ORDERS,), {"mailer", "ledger"})


def test_entries_carry_the_selectors_of_their_specs():
    ends = Ends((tags(service="web"),), ())
    (entry,) = entries(ROUTE, [("r", ends)])
    assert entry.ends == ends
    assert entry.match.name == "r"


def test_ranks_compare_totals_first():
    assert rank(tags(service="*", zone="*")) > rank(tags(service="web"))
    assert rank(tags(service="web")) > rank(tags(service="*"))
    assert Rank(1, 1) + Rank(2, 0) == Rank(3, 1)
