"""What a token allows beside a name: services and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from kuma_core.auth.contract import Unauthenticated
from kuma_core.builtin.tokens.binding import misfit, problems_of, read_binding, tag_sets_of
from kuma_core.builtin.tokens.contract import Binding
from kuma_core.builtin.tokens.tokens import Refused, TokenIssuer, TokenVerifier
from kuma_core.errors import InvalidResource
from kuma_core.xds.proxy import Proxy

from .test_tokens import signed

WEB, BACKEND = {"service": "web", "team": "a"}, {"service": "backend", "team": "b"}
WEB_ALONE = {"service": "web"}
FITTING = "change the Dataplane, or generate a token that fits ('kumactl generate dataplane-token --service')"


def never() -> Sequence[Mapping[str, str]]:
    raise AssertionError("nobody may ask for the tags")


@pytest.mark.parametrize(
    ("services", "tags", "found"),
    [
        (["web"], None, [WEB]),
        (["web", "backend"], None, [WEB, BACKEND]),
        (["web"], None, [WEB, WEB]),
        (None, {"team": ["a"]}, [WEB]),
        (None, {"team": ["b", "a"]}, [BACKEND, WEB]),
        (["web"], {"team": ["a"], "service": ["web", "x"]}, [WEB]),
    ],
)
def test_what_fits(services: Any, tags: Any, found: Any) -> None:
    assert misfit(read_binding(services, tags), found) == ""


@pytest.mark.parametrize(
    ("services", "tags", "found", "said"),
    [
        (["web"], None, [BACKEND], 'has service="backend", and the token allows service="web"'),
        (["web"], None, [WEB, BACKEND], 'has service="backend"'),
        (["web"], None, [{"team": "a"}], 'has no tag "service"'),
        (None, {"team": ["a"]}, [{"service": "web"}], 'has no tag "team", and the token allows team="a"'),
        (["web"], {"team": ["b"]}, [WEB], 'has team="a", and the token allows team="b"'),
        (["web"], {"service": ["backend"]}, [WEB], 'the token allows service="backend"'),
        (["web"], None, [], "no inbound and no gateway"),
        (["web"], None, [{"service": "web "}], 'has service="web "'),
        (["web"], None, [{"service": "*"}], 'has service="*"'),
    ],
)
def test_what_does_not(services: Any, tags: Any, found: Any, said: str) -> None:
    assert said in misfit(read_binding(services, tags), found)


@pytest.mark.parametrize(
    ("services", "tags", "field"),
    [
        ("web", None, "services"),
        ([], None, "services"),
        (["web", ""], None, "services[1]"),
        ([3], None, "services[0]"),
        (["x" * 256], None, "services[0]"),
        (["x"] * 101, None, "services"),
        (None, [], "tags"),
        (None, {}, "tags"),
        (None, {"": ["a"]}, "tags"),
        (None, {"team": "a"}, 'tags["team"]'),
        (None, {"team": []}, 'tags["team"]'),
        (None, {"team": ["a", None]}, 'tags["team"][1]'),
        (None, {str(number): ["a"] for number in range(101)}, "tags"),
    ],
)
def test_what_is_no_binding(services: Any, tags: Any, field: str) -> None:
    (found,) = problems_of(services, tags)
    assert found.field == field
    with pytest.raises(ValueError, match="no binding"):
        read_binding(services, tags)


def test_a_token_by_service_is_for_whoever_has_it(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    claim = verifier.recognise(issuer.issue("", "shop", None, Binding(("web",))))
    for name in ("web-1", "web-2"):
        claim.allows(Proxy("shop", name), lambda: [WEB])
    with pytest.raises(Unauthenticated) as caught:
        claim.allows(Proxy("shop", "b-1"), lambda: [BACKEND])
    said = 'an inbound or the gateway has service="backend", and the token allows service="web"'
    assert str(caught.value) == f"the token is not for the Dataplane shop.b-1: {said}; {FITTING}"
    with pytest.raises(Unauthenticated, match="proxy mesh from requestor: other is different"):
        claim.allows(Proxy("other", "web-1"), never)


def test_a_token_by_name_and_service_needs_both(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    claim = verifier.recognise(issuer.issue("web-1", "shop", None, Binding(("web",))))
    claim.allows(Proxy("shop", "web-1"), lambda: [WEB])
    with pytest.raises(Unauthenticated, match="proxy name from requestor: web-2"):
        claim.allows(Proxy("shop", "web-2"), never)
    with pytest.raises(Unauthenticated, match='has service="backend"'):
        claim.allows(Proxy("shop", "web-1"), lambda: [BACKEND])


def test_a_token_without_claims_asks_for_no_tags(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    verifier.recognise(issuer.issue("web-1", "shop")).allows(Proxy("shop", "web-1"), never)


@pytest.mark.parametrize(
    "claims",
    [
        {"Services": "web"},
        {"Services": []},
        {"Services": [1]},
        {"Tags": {}},
        {"Tags": {"a": "b"}},
        {"Tags": [["a", ["b"]]]},
        {"Name": ""},
        {"Name": "", "Services": ["web"]},
        {"Name": 3, "Services": ["web"]},
    ],
)
def test_a_token_with_broken_claims_allows_nothing(
    keys: Any, verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match="no dataplane token"):
        verifier.recognise(signed(keys, **claims))


def test_a_token_says_whom_it_is_for(keys: Any, verifier: TokenVerifier) -> None:
    with pytest.raises(Refused, match='it lacks the claim "Name"'):
        verifier.recognise(signed(keys, Name=None))
    assert verifier.recognise(signed(keys, Name=None, Tags={"team": ["a"]})).claims.name == ""


@pytest.mark.parametrize(
    ("services", "tags", "sets"),
    [
        (None, None, []),
        (["web"], None, [WEB_ALONE]),
        (["web", "db"], None, [{"service": "db"}, WEB_ALONE]),
        (None, {"team": ["a", "b"]}, [{"team": "a"}, {"team": "b"}]),
        (["web"], {"team": ["a", "b"]}, [{**WEB_ALONE, "team": "a"}, {**WEB_ALONE, "team": "b"}]),
        (["web", "x"], {"service": ["web", "y"]}, [WEB_ALONE]),
    ],
)
def test_what_an_inbound_may_be_by_it(services: Any, tags: Any, sets: list[dict[str, str]]) -> None:
    assert list(map(dict, tag_sets_of(read_binding(services, tags)))) == sets


def test_more_than_anybody_could_look_at_is_refused() -> None:
    many = [f"v{number}" for number in range(32)]
    with pytest.raises(InvalidResource, match="generate several tokens"):
        tag_sets_of(read_binding(many, {"team": many}))
