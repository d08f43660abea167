"""Dataplane tokens: what they say, and which are believed."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kuma_core.auth.contract import Unauthenticated
from kuma_core.builtin.tokens.contract import SIGNING_KEY
from kuma_core.builtin.tokens.keys import SigningKeys, generate_key
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.builtin.tokens.tokens import MAX_TOKEN, TokenIssuer, TokenVerifier
from kuma_core.durations import HOUR, MILLISECOND
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.resources.secrets import SecretManager
from kuma_core.xds.proxy import Proxy

from .conftest import KEYS, Breakable

FIRST, SECOND, _ = KEYS


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split(".")[:3])
    return json.loads(header), json.loads(payload)


def forged(key: Any, algorithm: str = "RS256", headers: Any = None, **claims: Any) -> str:
    """A token that says what it likes; a claim of ``None`` is left out."""
    said = {"Name": "web-1", "Mesh": "shop", "iat": int(time.time()), "jti": "1", **claims}
    payload = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(payload, key, algorithm, headers=headers)


def hmac_signed(secret: bytes, kid: str) -> str:
    """A token as PyJWT refuses to make it: with a key pair's bytes as the secret of an HMAC."""
    header = {"alg": "HS256", "typ": "JWT", "kid": kid}
    claims = {"Name": "web-1", "Mesh": "shop", "iat": 1, "jti": "1"}
    start = b".".join(map(_b64, (json.dumps(header).encode(), json.dumps(claims).encode())))
    return (start + b"." + _b64(hmac.digest(secret, start, "sha256"))).decode()


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(keys: SigningKeys, **claims: Any) -> str:
    key = keys.to_sign()
    return forged(key.private, headers={"kid": key.id}, **claims)


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        verifier.recognise(token).allows(Proxy("shop", "web-1"), tuple)
    assert str(caught.value).startswith("could not parse token: ")
    assert len(token) < 10 or token not in str(caught.value)
    reason, _, remedy = str(caught.value).removeprefix("could not parse token: ").partition("; ")
    assert remedy in ("", "generate a new one with 'kumactl generate dataplane-token'")
    return reason


# -- what a token is


def test_header_and_claims(issuer: TokenIssuer, keys: SigningKeys) -> None:
    before = int(time.time())
    header, claims = parts(issuer.issue("web-1", "shop"))
    assert header == {"alg": "RS256", "typ": "JWT", "kid": keys.to_sign().id}
    assert list(claims)[:2] == ["Name", "Mesh"]
    assert (claims["Name"], claims["Mesh"]) == ("web-1", "shop")
    assert set(claims) == {"Name", "Mesh", "iat", "jti"}
    assert before <= claims["iat"] <= time.time()


def test_no_two_tokens_have_one_id(issuer: TokenIssuer) -> None:
    assert len({parts(issuer.issue("web-1", "shop"))[1]["jti"] for _ in range(3)}) == 3


@pytest.mark.parametrize(("valid_for", "seconds"), [(24 * HOUR, 86_400), (1, 1), (1500 * MILLISECOND, 2)])
def test_a_token_may_end(issuer: TokenIssuer, valid_for: int, seconds: int) -> None:
    _, claims = parts(issuer.issue("web-1", "shop", valid_for))
    assert claims["exp"] - claims["iat"] == seconds


