"""What proxies say of the secrets that they are sent, and what is sent when an authority changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import structlog
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryRequest
from envoy_data_plane.google.rpc import Status

import kuma_ca_builtin
import kuma_store_memory
from kuma_ca_builtin.authority import BuiltinCa
from kuma_core.testing.authorities import verified
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.server.sds_hub import MOST_WAITING

from .support import SDS, RawStream, stream

NODE = "default.web-1"
NAMES = ("identity_cert", "mesh_ca")


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as platform:
        platform.apply(mesh("shop"), dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        yield platform


@pytest.fixture
def ca(cp: RunningPlatform) -> BuiltinCa:
    provider = cp.platform.core.authorities["builtin"].provider
    assert isinstance(provider, BuiltinCa)
    return provider


def behind(cp: RunningPlatform, mesh: str = "default") -> list[str]:
    return [str(proxy) for proxy in cp.platform.core.proxies.behind(mesh)]


def counts(cp: RunningPlatform, resource: str) -> dict[str, int]:
    found = cp.platform.core.proxies.secrets_hub.counts
    return {outcome: count for (name, outcome), count in found.items() if name == resource}


@contextmanager
def asked(cp: RunningPlatform, name: str) -> Iterator[tuple[RawStream, Any]]:
    """A stream and its first secret, which is not acknowledged yet."""
    with stream(cp, SDS, cp.token("web-1")) as opened:
        opened.ask(name, node=NODE)
        yield opened, opened.secret()[0]


def acknowledge(opened: RawStream, name: str, response: Any) -> None:
    opened.ask(name, node=NODE, nonce=response.nonce, version=response.version_info)


def reject(opened: RawStream, name: str, response: Any, reason: str) -> None:
    request = DiscoveryRequest(
        node=Node(id=NODE),
        resource_names=[name],
        response_nonce=response.nonce,
        error_detail=Status(message=reason),
    )
    opened.send(bytes(request))


def is_quiet(opened: RawStream) -> bool:
    """Whether nothing waits on a stream, of which the next question is then the first news."""
    opened.ask("nobody")
    code, text = opened.refusal()
    return code is grpc.StatusCode.INVALID_ARGUMENT and "cannot change" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_is_behind_until_it_has_acknowledged(cp: RunningPlatform, name: str) -> None:
    assert behind(cp) == []
    with asked(cp, name) as (opened, response):
        assert behind(cp) == [NODE]
        assert behind(cp, "shop") == []
        acknowledge(opened, name, response)
        eventually(lambda: behind(cp) == [])
    assert counts(cp, name) == {"sent": 1, "acknowledged": 1}


def test_a_rejected_secret_is_told_counted_and_not_acknowledged(cp: RunningPlatform) -> None:
    with structlog.testing.capture_logs() as logs, asked(cp, "mesh_ca") as (opened, response):
        reject(opened, "mesh_ca", response, "no such curve")
        eventually(lambda: counts(cp, "mesh_ca") == {"sent": 1, "rejected": 1})
        assert behind(cp) == [NODE]
    (line,) = [entry for entry in logs if "rejects" in entry["event"]]
    assert (line["proxy"], line["resource"], line["problem"]) == (NODE, "mesh_ca", "no such curve")


def test_what_was_acknowledged_before_a_rejection_is_still_held(cp: RunningPlatform) -> None:
    with asked(cp, "identity_cert") as (opened, first):
        acknowledge(opened, "identity_cert", first)
        opened.ask("identity_cert", node=NODE)
        second, _ = opened.secret()
        reject(opened, "identity_cert", second, "not today")
        eventually(lambda: counts(cp, "identity_cert").get("rejected"))
        assert behind(cp) == []


def test_an_answer_to_an_older_response_is_neither_answered_nor_an_acknowledgement(
    cp: RunningPlatform,
) -> None:
    with asked(cp, "identity_cert") as (opened, first):
        opened.ask("identity_cert", node=NODE)
        second, _ = opened.secret()
        acknowledge(opened, "identity_cert", first)
        assert behind(cp) == [NODE]
        acknowledge(opened, "identity_cert", second)
        eventually(lambda: behind(cp) == [])
        assert is_quiet(opened)
    assert counts(cp, "identity_cert")["sent"] == 2


@pytest.mark.parametrize("nonce", ["0", "99", "-1", "first", "9" * 5000])
def test_a_nonce_that_no_response_had_is_a_question(cp: RunningPlatform, nonce: str) -> None:
    with asked(cp, "mesh_ca") as (opened, _):
        opened.ask("mesh_ca", node=NODE, nonce=nonce)
        assert opened.secret()[0].nonce == "2"


def test_a_stream_that_nobody_uses_is_not_waited_for_until_it_is_used_again(
    cp: RunningPlatform, ca: BuiltinCa
) -> None:
    with asked(cp, "mesh_ca") as (opened, first):
        acknowledge(opened, "mesh_ca", first)
        opened.ask(node=NODE, nonce=first.nonce)
        ca.rotate("default")
        eventually(lambda: behind(cp) == [])
        opened.ask("mesh_ca", node=NODE, nonce=first.nonce, version=first.version_info)
        second, secret = opened.secret()
        assert second.nonce == "2"
        assert trusted(secret) == sorted(ca.trust_anchors("default"))
        assert behind(cp) == [NODE]


def trusted(secret: Any) -> list[str]:
    text = secret.validation_context.trusted_ca.inline_bytes.decode()
    return [part + "-----END CERTIFICATE-----\n" for part in text.split("-----END CERTIFICATE-----\n")[:-1]]


def test_each_stage_of_a_rotation_sends_what_it_changes_and_nothing_else(
    cp: RunningPlatform, ca: BuiltinCa
) -> None:
    with asked(cp, "identity_cert") as (identity, leaf), asked(cp, "mesh_ca") as (bundle, root):
        acknowledge(identity, "identity_cert", leaf)
        acknowledge(bundle, "mesh_ca", root)
        eventually(lambda: behind(cp) == [])

        began = ca.rotate("default")
        assert behind(cp) == [NODE]
        response, secret = bundle.secret()
        assert trusted(secret) == sorted(ca.trust_anchors("default"))
        assert len(trusted(secret)) == 2
        acknowledge(bundle, "mesh_ca", response)
        eventually(lambda: behind(cp) == [])

        ca.advance("default", began.id)
        assert behind(cp) == [NODE]
        response, secret = identity.secret()
        verified(secret.tls_certificate.certificate_chain.inline_bytes.decode(), [ca.signer("default")])
        acknowledge(identity, "identity_cert", response)
        eventually(lambda: behind(cp) == [])

        signing = ca.rotation("default")
        assert signing is not None
        ca.advance("default", signing.id)
        response, secret = bundle.secret()
        assert trusted(secret) == [ca.signer("default")]
        acknowledge(bundle, "mesh_ca", response)
        eventually(lambda: behind(cp) == [])
        assert is_quiet(identity)
        assert is_quiet(bundle)
    assert counts(cp, "identity_cert") == {"sent": 2, "acknowledged": 2}
    assert counts(cp, "mesh_ca") == {"sent": 3, "acknowledged": 3}


def test_a_client_that_asks_without_end_is_read_no_faster_than_it_is_answered(cp: RunningPlatform) -> None:
    with asked(cp, "mesh_ca") as (opened, _):
        (session,) = cp.platform.core.proxies.secrets_hub._sessions
        for number in range(300):
            opened.ask("mesh_ca", node=NODE, nonce=f"x{number}")
        waiting = []

        def all_are_answered() -> bool:
            waiting.append(session.inbox.qsize())
            return session.nonce >= 300

        eventually(all_are_answered)
        assert max(waiting) <= MOST_WAITING


def test_many_hints_are_one(cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    with asked(cp, "mesh_ca") as (opened, response):
        acknowledge(opened, "mesh_ca", response)
        (session,) = cp.platform.core.proxies.secrets_hub._sessions
        eventually(lambda: session.inbox.empty())
        for _ in range(1000):
            cp.platform.core.proxies.authority_changed("default")
        eventually(lambda: not session.nudged)
        assert session.inbox.qsize() <= 1
        assert is_quiet(opened)
