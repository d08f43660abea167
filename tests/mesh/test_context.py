"""The frozen view of a mesh: who offers what, what a change touches, and what stays shared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.mesh.context import MeshContext, build_context
from kuma_core.mesh.contract import Endpoint
from kuma_core.mesh.topology import EMPTY, endpoint_set, endpoints_of
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.tags import matches, sorted_tags
from kuma_core.testing.builders import dataplane, inbound


def spec(*inbounds: dict[str, Any], gateway: dict[str, str] | None = None) -> DataplaneSpec:
    parsed, _ = parse_spec(DataplaneSpec, dataplane("x", *inbounds, gateway=gateway))
    assert isinstance(parsed, DataplaneSpec)
    return parsed


WEB1 = spec(inbound("10.0.0.1:80:8080", "web", version="1"))
WEB2 = spec(inbound("10.0.0.2:80:8080", "web", version="2"))
BOTH = spec(inbound("10.0.0.3:80:1", "web"), inbound("10.0.0.3:81:2", "api"))
EDGE = spec(gateway={"service": "edge"})


def addresses(view: MeshContext, **selector: str) -> list[str]:
    return [f"{item.ip}:{item.port}" for item in view.endpoints(selector).endpoints]


def view(**dataplanes: DataplaneSpec) -> MeshContext:
    return build_context("default", MeshSpec(), dataplanes.items())


def test_endpoints_are_sorted_and_selected_by_tags() -> None:
    made = view(c=BOTH, b=WEB2, a=WEB1)
    assert addresses(made, service="web") == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
    assert addresses(made, service="web", version="2") == ["10.0.0.2:80"]
    assert addresses(made, service="web", version="*") == ["10.0.0.1:80", "10.0.0.2:80"]
    assert addresses(made, service="api") == ["10.0.0.3:81"]
    assert made.endpoints({"service": "nobody"}) == EMPTY


def test_a_gateway_offers_nothing() -> None:
    assert list(endpoints_of(EDGE)) == []
    assert addresses(view(a=EDGE), service="edge") == []


def test_what_others_cannot_reach_is_no_endpoint() -> None:
    """0.0.0.0 would be the caller's own machine; at a place that is taken the first service answers."""
    everywhere = spec(inbound("0.0.0.0:80:8080", "web"), inbound("10.0.0.1:81:8081", "web"))
    assert addresses(view(a=everywhere), service="web") == ["10.0.0.1:81"]
    stored = spec(inbound("10.0.0.1:80:8080", "web"), inbound("10.0.0.1:80:9090", "api"))
    assert addresses(view(a=stored), service="web") == ["10.0.0.1:80"]
    assert addresses(view(a=stored), service="api") == []
    twice = spec(inbound("10.0.0.1:80:8080", "web", v="1"), inbound("10.0.0.1:80:8080", "web", v="2"))
    assert addresses(view(a=twice), service="web", v="2") == ["10.0.0.1:80"]


def test_endpoints_that_two_dataplanes_share_count_once() -> None:
    assert addresses(view(a=WEB1, b=WEB1), service="web") == ["10.0.0.1:80"]


@pytest.mark.parametrize(
    ("selector", "matched"),
    [
        ({}, True),
        ({"service": "web"}, True),
        ({"service": "*"}, True),
        ({"service": "web", "version": "1"}, True),
        ({"service": "web", "version": "2"}, False),
        ({"service": "web", "zone": "*"}, False),
    ],
)
def test_matching(selector: dict[str, str], matched: bool) -> None:
    """A star matches any value, but no missing key."""
    endpoint = Endpoint("10.0.0.1", 80, sorted_tags({"service": "web", "version": "1"}))
    assert matches(sorted_tags(selector), endpoint.tags) is matched


