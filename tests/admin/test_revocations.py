"""Revoking tokens and replacing keys over the admin server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jwt
import pytest

import kuma_store_memory
from kuma_core.builtin.tokens.keys import generate_key, load_key
from kuma_core.resources.contract import Secret
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform

REVOCATIONS, KEYS = "/tokens/revocations", "/tokens/signing-keys"


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as platform:
        yield platform


def ask(cp: RunningPlatform, method: str, path: str, body: Any = None, **headers: str) -> JsonAnswer:
    return cp.request(method, path, body, cp.admin, **headers)


def issued(cp: RunningPlatform, **more: str) -> tuple[str, str]:
    """A token and its id."""
    answer = ask(cp, "POST", "/tokens", {"name": "web-1", "mesh": "shop", **more})
    return answer.body, jwt.decode(answer.body, options={"verify_signature": False})["jti"]


def listed(cp: RunningPlatform, path: str = REVOCATIONS) -> dict[str, Any]:
    return {item["id"]: item for item in ask(cp, "GET", path).body["items"]}


def test_a_token_is_revoked_by_itself(cp: RunningPlatform) -> None:
    token, id = issued(cp)
    answer = ask(cp, "POST", REVOCATIONS, {"token": token})
    said = {"id": id, "mesh": "shop", "name": "web-1"}
    assert (answer.status, answer.body) == (200, {**said, "result": "revoked"})
    again = ask(cp, "POST", REVOCATIONS, {"token": token})
    assert (again.status, again.body) == (200, {**said, "result": "unchanged"})
    assert listed(cp)[id] == {"id": id}


def test_one_that_ends_by_itself_is_told_with_its_end(cp: RunningPlatform) -> None:
    token, id = issued(cp, validFor="24h")
    answer = ask(cp, "POST", REVOCATIONS, {"token": token})
    assert answer.body["expires"].endswith("Z")
    assert listed(cp)[id] == {"id": id, "expires": answer.body["expires"]}


def test_a_token_is_revoked_by_its_id(cp: RunningPlatform) -> None:
    body = {"id": "long-ago", "expires": "2060-01-01T01:00:00+01:00", "colour": "red"}
    answer = ask(cp, "POST", REVOCATIONS, body)
    assert answer.body == {"id": "long-ago", "expires": "2060-01-01T00:00:00Z", "result": "revoked"}
    assert ask(cp, "POST", REVOCATIONS, {"id": "for-ever"}).body == {"id": "for-ever", "result": "revoked"}
    assert listed(cp)["for-ever"] == {"id": "for-ever"}


EITHER = "give either the token, or its id"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "token", EITHER),
        ({"token": "x", "id": "y"}, "token", EITHER),
        ({"token": None}, "token", EITHER),
        ({"token": 3}, "token", "expected text"),
        ({"id": ["x"]}, "id", "expected text"),
        ({"id": ""}, "id", "must be the jti of a token"),
        ({"id": "x" * 101}, "id", "1 to 100 printable characters"),
        ({"id": "a\tb"}, "id", "printable"),
        ({"id": "x", "expires": "soon"}, "expires", "a time with its zone"),
        ({"id": "x", "expires": "2060-01-01T00:00:00"}, "expires", "a time with its zone"),
        ({"id": "x", "expires": 3}, "expires", "a time with its zone"),
        ({"token": ""}, "token", "is none of ours, so that nobody believes it anyway: it is empty"),
        ({"token": "x.y.z"}, "token", "it is no dataplane token"),
        ({"token": "x" * 66_000}, "token", "it has more than 65536 characters"),
    ],
)
def test_what_is_no_request_is_told_with_its_field(
    cp: RunningPlatform, body: Any, field: str, words: str
) -> None:
    before = listed(cp)
    answer = ask(cp, "POST", REVOCATIONS, body)
    assert (answer.status, answer.body["title"]) == (400, "Could not revoke the token")
    (cause,) = answer.body["causes"]
    assert cause["field"] == field
    assert words in cause["message"]
    assert listed(cp) == before


def test_a_token_of_somebody_else_is_told_and_not_shown(cp: RunningPlatform) -> None:
    stranger = load_key(Secret("x", "x", generate_key(), ""), 1)
    token = jwt.encode({"jti": "x"}, stranger.private, "RS256", headers={"kid": stranger.id})
    answer = ask(cp, "POST", REVOCATIONS, {"token": token})
    assert answer.status == 400
    assert "the key that signed it is not known here" in answer.body["causes"][0]["message"]
    assert token[-30:] not in str(answer)


def test_a_body_is_bounded(cp: RunningPlatform) -> None:
    assert ask(cp, "POST", REVOCATIONS, {"token": "x" * 80_000}).status == 413
    assert ask(cp, "POST", REVOCATIONS, b"{").status == 400


def test_keys_follow_each_other() -> None:
    with running_platform([kuma_store_memory]) as cp:
        ((first, shown),) = listed(cp, KEYS).items()
        assert shown == {"id": first, "serial": 1, "signs": True}
        old = issued(cp)[0]
        made = ask(cp, "POST", KEYS)
        assert made.status == 200
        assert made.body == {"id": made.body["id"], "serial": 2, "signs": True}
        assert list(listed(cp, KEYS)) == [made.body["id"], first]
        assert jwt.get_unverified_header(issued(cp)[0])["kid"] == made.body["id"]
        refused = ask(cp, "DELETE", f"{KEYS}/{made.body['id']}")
        assert (refused.status, refused.body["title"]) == (400, "Could not retire the signing key")
        assert "make another one first" in refused.body["details"]
        assert ask(cp, "DELETE", f"{KEYS}/{first}").body == {"id": first, "serial": 1, "signs": False}
        assert ask(cp, "DELETE", f"{KEYS}/{first}").status == 404
        assert list(listed(cp, KEYS)) == [made.body["id"]]
        gone = ask(cp, "POST", REVOCATIONS, {"token": old})
        assert "the key that signed it is not known here" in gone.body["causes"][0]["message"]
        assert "PRIVATE" not in str(ask(cp, "GET", KEYS))


def test_entries_of_a_retired_key_go_and_revoked_ids_stay_when_the_mesh_is_deleted() -> None:
    with running_platform([kuma_store_memory]) as cp:
        token, id = issued(cp)
        ask(cp, "POST", REVOCATIONS, {"token": token})
        ask(cp, "POST", REVOCATIONS, {"id": "other"})
        assert cp.delete("/meshes/default").status == 200
        assert list(listed(cp)) == sorted([id, "other"])
        first = next(iter(listed(cp, KEYS)))
        ask(cp, "POST", KEYS)
        ask(cp, "DELETE", f"{KEYS}/{first}")
        ask(cp, "POST", REVOCATIONS, {"id": "third"})
        assert list(listed(cp)) == ["other", "third"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", REVOCATIONS), ("GET", REVOCATIONS), ("GET", KEYS), ("POST", KEYS), ("DELETE", KEYS + "/x")],
)
def test_web_pages_stay_outside(cp: RunningPlatform, method: str, path: str) -> None:
    body = {"id": "x"} if method == "POST" else None
    assert ask(cp, method, path, body, Origin="http://evil.example").status == 403
