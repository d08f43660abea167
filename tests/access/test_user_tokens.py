"""User tokens: what is in them, what is refused, and that neither kind passes for the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

import kuma_store_memory
from kuma_core.auth.contract import ADMINS, Unauthenticated
from kuma_core.builtin.tokens import user_tokens
from kuma_core.builtin.tokens.feature import OfferedTokens
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from .support import Asker, mode

READ = "/meshes"


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory], mode("token")) as running:
        yield running


def ask(cp: RunningPlatform, method: str, path: str, body: Any = None) -> Any:
    return cp.request(method, path, body, cp.admin_socket)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_what_a_token_says(cp: RunningPlatform) -> None:
    said = claims(cp.user_token("ann", "team", ADMINS, "team"))
    assert (said["aud"], said["sub"], said["groups"]) == ("kuma-users", "ann", [ADMINS, "team"])
    assert said["exp"] - said["iat"] == 3600
    assert said["jti"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": 7}, "name"),
        ({"groups": "x"}, "groups"),
        ({"groups": ["x"] * 101}, "groups"),
        ({"groups": [""]}, "groups[0]"),
        ({"groups": ["kuma:admim"]}, "groups[0]"),
        ({"validFor": None}, "validFor"),
        ({"validFor": "0s"}, "validFor"),
        ({"validFor": "87601h"}, "validFor"),
        ({"validFor": "soon"}, "validFor"),
    ],
)
def test_a_request_that_is_wrong(cp: RunningPlatform, change: dict[str, Any], field: str) -> None:
    good = {"name": "ann", "groups": ["x"], "validFor": "1h"}
    answer = ask(cp, "POST", "/tokens/user", good | change)
    assert answer.status == 400
    assert [cause["field"] for cause in answer.body["causes"]] == [field]


def forged(cp: RunningPlatform, **change: Any) -> str:
    """A token with other claims, signed with the real key; ``None`` takes a claim away."""
    key = cp.offer("builtin.tokens", OfferedTokens).keys.to_sign()
    said = claims(cp.user_token("ann", ADMINS)) | change
    kept = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(kept, key.private, "RS256", headers={"kid": key.id})


@pytest.mark.parametrize(
    "change",
    [
        {"aud": None},
        {"aud": "others"},
        {"aud": []},
        {"sub": None},
        {"sub": ""},
        {"groups": None},
        {"groups": ADMINS},
        {"groups": [1]},
        {"exp": None},
        {"exp": 1},
        {"exp": "never"},
        {"jti": None},
        {"iat": None},
    ],
)
def test_a_token_that_lacks_something_is_good_for_nothing(
    cp: RunningPlatform, change: dict[str, Any]
) -> None:
    assert Asker(cp, token=forged(cp))("GET", READ).status == 200
    answer = Asker(cp, token=forged(cp, **change))("GET", READ)
    assert answer.status == 401
    assert "kumactl generate user-token" in answer.body["details"]


def test_neither_kind_of_token_passes_for_the_other(cp: RunningPlatform) -> None:
    both = {"Name": "web-1", "Mesh": "default"}
    dataplanes = str(ask(cp, "POST", "/tokens", {"name": "web-1", "mesh": "default"}).body)
    assert Asker(cp, token=dataplanes)("GET", READ).status == 401
    authenticator = cp.platform.features.authenticators[0].value.authenticator
    assert authenticator.recognise(dataplanes)
    for token in (cp.user_token("ann", ADMINS), forged(cp, **both)):
        with pytest.raises(Unauthenticated, match=r"it is no dataplane token|it lacks the claim"):
            authenticator.recognise(token)


def test_what_is_signed_by_others_or_by_nothing(cp: RunningPlatform) -> None:
    good = cp.user_token("ann", ADMINS)
    head, body, signature = good.split(".")
    other = jwt.encode(
        claims(good), "k" * 64, "HS256", headers={"kid": jwt.get_unverified_header(good)["kid"]}
    )
    none = jwt.encode(claims(good), None, "none")
    for token in (f"{head}.{body}.{signature[:-8]}AAAAAAA", f"{head}.{body}.", other, none, "x" * 70_000):
        assert Asker(cp, token=token)("GET", READ).status == 401


def test_an_end_and_a_revocation_count_with_the_next_request(cp: RunningPlatform) -> None:
    short = forged(cp, exp=int(time.time()) + 2)
    assert Asker(cp, token=short)("GET", READ).status == 200, "it is remembered from here on"
    eventually(lambda: Asker(cp, token=short)("GET", READ).status == 401, what="its end")
    token = cp.user_token("ann", ADMINS)
    asker = Asker(cp, token=token)
    assert asker("GET", READ).status == 200
    answer = ask(cp, "POST", "/tokens/revocations", {"token": token})
    assert (answer.status, answer.body["user"], answer.body["result"]) == (200, "ann", "revoked")
    refused = asker("GET", READ)
    assert (refused.status, "it was revoked" in refused.body["details"]) == (401, True)
    assert ask(cp, "POST", "/tokens/revocations", {"id": claims(token)["jti"]}).body["result"] == "unchanged"


def test_the_tokens_of_a_key_end_with_it(cp: RunningPlatform) -> None:
    token = cp.user_token("ann", ADMINS)
    assert Asker(cp, token=token)("GET", READ).status == 200
    ask(cp, "POST", "/tokens/signing-keys")
    old = jwt.get_unverified_header(token)["kid"]
    assert Asker(cp, token=token)("GET", READ).status == 200
    assert ask(cp, "DELETE", f"/tokens/signing-keys/{old}").status == 200
    assert Asker(cp, token=token)("GET", READ).status == 401


def test_what_is_verified_is_remembered_and_bounded(cp: RunningPlatform, monkeypatch: Any) -> None:
    monkeypatch.setattr(user_tokens, "REMEMBERED", 3)
    own = cp.offer("builtin.tokens", OfferedTokens)
    verifier = user_tokens.UserTokenVerifier(own.keys, own.users._revocations)
    tokens = [cp.user_token(f"ann-{n}") for n in range(5)]
    for token in tokens * 2:
        verifier.user(token)
    assert len(verifier._verified) == 3
    last, calls = tokens[-1], []
    monkeypatch.setattr(verifier, "genuine", lambda token: calls.append(token))
    assert verifier.user(last).name == "ann-4"
    assert calls == []


def test_no_line_of_the_log_holds_a_token(cp: RunningPlatform) -> None:
    token = cp.user_token("ann", "x")
    Asker(cp, token=token)("PUT", "/meshes/x", {})
    said = str(cp.platform.core.audited.lines())
    assert claims(token)["jti"] in said
    assert token[-30:] not in said