def test_the_key_is_rsa_2048_as_pkcs1_der(secrets: SecretManager) -> None:
    key = serialization.load_der_private_key(generate_key(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048


# -- who is believed


def test_a_genuine_token(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    token = issuer.issue("web-1", "shop", HOUR)
    verifier.recognise(token).allows(Proxy("shop", "web-1"), tuple)
    claims = verifier.verify(token)
    assert (claims.name, claims.mesh) == ("web-1", "shop")
    assert claims.id == parts(token)[1]["jti"]
    assert claims.expires is not None
    assert (claims.expires - claims.issued).total_seconds() == 3600
    assert claims.issued <= datetime.now(UTC)


def test_a_token_of_somebody_else(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    token = issuer.issue("web-1", "shop")
    with pytest.raises(Unauthenticated) as caught:
        verifier.recognise(token).allows(Proxy("shop", "web-2"), tuple)
    assert str(caught.value) == "proxy name from requestor: web-2 is different than in token: web-1"
    with pytest.raises(Unauthenticated) as caught:
        verifier.recognise(token).allows(Proxy("other", "web-1"), tuple)
    assert str(caught.value) == "proxy mesh from requestor: other is different than in token: shop"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "é.é.é", "null.null.null", "x" * (MAX_TOKEN + 1)])
def test_what_is_no_token(verifier: TokenVerifier, token: str) -> None:
    assert refusal(verifier, token)


def test_other_algorithms_are_refused(keys: SigningKeys, verifier: TokenVerifier) -> None:
    key = keys.to_sign()
    kid = {"kid": key.id}
    public = key.public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for token in (
        hmac_signed(FIRST, key.id),  # as 0.3.1 signed
        hmac_signed(public, key.id),
        forged(None, "none", kid),
        forged(key.private, "RS512", kid),
        forged(key.private, "PS256", kid),
    ):
        assert refusal(verifier, token) == "its algorithm is not RS256"


def test_a_key_that_is_not_known(verifier: TokenVerifier) -> None:
    stranger: Any = serialization.load_der_private_key(SECOND, password=None)
    for headers in (None, {"kid": "0"}, {"kid": ""}):
        assert (
            refusal(verifier, forged(stranger, headers=headers)) == "the key that signed it is not known here"
        )


def test_a_signature_by_another_key_than_it_says(keys: SigningKeys, verifier: TokenVerifier) -> None:
    stranger: Any = serialization.load_der_private_key(SECOND, password=None)
    token = forged(stranger, headers={"kid": keys.to_sign().id})
    assert refusal(verifier, token) == "its signature is wrong"


def test_a_changed_payload(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    header, _, signature = issuer.issue("web-2", "shop").split(".")
    _, payload, _ = issuer.issue("web-1", "shop").split(".")
    assert refusal(verifier, f"{header}.{payload}.{signature}") == "its signature is wrong"


@pytest.mark.parametrize("claim", ["Name", "Mesh", "iat", "jti"])
def test_a_missing_claim(keys: SigningKeys, verifier: TokenVerifier, claim: str) -> None:
    assert refusal(verifier, signed(keys, **{claim: None})) == f'it lacks the claim "{claim}"'


@pytest.mark.parametrize(
    "claims",
    [
        {"Name": ["web-1"]},
        {"Mesh": ""},
        {"jti": 3},
        {"iat": "soon"},
        {"iat": 1e30},
        {"exp": "never"},
        {"exp": 1e30},
        {"nbf": 4_000_000_000},
    ],
)
def test_claims_of_a_wrong_kind(keys: SigningKeys, verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    if "jti" in claims:
        token = _signed_raw(keys, claims)
    else:
        token = signed(keys, **claims)
    assert refusal(verifier, token) == "it is no dataplane token"


def _signed_raw(keys: SigningKeys, claims: dict[str, Any]) -> str:
    key = keys.to_sign()
    payload = {"Name": "web-1", "Mesh": "shop", "iat": 1, "jti": "1", **claims}
    return jwt.PyJWS().encode(json.dumps(payload).encode(), key.private, "RS256", {"kid": key.id})


def test_an_expired_token_says_what_to_do(keys: SigningKeys, verifier: TokenVerifier) -> None:
    token = signed(keys, exp=int(time.time()) - 1)
    assert refusal(verifier, token) == "it has expired"
    with pytest.raises(Unauthenticated, match="kumactl generate dataplane-token"):
        verifier.verify(token)


# -- the keys


def hint(name: str = SIGNING_KEY, mesh: str = "default", op: Op = Op.PUT) -> Change:
    return Change(op, ResourceKey("Secret", mesh, name))


def test_a_key_is_made_where_there_is_none(store: Any) -> None:
    keys = SigningKeys(SecretManager(store))
    keys.ensure()
    first = keys.to_sign()
    keys.ensure()
    assert keys.to_sign().id == first.id
    assert SecretManager(store).names("default") == [SIGNING_KEY]


def test_control_planes_that_start_at_once_end_up_with_one_key(store: Any) -> None:
    several = [SigningKeys(SecretManager(store)) for _ in range(4)]
    threads = [threading.Thread(target=keys.ensure) for keys in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len({keys.to_sign().id for keys in several}) == 1


def test_after_a_rotation_the_new_key_signs_and_both_verify(
    secrets: SecretManager, keys: SigningKeys, issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    old = issuer.issue("web-1", "shop")
    secrets.create("default", f"{SIGNING_KEY}-2", SECOND)
    keys.changed(hint(f"{SIGNING_KEY}-2"))
    new = issuer.issue("web-1", "shop")
    assert parts(new)[0]["kid"] != parts(old)[0]["kid"]
    for token in (old, new):
        verifier.recognise(token).allows(Proxy("shop", "web-1"), tuple)
    secrets.delete("default", SIGNING_KEY)
    keys.changed(hint(op=Op.DELETE))
    verifier.recognise(new)
    assert refusal(verifier, old) == "the key that signed it is not known here"


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        (hint(), True),
        (hint(f"{SIGNING_KEY}-7"), True),
        (Change(Op.RESYNC), True),
        (hint("builtinca.default"), False),
        (hint(mesh="shop"), False),
        (Change(Op.PUT, ResourceKey("Mesh", "default", "default")), False),
    ],
)
def test_the_keys_are_read_again_after_a_hint_and_only_then(
    store: Breakable, keys: SigningKeys, issuer: TokenIssuer, change: Change, reads: bool
) -> None:
    issuer.issue("web-1", "shop")
    before = store.reads
    keys.changed(change)
    issuer.issue("web-1", "shop")
    assert (store.reads > before) is reads


def test_while_the_store_is_away_the_known_keys_are_good(
    store: Breakable,
    keys: SigningKeys,
    revocations: Revocations,
    issuer: TokenIssuer,
    verifier: TokenVerifier,
    secrets: SecretManager,
) -> None:
    token = issuer.issue("web-1", "shop")
    verifier.recognise(token).allows(Proxy("shop", "web-1"), tuple)
    keys.changed(Change(Op.RESYNC))
    revocations.changed(Change(Op.RESYNC))
    store.away = True
    verifier.recognise(token).allows(Proxy("shop", "web-1"), tuple)
    store.away = False
    secrets.delete("default", SIGNING_KEY)
    keys.changed(Change(Op.RESYNC))
    assert refusal(verifier, token) == "the key that signed it is not known here", (
        "it is read once it is back"
    )


def test_a_control_plane_that_never_saw_the_keys_says_that_the_store_is_away(store: Breakable) -> None:
    stranger: Any = serialization.load_der_private_key(SECOND, password=None)
    secrets = SecretManager(store)  # type: ignore[arg-type]
    verifier = TokenVerifier(SigningKeys(secrets), Revocations(secrets))
    store.away = True
    with pytest.raises(StoreUnavailable):
        verifier.verify(forged(stranger, headers={"kid": "x"}))


def test_without_a_key_nothing_is_signed(store: Any) -> None:
    with pytest.raises(KumaError, match=SIGNING_KEY):
        TokenIssuer(SigningKeys(SecretManager(store))).issue("web-1", "shop")


def test_a_key_that_cannot_be_read_costs_its_own_tokens_only(
    secrets: SecretManager, keys: SigningKeys, issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    secrets.create("default", f"{SIGNING_KEY}-2", b"no key at all")
    keys.changed(hint())
    verifier.recognise(issuer.issue("web-1", "shop")).allows(Proxy("shop", "web-1"), tuple)


def test_a_key_is_not_shown(keys: SigningKeys) -> None:
    assert "private" not in repr(keys.to_sign())