@pytest.mark.parametrize(
    ("before", "after", "touched"),
    [
        (None, WEB1, {"web"}),
        (WEB1, None, {"web"}),
        (WEB1, WEB1, set()),
        (WEB1, WEB2, {"web"}),
        (WEB1, BOTH, {"web", "api"}),
        (BOTH, EDGE, {"web", "api"}),
        (None, EDGE, set()),
    ],
)
def test_what_a_change_touches(
    before: DataplaneSpec | None, after: DataplaneSpec | None, touched: set[str]
) -> None:
    start = view(**({"a": before} if before else {}), other=BOTH)
    changed, services = start.with_dataplane("a", after)
    assert services == touched
    rest = {"a": after} if after else {}
    assert changed == view(**rest, other=BOTH)


def test_a_view_is_never_changed() -> None:
    start = view(a=WEB1)
    start.with_dataplane("b", WEB2)
    start.with_mesh(None)
    assert addresses(start, service="web") == ["10.0.0.1:80"]
    assert start.mesh == MeshSpec()
    with pytest.raises(TypeError):
        start.dataplanes["b"] = WEB2  # type: ignore[index]


def test_answers_are_shared_until_their_service_is_touched() -> None:
    start = view(a=WEB1, b=BOTH)
    web, api = start.endpoints({"service": "web"}), start.endpoints({"service": "api"})
    assert start.endpoints({"service": "web"}) is web
    changed, _ = start.with_dataplane("c", WEB2)
    assert changed.endpoints({"service": "api"}) is api
    assert changed.endpoints({"service": "web"}) != web


def test_a_service_that_nobody_offers_any_more_is_gone() -> None:
    changed, _ = view(a=WEB1).with_dataplane("a", None)
    assert dict(changed.offers) == {}


def test_a_dataplane_that_does_not_serve_offers_nothing_until_it_does() -> None:
    start, touched = view(a=WEB1).with_dataplane("b", BOTH, serves=False)
    assert (touched, addresses(start, service="web")) == (frozenset(), ["10.0.0.1:80"])
    assert start.dataplanes["b"] is BOTH
    assert start.absent_offers().keys() == {"web", "api"}
    there, touched = start.with_dataplane("b", BOTH)
    assert (touched, addresses(there, service="web")) == ({"web", "api"}, ["10.0.0.1:80", "10.0.0.3:80"])
    assert there.absent_offers() == {}
    assert there == view(a=WEB1, b=BOTH)
    gone, touched = there.with_dataplane("b", BOTH, serves=False)
    assert (touched, gone) == ({"web", "api"}, start)


def test_equal_sets_have_equal_hashes() -> None:
    items = [Endpoint("10.0.0.1", port, ()) for port in (2, 1, 2)]
    one, two = endpoint_set(items), endpoint_set(reversed(items))
    assert (one, hash(one)) == (two, hash(two))
    assert [item.port for item in one.endpoints] == [1, 2]


SPECS = st.none() | st.sampled_from([WEB1, WEB2, BOTH, EDGE])


@given(st.lists(st.tuples(st.sampled_from("abc"), SPECS, st.booleans()), max_size=8))
def test_one_by_one_is_the_same_as_all_at_once(
    changes: list[tuple[str, DataplaneSpec | None, bool]],
) -> None:
    step_by_step, final, serving = view(), {}, {}
    for name, changed, serves in changes:
        before = dict(step_by_step.offers)
        step_by_step, touched = step_by_step.with_dataplane(name, changed, serves)
        others = {*before, *step_by_step.offers} - touched
        assert all(before.get(service) == step_by_step.offers.get(service) for service in others)
        final[name], serving[name] = changed, serves
        for service in ("web", "api"):
            step_by_step.endpoints({"service": service})
    present = {name: changed for name, changed in final.items() if changed}
    at_once = build_context("default", MeshSpec(), present.items(), lambda name: serving[name])
    assert step_by_step == at_once
    for service in ("web", "api", "edge"):
        assert step_by_step.endpoints({"service": service}) == at_once.endpoints({"service": service})
