"""ServiceAccount tokens: what they say, what a review says, and what both are good for."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kuma_runtime_k8s
import kuma_store_memory
from kuma_core.sdk import PluginError, Proxy, Stop, StoreUnavailable, Unauthenticated
from kuma_core.testing.kubernetes import way_to
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.identity import claims, reviews
from kuma_runtime_k8s.identity.authenticator import ServiceAccountTokens
from kuma_runtime_k8s.identity.reviews import A_SECOND, POD_NAME, POD_UID, Reviews
from kuma_runtime_k8s.pods import FollowedPods, Pods

from .fake_api import FakeApi, Refusal

HOUR = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
USER = "system:serviceaccount:demo:web"
POD = {
    "metadata": {
        "name": "web-1",
        "namespace": "demo",
        "uid": "u-7",
        "annotations": {"kuma.io/sidecar-injected": "true"},
    }
}


def token(**said: Any) -> str:
    body = {"sub": USER, "exp": HOUR, "aud": ["api"], **said}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "RS256"}, body)
    ]
    return ".".join([*parts, "signature"])


def good(username: str = USER, **more: Any) -> dict[str, Any]:
    extra = {POD_NAME: ["web-1"], POD_UID: ["u-7"]}
    return {"authenticated": True, "user": {"username": username, "extra": extra}, **more}


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi()
    made.reviewed = lambda spec: good()
    made.put("/api/v1/pods", POD)
    return made


@pytest.fixture
def tokens(api: FakeApi) -> ServiceAccountTokens:
    return ServiceAccountTokens(api, Pods())


def allowed(tokens: ServiceAccountTokens, shown: str, name: str = "web-1.demo") -> None:
    tokens.recognise(shown).allows(Proxy("default", name), list)


# -- what a token says of itself


def test_what_a_token_says() -> None:
    found = claims.read(
        token(**{"kubernetes.io": {"namespace": "demo", "pod": {"name": "web-1", "uid": "u"}}})
    )
    assert found == claims.Claims("demo", datetime.fromtimestamp(HOUR, UTC), ("api",), "web-1")


RUBBISH = [
    "x",
    "a.b",
    "a.b.c",
    "..",
    "a" * 20_000,
    token() + ".more",
    token(sub="system:node:a"),
    token(sub="system:serviceaccount:demo"),
    token(sub="system:serviceaccount::web"),
    token(sub=7),
    token(exp="soon"),
    token(exp=1e99),
    token(exp=True),
    "é.é.é",
    ".".join([base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=")] * 3),
]


@pytest.mark.parametrize("text", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_never_reaches_the_api_server(api: FakeApi, tokens: ServiceAccountTokens, text: str) -> None:
    with pytest.raises(Unauthenticated, match="token doesn't belong to a valid user"):
        tokens.recognise(text)
    assert api.requests == []


@given(
    text=st.text(max_size=60)
    | st.from_regex(r"[A-Za-z0-9_-]{1,20}(\.[A-Za-z0-9_-]{0,30}){2}", fullmatch=True)
)
def test_whatever_text_comes_is_read_or_not(text: str) -> None:
    found = claims.read(text)
    assert found is None or found.namespace


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_token(tokens: ServiceAccountTokens, text: str) -> None:
    with pytest.raises(Unauthenticated, match="authentication failed: k8s token is missing"):
        tokens.recognise(text)


def test_a_token_that_has_ended_is_not_reviewed(api: FakeApi, tokens: ServiceAccountTokens) -> None:
    with pytest.raises(Unauthenticated, match="it has ended at 2001"):
        tokens.recognise(token(exp=1_000_000_000))
    assert api.requests == []


def test_no_message_holds_the_token(api: FakeApi, tokens: ServiceAccountTokens) -> None:
    api.reviewed = lambda spec: {"authenticated": False, "error": "no"}
    for text in (*RUBBISH[5:9], token()):
        with pytest.raises(Unauthenticated) as caught:
            tokens.recognise(text)
        assert text.split(".")[1] not in str(caught.value)


# -- what a review says


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"authenticated": False}, "token doesn't belong to a valid user"),
        ({}, "token doesn't belong to a valid user"),
        (
            good("admin"),
            'username inside TokenReview response has unexpected format: "admin"',
        ),
        (good("a:b:c:d"), 'token must belong to a k8s system account, got "a:b:c:d"'),
        (good("system:node:c:d"), 'token must belong to a k8s system account, got "system:node:c:d"'),
    ],
)
def test_refusals(api: FakeApi, tokens: ServiceAccountTokens, status: Any, said: str) -> None:
    api.reviewed = lambda spec: status
    with pytest.raises(Unauthenticated) as caught:
        tokens.recognise(token())
    assert str(caught.value) == f"authentication failed: {said}"


def test_the_question(api: FakeApi, tokens: ServiceAccountTokens) -> None:
    shown = token()
    tokens.recognise(shown + "\n")
    (asked,) = api.asked("POST", "/tokenreviews")
    assert asked["spec"] == {"token": shown}


def test_an_audience_is_asked_for_and_looked_at(api: FakeApi) -> None:
    tokens = ServiceAccountTokens(api, Pods(), "kuma")
    with pytest.raises(Unauthenticated, match='not meant for the audience "kuma"'):
        tokens.recognise(token())
    assert api.requests == []
    with pytest.raises(Unauthenticated, match='not meant for the audience "kuma"'):
        tokens.recognise(token(aud="kuma"))  # the review does not say so
    api.reviewed = lambda spec: good(audiences=["kuma"])
    allowed(tokens, token(aud=["kuma", "api"]))
    assert api.asked("POST", "/tokenreviews")[-1]["spec"]["audiences"] == ["kuma"]


def test_without_an_answer_nothing_is_decided(api: FakeApi, tokens: ServiceAccountTokens) -> None:
    def away(method: str, path: str) -> None:
        raise StoreUnavailable("nobody is there")

    api.refuse = away
    with pytest.raises(StoreUnavailable, match="call to TokenReview API failed: nobody is there"):
        tokens.recognise(token())
    api.refuse = lambda method, path: None
    allowed(tokens, token())


# -- who asks how often


def test_a_good_token_is_reviewed_once_a_minute(api: FakeApi) -> None:
    now = [0.0]
    asking = Reviews(api, clock=lambda: now[0])
    for at, asked in ((0.0, 1), (59.0, 1), (61.0, 2)):
        now[0] = at
        assert asking.account(token()).pod == "web-1"
        assert len(api.requests) == asked


def test_a_bad_token_is_refused_from_memory(api: FakeApi) -> None:
    now = [0.0]
    api.reviewed = lambda spec: {"authenticated": False}
    asking = Reviews(api, clock=lambda: now[0])
    for _ in range(50):
        with pytest.raises(Unauthenticated):
            asking.account(token())
    assert len(api.requests) == 1
    now[0], api.reviewed = 61.0, lambda spec: good()
    assert asking.account(token()).pod == "web-1"


def test_memory_is_bounded(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "REMEMBERED", 3)
    monkeypatch.setattr(reviews.time, "sleep", lambda seconds: None)
    asking = Reviews(api, clock=lambda: 0.0)
    for number in range(5):
        asking.account(token(jti=number))
    asking.account(token(jti=4))
    assert len(api.requests) == 5
    asking.account(token(jti=0))
    assert len(api.requests) == 6


def test_at_most_so_many_reviews_a_second(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turns are counted, not the time that this machine takes."""
    slept: list[float] = []
    monkeypatch.setattr(reviews.time, "sleep", slept.append)
    asking = Reviews(api, clock=lambda: 0.0)
    most = int(reviews.PATIENCE * A_SECOND) + 1
    for number in range(most):
        asking.account(token(jti=number))
    with pytest.raises(StoreUnavailable, match="too many tokens"):
        asking.account(token(jti=most))
    assert len(api.requests) == most
    apart = [later - sooner for sooner, later in itertools.pairwise(slept)]
    assert min(apart) == pytest.approx(1 / A_SECOND)


