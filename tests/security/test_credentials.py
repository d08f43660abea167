"""Who gets an answer on 5677 and 5678: every credential on every port, and scenarios 38 to 42."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryResponse,
    DiscoveryResponse,
)

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.authorities import verified
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER

from .support import (
    DELTA,
    NODE,
    SDS,
    SOTW,
    RawStream,
    ask_delta,
    ask_identity,
    ask_mesh_ca,
    ask_sotw,
    identity,
    stream,
)

PLUGINS = [kuma_store_memory, kuma_ca_builtin]
WEB = dataplane("web-1", inbound("127.0.0.1:8080:80", "web"))


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS) as platform:
        platform.apply(mesh("shop"), WEB)
        yield platform


# -- the table: port x credential x answer


def tokens(cp: RunningPlatform, which: str) -> list[str]:
    """What a caller shows."""
    if which == "retired key":
        return [of_a_retired_key(cp)]
    good = cp.token("web-1")
    shown = {
        "none": [],
        "empty": [""],
        "garbage": ["garbage"],
        "bearer": [f"Bearer {good}"],
        "two": [good, good],
        "of another dataplane": [cp.token("web-2")],
        "of another mesh": [cp.token("web-1", "shop")],
        "expired": [signed(cp, exp=int(datetime.now(UTC).timestamp()) - 60)],
        "revoked": [revoked(cp)],
        "forged": [signed(cp, rsa.generate_private_key(65537, 2048))],
        "unsigned": [signed(cp, None, "none")],
        "hmac with the public key": [hmac_signed(cp)],
        "good": [good],
    }
    return shown[which]


def revoked(cp: RunningPlatform) -> str:
    token = cp.token("web-1")
    assert cp.request("POST", "/tokens/revocations", {"token": token}, cp.admin).status == 200
    return token


def of_a_retired_key(cp: RunningPlatform) -> str:
    token, keys = cp.token("web-1"), "/tokens/signing-keys"
    old = cp.request("GET", keys, None, cp.admin).body["items"][0]["id"]
    assert cp.request("POST", keys, None, cp.admin).status == 200
    assert cp.request("DELETE", f"{keys}/{old}", None, cp.admin).status == 200
    return token


def signed(cp: RunningPlatform, key: Any = "own", algorithm: str = "RS256", **claims: Any) -> str:
    """A token for web-1 as the control plane would sign it, but for what is given."""
    own = cp.offer("builtin.tokens").keys.to_sign()
    said = {"Name": "web-1", "Mesh": "default", "iat": 1, "jti": "a", **claims}
    return jwt.encode(said, own.private if key == "own" else key, algorithm, headers={"kid": own.id})


def hmac_signed(cp: RunningPlatform) -> str:
    """A token by the public key, which everybody may know, used as the secret of an HMAC."""
    own = cp.offer("builtin.tokens").keys.to_sign()
    pem, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    header = json.dumps({"alg": "HS256", "typ": "JWT", "kid": own.id}).encode()
    start = f"{unpadded(header)}.{signed(cp).split('.')[1]}"
    secret = own.public.public_bytes(pem, form)
    return f"{start}.{unpadded(hmac.digest(secret, start.encode(), 'sha256'))}"


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


REFUSALS = {
    "none": "could not parse token: it is empty",
    "empty": "could not parse token: it is empty",
    "garbage": "could not parse token: it is no dataplane token",
    "bearer": "could not parse token: it is no dataplane token",
    "two": '{} request must have exactly 1 "authorization" header, got 2',
    "of another dataplane": "proxy name from requestor: web-1 is different than in token: web-2",
    "of another mesh": "proxy mesh from requestor: default is different than in token: shop",
    "expired": "could not parse token: it has expired; generate a new one with",
    "revoked": "could not parse token: it was revoked; generate a new one with",
    "retired key": "could not parse token: the key that signed it is not known here; generate a new one with",
    "forged": "could not parse token: its signature is wrong",
    "unsigned": "could not parse token: its algorithm is not RS256",
    "hmac with the public key": "could not parse token: its algorithm is not RS256",
    "good": "",
}
UNAUTHENTICATED, INVALID = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND, INTERNAL = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL
GUARDED = {
    "5677 identity_cert": (SDS, ask_identity),
    "5678 state of the world": (SOTW, ask_sotw),
    "5678 delta": (DELTA, ask_delta),
}


@pytest.mark.parametrize("which", REFUSALS)
@pytest.mark.parametrize("port", GUARDED)
def test_the_table_of_ports_and_credentials(cp: RunningPlatform, port: str, which: str) -> None:
    method, ask = GUARDED[port]
    with stream(cp, method, *tokens(cp, which)) as opened:
        ask(opened)
        if not REFUSALS[which]:
            assert opened.receive()
            return
        refused, text = opened.refusal()
    assert refused is UNAUTHENTICATED
    assert text.startswith(REFUSALS[which].format("SDS" if method == SDS else "xDS"))


@pytest.mark.parametrize("which", REFUSALS)
def test_the_table_mesh_ca_is_for_everybody(cp: RunningPlatform, which: str) -> None:
    with stream(cp, SDS, *tokens(cp, which)) as opened:
        ask_mesh_ca(opened)
        assert opened.secret()[1].name == "mesh_ca"


@pytest.mark.parametrize("port", GUARDED)
def test_a_refusal_shows_nothing_of_the_token(cp: RunningPlatform, port: str) -> None:
    method, ask = GUARDED[port]
    for which in ("garbage", "of another dataplane", "expired", "forged", "revoked", "retired key"):
        (token,) = tokens(cp, which)
        with stream(cp, method, token) as opened:
            ask(opened)
            text = opened.refusal()[1]
        assert [part for part in token.split(".") if len(part) > 10 and part in text] == []


@pytest.mark.parametrize("port", ["sds_port", "xds_port"])
def test_nobody_is_answered_without_tls(cp: RunningPlatform, port: str) -> None:
    method, ask = (SDS, ask_mesh_ca) if port == "sds_port" else (SOTW, ask_sotw)
    with grpc.insecure_channel(f"127.0.0.1:{getattr(cp, port)}") as channel:
        opened = RawStream(channel, method, [cp.token("web-1")])
        ask(opened)
        assert opened.refusal()[0] is grpc.StatusCode.UNAVAILABLE
        opened.close()


# -- scenarios


def test_scenario_38_an_identity_for_its_owner_alone(cp: RunningPlatform) -> None:
    anchors = cp.platform.core.authorities["builtin"].trust_anchors("default")
    verified(identity(cp), anchors)
    for which in ("none", "of another dataplane", "of another mesh"):
        with stream(cp, SDS, *tokens(cp, which)) as opened:
            ask_identity(opened)
            code, text = opened.refusal()
        assert (code, text.startswith(REFUSALS[which])) == (UNAUTHENTICATED, True)


def test_scenario_39_mesh_ca_without_a_token_and_one_known_name_for_each_request(
    cp: RunningPlatform,
) -> None:
    with stream(cp, SDS) as opened:
        ask_mesh_ca(opened)
        response, secret = opened.secret()
    assert response.nonce == "1"
    assert secret.validation_context is not None
    assert secret.validation_context.trusted_ca is not None
    anchors = cp.platform.core.authorities["builtin"].trust_anchors("default")
    assert secret.validation_context.trusted_ca.inline_bytes.decode().strip() == "\n".join(anchors).strip()
    for names, words in (
        (["other"], 'SDS request for "other" resource is not supported'),
        (["mesh_ca", "identity_cert"], "must have exactly 1 resource name, got 2"),
    ):
        with stream(cp, SDS, cp.token("web-1")) as opened:
            opened.ask(*names)
            code, text = opened.refusal()
        assert (code, words in text) == (INVALID, True)


def test_scenario_39_the_name_stays_the_same_on_a_stream(cp: RunningPlatform) -> None:
    with stream(cp, SDS, cp.token("web-1")) as opened:
        ask_mesh_ca(opened)
        opened.secret()
        opened.ask("identity_cert", node=NODE)
        assert opened.refusal()[0] is INVALID


@pytest.mark.parametrize("node", ["", "web-1", ".web-1", "default."])
def test_a_node_id_that_cannot_be_read(cp: RunningPlatform, node: str) -> None:
    with stream(cp, SDS, cp.token("web-1")) as opened:
        opened.ask("identity_cert", node=node)
        code, text = opened.refusal()
    assert (code, text.startswith("SDS request must have a valid Proxy Id: ")) == (INVALID, True)


def test_scenario_40_an_acknowledgement_and_a_request_without_names_are_not_answered(
    cp: RunningPlatform,
) -> None:
    with stream(cp, SDS, cp.token("web-1")) as opened:
        ask_identity(opened)
        first, _ = opened.secret()
        opened.ask("identity_cert", nonce=first.nonce, version=first.version_info)
        opened.ask(nonce=first.nonce)
        opened.ask("identity_cert")  # a question again: what it gets is the second response of the stream
        second, _ = opened.secret()
    assert (first.nonce, second.nonce) == ("1", "2")
    assert first.version_info != second.version_info


def test_scenario_41_a_dataplane_that_comes_later_succeeds_with_its_next_try(cp: RunningPlatform) -> None:
    token = cp.token("late")
    with stream(cp, SDS, token) as opened:
        opened.ask("identity_cert", node="default.late")
        code, text = opened.refusal()
    assert (code, "unable to find Dataplane for proxy" in text) == (NOT_FOUND, True)
    cp.apply(dataplane("late", inbound("127.0.0.1:8081:80", "late")))
    assert eventually(lambda: identity(cp, "late"))


def test_a_mesh_that_is_not_there(cp: RunningPlatform) -> None:
    with stream(cp, SDS) as opened:
        opened.ask("mesh_ca", node="nowhere.web-1")
        assert opened.refusal() == (NOT_FOUND, 'there is no Mesh "nowhere"')


def test_a_mesh_whose_authority_is_not_loaded() -> None:
    with running_platform([kuma_store_memory]) as cp, stream(cp, SDS) as opened:
        ask_mesh_ca(opened)
        assert opened.refusal() == (INTERNAL, 'Mesh "default" has unsupported CA type "builtin"')


@pytest.mark.parametrize(
    "switch", ["KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED", "KUMA_DATAPLANE_TOKEN_SERVER_ENABLED"]
)
def test_scenario_42_without_tokens_everybody_is_believed(switch: str) -> None:
    with running_platform(PLUGINS, {switch: "false"}) as cp:
        cp.apply(WEB)
        assert cp.get("/catalog").body["apis"]["dataplaneToken"]["localUrl"] == ""
        for method, ask in GUARDED.values():
            with stream(cp, method) as opened:
                ask(opened)
                assert opened.receive()
        with stream(cp, SDS) as opened:
            opened.ask("identity_cert", node="default.nobody")
            assert "unable to find Dataplane" in opened.refusal()[1]


def test_what_a_good_token_gets_on_5678_is_its_own_configuration(cp: RunningPlatform) -> None:
    for method, ask, parse in (
        (SOTW, ask_sotw, DiscoveryResponse.parse),
        (DELTA, ask_delta, DeltaDiscoveryResponse.parse),
    ):
        with stream(cp, method, cp.token("web-1")) as opened:
            ask(opened)
            assert parse(opened.receive()).type_url == CLUSTER
