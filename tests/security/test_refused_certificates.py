"""Certificates that cannot be issued: told in the log once, counted in the insight, and nobody else's affair."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from cryptography import x509

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.model import ResourceKey
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.certificates import CertificateTroubles
from kuma_core.xds.contract import CertificateTrouble, Proxy

from .support import DELTA, SDS, ask_delta, identity, stream
from .test_provided_ca import upload

PLUGINS = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided]
TOO_LONG = "x" * 3000


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS, {"KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL": "10ms"}) as platform:
        yield platform


def encrypt(cp: RunningPlatform, ca: str) -> None:
    """As the views know it, too, from which identities are made."""
    cp.apply(mesh("default", mtls={"enabled": True, "ca": {ca: {}}}))
    views = cp.platform.core.proxies.views
    eventually(
        lambda: (spec := views.mesh_spec("default")) and spec.is_encrypted() and spec.authority() == ca
    )


def told(cp: RunningPlatform, name: str = "web-1") -> dict[str, Any]:
    """What the insight says of certificates that were refused."""
    insight = cp.get(f"/meshes/default/dataplane-insights/{name}")
    said = insight.body.get("certificates", {}) if insight.status == 200 else {}
    return {key: value for key, value in said.items() if key not in ("issued", "ends")}


def refused(logs: list[Any]) -> list[str]:
    return [entry["problem"] for entry in logs if entry["event"] == "a proxy gets no certificate"]


def ask_in_vain(cp: RunningPlatform, name: str) -> str:
    with stream(cp, SDS, cp.token(name)) as opened:
        opened.ask("identity_cert", node=f"default.{name}")
        return opened.refusal()[1]


def test_a_provided_authority_without_a_certificate(cp: RunningPlatform) -> None:
    """Two proxies of the mesh ask three times: one line in the log, which says what to do, and each is counted."""
    encrypt(cp, "provided")
    cp.apply(*(dataplane(name, inbound("127.0.0.1:80:8080", name)) for name in ("web-1", "web-2")))
    with (
        structlog.testing.capture_logs() as logs,
        stream(cp, DELTA, cp.token("web-1")) as first,
        stream(cp, DELTA, cp.token("web-2")) as second,
    ):
        ask_delta(first)
        ask_delta(second, "default.web-2")
        for name in ("web-1", "web-2", "web-1"):
            assert "has no certificate of its authority yet" in ask_in_vain(cp, name)
        eventually(lambda: told(cp).get("refused") == "2" and told(cp, "web-2").get("refused") == "1")
        (problem,) = refused(logs)
        assert "kumactl manage ca provided" in problem
        assert told(cp)["problem"] == problem
        upload(cp)
        identity(cp)
        eventually(lambda: told(cp) == {"refused": "2"})


def test_a_service_that_fits_no_certificate_takes_no_other_along(cp: RunningPlatform) -> None:
    """It was stored before there was a rule against it."""
    encrypt(cp, "builtin")
    inbounds = [inbound("127.0.0.1:80:8080", TOO_LONG), inbound("127.0.0.1:81:8081", "caf\u00e9")]
    spec = {"networking": {"inbound": inbounds}}
    cp.platform.core.store.create(ResourceKey("Dataplane", "default", "web-1"), json.dumps(spec))
    with structlog.testing.capture_logs() as logs, stream(cp, DELTA, cp.token("web-1")) as opened:
        ask_delta(opened)
        for _ in range(3):
            leaf = x509.load_pem_x509_certificates(identity(cp).encode())[0]
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
            assert uris == ["spiffe://default/caf%C3%A9"]
        (problem,) = refused(logs)
        assert problem.startswith('the service "xxx')
        assert "is too long for a certificate" in problem
        eventually(lambda: told(cp) == {"refused": "3", "problem": problem})


def test_a_dataplane_of_such_a_service_is_refused(cp: RunningPlatform) -> None:
    for document, field in (
        (dataplane("web-1", inbound("127.0.0.1:80:8080", TOO_LONG)), "networking.inbound[0].tags"),
        (dataplane("web-1", gateway={"service": TOO_LONG}), "networking.gateway.tags"),
    ):
        answer = cp.put("/meshes/default/dataplanes/web-1", document)
        assert answer.status == 400
        (cause,) = answer.body["causes"]
        assert cause["field"] == f'{field}["service"]'
        assert (
            "is too long for a certificate: its id spiffe://default/… has 3017 bytes of 2048"
            in cause["message"]
        )


def test_what_was_told_is_forgotten_once_nobody_has_it() -> None:
    """A reason is told again after it had gone; a second proxy's reason that the log has already is not."""
    changed: list[Proxy] = []
    troubles = CertificateTroubles(changed.append)
    first, second = Proxy("shop", "a"), Proxy("shop", "b")
    with structlog.testing.capture_logs() as logs:
        troubles.refused(first, "sealed")
        troubles.refused(second, "sealed")
        troubles.refused(first, "melted")
        troubles.refused(first, "sealed")
        troubles.issued(first)
        troubles.issued(second)
        troubles.issued(second)
        troubles.refused(second, "sealed")
        troubles.refused(Proxy("field", "b"), "sealed")
    assert refused(logs) == ["sealed", "melted", "sealed", "sealed"]
    assert troubles.of("shop", "a") == CertificateTrouble(3, issued=True)
    assert troubles.of("shop", "b") == CertificateTrouble(2, "sealed", issued=True)
    assert changed == [first, second, first, first, first, second, second, second, Proxy("field", "b")]
