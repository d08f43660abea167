"""The contexts of TLS as Envoy reads them."""

from __future__ import annotations

from typing import Any

import pytest
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    DownstreamTlsContext,
    UpstreamTlsContext,
)

from kuma_core.xds.contract import SecretSource
from kuma_core.xds.generators import tls

SOURCE = SecretSource("ipv4:10.0.0.1:5677,10.0.0.2:5677", "a root", "/run/token")


def upstream(source: SecretSource = SOURCE, expected: str = "spiffe://shop/web") -> dict[str, Any]:
    """The context of an outbound, as JSON."""
    socket = tls.upstream(source, expected)
    assert socket.typed_config is not None
    found: dict[str, Any] = UpstreamTlsContext.parse(socket.typed_config.value).to_dict()
    return found["commonTlsContext"]


def downstream() -> dict[str, Any]:
    """The context of an inbound, as JSON."""
    socket = tls.downstream(SOURCE)
    assert socket.typed_config is not None
    found: dict[str, Any] = DownstreamTlsContext.parse(socket.typed_config.value).to_dict()
    assert found["requireClientCertificate"] is True
    return found["commonTlsContext"]


def test_both_sides_have_the_same_identity_and_authority() -> None:
    server, client = downstream(), upstream()
    (own,) = server["tlsCertificateSdsSecretConfigs"]
    assert (own["name"], client["tlsCertificateSdsSecretConfigs"]) == ("identity_cert", [own])
    authority = client["combinedValidationContext"]["validationContextSdsSecretConfig"]
    assert (authority["name"], server["validationContextSdsSecretConfig"]) == ("mesh_ca", authority)


def test_a_client_expects_exactly_one_identity() -> None:
    for expected in ("spiffe://shop/web", "spiffe://shop/db"):
        own = upstream(expected=expected)["combinedValidationContext"]["defaultValidationContext"]
        assert own == {"matchTypedSubjectAltNames": [{"sanType": "URI", "matcher": {"exact": expected}}]}


@pytest.mark.parametrize(
    ("field", "value"), [("target", "10.0.0.3:1"), ("root", "other"), ("token_path", "/t")]
)
def test_each_source_of_secrets_is_told_apart(field: str, value: str) -> None:
    parts = {"target": SOURCE.target, "root": SOURCE.root, "token_path": SOURCE.token_path}
    assert upstream(SecretSource(**{**parts, field: value})) != upstream()


def test_the_channel_notices_silence_and_comes_back_soon() -> None:
    (own,) = upstream()["tlsCertificateSdsSecretConfigs"]
    grpc = own["sdsConfig"]["apiConfigSource"]["grpcServices"][0]["googleGrpc"]
    args = {name: next(iter(value.values())) for name, value in grpc["channelArgs"]["args"].items()}
    assert args.pop("grpc.default_authority") == "10.0.0.1:5677"
    assert {name.removeprefix("grpc."): int(value) for name, value in args.items()} == {
        "keepalive_time_ms": 15_000,
        "keepalive_timeout_ms": 10_000,
        "http2.ping_timeout_ms": 10_000,
        "keepalive_permit_without_calls": 1,
        "initial_reconnect_backoff_ms": 500,
        "max_reconnect_backoff_ms": 5_000,
        "max_receive_message_length": -1,
    }