# -- what it is good for


def test_a_proxy_of_the_pod(tokens: ServiceAccountTokens) -> None:
    allowed(tokens, token())
    proof = tokens.recognise(token()).proof
    assert (proof.id, proof.expires) == (
        "service account demo/web in Pod web-1",
        datetime.fromtimestamp(HOUR, UTC),
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("web-1", 'name must include namespace after the dot, ex. "name.namespace"'),
        ("web-1.", "namespace must be non-empty"),
        ("web-1.other", 'token belongs to a namespace ("demo") different from proxyId ("other")'),
        ("web-2.demo", 'token belongs to a Pod ("web-1") different from proxyId ("web-2")'),
    ],
)
def test_other_proxies(tokens: ServiceAccountTokens, name: str, said: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        allowed(tokens, token(), name)
    assert str(caught.value) == f"authentication failed: {said}"


def test_a_token_that_no_pod_binds_is_good_for_its_namespace(
    api: FakeApi, tokens: ServiceAccountTokens
) -> None:
    api.reviewed = lambda spec: {"authenticated": True, "user": {"username": USER}}
    allowed(tokens, token(), "web-1.demo")
    allowed(tokens, token(), "any.demo")
    with pytest.raises(Unauthenticated, match="different from proxyId"):
        allowed(tokens, token(), "web-1.other")


def test_the_token_of_an_earlier_pod_of_that_name(api: FakeApi, tokens: ServiceAccountTokens) -> None:
    """The API server answers yes from its cache for some seconds after the Pod is gone."""
    api.put("/api/v1/pods", {"metadata": {**POD["metadata"], "uid": "u-8"}})
    with pytest.raises(Unauthenticated, match='the Pod "web-1" of this token is gone'):
        allowed(tokens, token())
    api.remove("/api/v1/pods", "web-1", "demo")
    with pytest.raises(Unauthenticated, match='the Pod "web-1" of this token is gone'):
        allowed(tokens, token())


def test_an_identity_ends_with_its_pod(api: FakeApi) -> None:
    pods, stop = Pods(), Stop()
    tokens = ServiceAccountTokens(api, pods)
    told = threading.Event()
    parts = [
        threading.Thread(target=FollowedPods(api, pods).run, args=(stop,)),
        threading.Thread(target=tokens.watch, args=(told.set, stop)),
    ]
    for part in parts:
        part.start()
    try:
        eventually(lambda: pods.is_settled and pods.uid(("demo", "web-1")) == "u-7" and pods._listeners)
        allowed(tokens, token())
        assert api.asked("GET") == [], "the cache knew the Pod"
        proof = tokens.recognise(token()).proof
        proof.confirm()
        api.put("/api/v1/pods", {"metadata": {**POD["metadata"], "name": "other", "uid": "u-9"}})
        api.remove("/api/v1/pods", "web-1", "demo")
        assert told.wait(60)
        with pytest.raises(Unauthenticated, match='the Pod "web-1" of this token is gone'):
            proof.confirm()
    finally:
        stop.set()
        for part in parts:
            part.join()


def test_pods_without_a_proxy_are_not_kept(api: FakeApi) -> None:
    pods = Pods()
    pods.put({"metadata": {"name": "a", "namespace": "b", "uid": "1"}})
    assert pods.all() == []
    pods.put(POD)
    assert pods.all() == [("demo", "web-1")]
    pods.put({"metadata": {**POD["metadata"], "annotations": {}}})
    assert pods.all() == []


def test_a_refusal_by_the_api_server_is_not_an_outage(api: FakeApi, tokens: ServiceAccountTokens) -> None:
    def refuse(method: str, path: str) -> None:
        raise Refusal(422, "token is too long")

    api.refuse = refuse
    with pytest.raises(Unauthenticated, match="call to TokenReview API failed: token is too long"):
        tokens.recognise(token())


# -- in a control plane


def test_streams_of_both_kinds_ask_for_it(tmp_path: Path) -> None:
    settings = {
        "KUMA_ENVIRONMENT": "kubernetes",
        "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": str(tmp_path),
        "KUMA_KUBERNETES_ADMISSION_SERVER_PORT": str(free_port()),
    }
    made = FakeApi()
    with running_platform([kuma_store_memory, way_to(made), kuma_runtime_k8s], settings) as cp:
        bound = {server.name: server for server, _ in cp.platform.listening.bound}
        for name in ("xds-server", "sds-server"):
            assert bound[name].asks_for() == "a credential of the kind service-account-token"


def test_without_a_way_to_the_api_server_nothing_starts() -> None:
    settings = {"KUMA_ENVIRONMENT": "kubernetes", "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": "/nowhere"}
    with (
        pytest.raises(PluginError, match="store_k8s"),
        running_platform([kuma_store_memory, kuma_runtime_k8s], settings),
    ):
        pass
