"""Tokens that bind services and tags: whoever owns one service becomes no other, however the Dataplane changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryRequest, DiscoveryResponse

import kuma_ca_builtin
import kuma_policy_traffic
from kuma_core.ca.identity import IdentityIssuer
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER
from kuma_store_memory.store import MemoryStore

from ..end_to_end.support import Machine
from ..end_to_end.test_mtls import address, encrypt
from ..end_to_end.test_traffic import instance
from .support import DELTA, SDS, SOTW, RawStream, ask_delta, ask_identity, certificate_of, stream

SETTINGS = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
MTLS = {"enabled": True, "ca": {"builtin": {}}}
OVERVIEWS = "/meshes/default/dataplanes+insights"
WEB = dataplane("web-1", inbound("127.0.0.1:8080:80", "web", team="a"))
BACKEND = inbound("127.0.0.1:8081:81", "backend", team="a")


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[RunningPlatform, RunningPlatform]]:
    plugins = [SharedStore(MemoryStore()), kuma_policy_traffic, kuma_ca_builtin]
    with running_platform(plugins, SETTINGS) as here, running_platform(plugins, SETTINGS) as there:
        here.apply(mesh("default", mtls=MTLS), mesh("other", mtls=MTLS))
        yield here, there


@pytest.fixture
def cp(two: tuple[RunningPlatform, RunningPlatform]) -> RunningPlatform:
    here, _ = two
    here.apply(WEB)
    here.catch_up()
    return here


def bound(cp: RunningPlatform, **asked: Any) -> str:
    """A token of the mesh ``default`` with what is asked for."""
    answer = cp.request("POST", "/tokens", {"mesh": "default", **asked}, cp.admin)
    assert answer.status == 200, answer
    return str(answer.body)


def services(opened: RawStream) -> list[str]:
    """Which services the identity is for that comes next."""
    response, secret = opened.secret()
    certificate = secret.tls_certificate
    assert certificate is not None
    assert certificate.certificate_chain is not None
    opened.ask("identity_cert", nonce=response.nonce, version=response.version_info)
    chain = x509.load_pem_x509_certificate(certificate.certificate_chain.inline_bytes)
    names = chain.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def take_clusters(opened: RawStream) -> None:
    """Ask for the clusters of web-1, and acknowledge them: what changes is sent from then on."""
    opened.send(bytes(DiscoveryRequest(node=Node(id="default.web-1"), type_url=CLUSTER)))
    answer = DiscoveryResponse.parse(opened.receive())
    opened.send(
        bytes(
            DiscoveryRequest(type_url=CLUSTER, response_nonce=answer.nonce, version_info=answer.version_info)
        )
    )


@contextmanager
def open_streams(cp: RunningPlatform, token: str) -> Iterator[list[RawStream]]:
    """One of ADS and one of SDS, which have what web-1 may have."""
    with ExitStack() as stack:
        ads, sds = (stack.enter_context(stream(cp, method, token)) for method in (SOTW, SDS))
        take_clusters(ads)
        ask_identity(sds)
        assert services(sds) == ["spiffe://default/web"]
        yield [ads, sds]


def let_in(cp: RunningPlatform, token: str) -> bool:
    """Whether streams with this token are: what was written last is known to those that look at tokens."""
    try:
        with open_streams(cp, token):
            return True
    except grpc.RpcError:
        return False


def delete_and_create(cp: RunningPlatform, document: dict[str, Any]) -> None:
    assert cp.request("DELETE", "/meshes/default/dataplanes/web-1").status == 200
    cp.apply(document)


def put(cp: RunningPlatform, document: dict[str, Any]) -> None:
    cp.apply(document)


OTHERS: dict[str, dict[str, Any]] = {
    "another service": dataplane("web-1", BACKEND),
    "another service beside its own": dataplane(
        "web-1", inbound("127.0.0.1:8080:80", "web", team="a"), BACKEND
    ),
    "a gateway": dataplane("web-1", gateway={"service": "backend", "team": "a"}),
    "another tag": dataplane("web-1", inbound("127.0.0.1:8082:82", "web", team="b")),
    "a tag less": dataplane("web-1", inbound("127.0.0.1:8082:82", "web")),
}
ASKED: list[dict[str, Any]] = [
    {"name": "web-1", "services": ["web"], "tags": {"team": ["a"]}},
    {"services": ["web"], "tags": {"team": ["a"]}},
]


@pytest.mark.parametrize("how", [put, delete_and_create])
@pytest.mark.parametrize("other", OTHERS)
def test_the_streams_end_when_the_token_allows_the_dataplane_no_more(
    cp: RunningPlatform, other: str, how: Callable[[RunningPlatform, dict[str, Any]], None]
) -> None:
    """Nothing of what the Dataplane is now goes out on them, and nothing on new ones."""
    for asked in ASKED:
        how(cp, WEB)
        cp.catch_up()
        token = bound(cp, **asked)
        eventually(partial(let_in, cp, token))
        with open_streams(cp, token) as streams:
            how(cp, OTHERS[other])
            for opened in streams:
                code, text = opened.ended() if how is delete_and_create else opened.refusal()
                assert code is grpc.StatusCode.UNAUTHENTICATED
                assert text.startswith("the token is not for the Dataplane default.web-1: an inbound or the ")
        for method, ask in ((DELTA, ask_delta), (SDS, ask_identity)):
            with stream(cp, method, token) as again:
                ask(again)
                assert again.refusal()[0] is grpc.StatusCode.UNAUTHENTICATED


def test_streams_of_other_tokens_and_other_dataplanes_stay(cp: RunningPlatform) -> None:
    named, bound_to_both = cp.token("web-1"), bound(cp, services=["web", "backend"])
    with ExitStack() as stack:
        opened = [stack.enter_context(stream(cp, SDS, token)) for token in (named, bound_to_both)]
        for one in opened:
            ask_identity(one)
            assert services(one) == ["spiffe://default/web"]
        cp.apply(dataplane("web-1", BACKEND))
        for one in opened:
            assert services(one) == ["spiffe://default/backend"]


def test_what_the_token_still_allows_goes_out(cp: RunningPlatform) -> None:
    with stream(cp, SOTW, bound(cp, services=["web"])) as ads:
        take_clusters(ads)
        cp.apply(dataplane("web-1", inbound("127.0.0.1:9090:90", "web", team="c")))
        assert ads.receive()


def test_a_token_is_of_its_mesh(cp: RunningPlatform) -> None:
    cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web", team="a"), mesh="other"))
    with stream(cp, SDS, bound(cp, services=["web"])) as opened:
        opened.ask("identity_cert", node="other.web-1")
        code, text = opened.refusal()
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert text == "proxy mesh from requestor: other is different than in token: default"


def test_a_token_by_service_is_for_every_proxy_that_offers_it(cp: RunningPlatform) -> None:
    cp.apply(dataplane("web-2", inbound("127.0.0.2:8080:80", "web")))
    token = bound(cp, services=["web"])
    for node in ("default.web-1", "default.web-2"):
        with stream(cp, SDS, token) as opened:
            opened.ask("identity_cert", node=node)
            assert services(opened) == ["spiffe://default/web"]
    with stream(cp, SDS, token) as opened:
        opened.ask("identity_cert", node="default.nobody-1")
        assert opened.refusal() == (
            grpc.StatusCode.NOT_FOUND,
            'unable to find Dataplane for proxy "default.nobody-1"',
        )


def test_a_race_of_two_writers_signs_nothing_that_the_token_does_not_allow(
    two: tuple[RunningPlatform, RunningPlatform], cp: RunningPlatform
) -> None:
    """Two control planes write what web-1 is, in turns and at once, while identities are asked for from both."""
    token, over = bound(cp, services=["web"]), threading.Event()

    def write(at: RunningPlatform, document: dict[str, Any]) -> None:
        while not over.is_set():
            at.request("PUT", "/meshes/default/dataplanes/web-1", document)

    writers = [
        threading.Thread(target=write, args=(at, document))
        for at, document in zip(two, (WEB, dataplane("web-1", BACKEND)), strict=True)
    ]
    signed: list[str] = []
    refused = 0
    try:
        for writer in writers:
            writer.start()
        for number in range(60):
            with stream(two[number % 2], SDS, token) as opened:
                ask_identity(opened)
                try:
                    signed += services(opened)
                except grpc.RpcError:
                    refused += 1
    finally:
        over.set()
        for writer in writers:
            writer.join(60)
    assert set(signed) <= {"spiffe://default/web"}
    assert len(signed) + refused == 60
    cp.apply(WEB)
    eventually(lambda: signs_for_web(cp, token))


def signs_for_web(cp: RunningPlatform, token: str) -> bool:
    with stream(cp, SDS, token) as opened:
        ask_identity(opened)
        try:
            return services(opened) == ["spiffe://default/web"]
        except grpc.RpcError:
            return False


def test_what_changes_while_an_identity_is_made_is_not_signed(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credential fitted when it was asked about; the Dataplane is another one by the time of the signature."""
    signer, issue, signed = IdentityIssuer.signer, IdentityIssuer.issue, []

    def slow(self: IdentityIssuer, mesh: str, spec: Any) -> str:
        if not signed:
            signed.append(())
            cp.apply(dataplane("web-1", BACKEND))
            cp.catch_up()
        return signer(self, mesh, spec)

    def noted(self: IdentityIssuer, mesh: str, spec: Any, services: tuple[str, ...]) -> Any:
        signed.append(services)
        return issue(self, mesh, spec, services)

    monkeypatch.setattr(IdentityIssuer, "signer", slow)
    monkeypatch.setattr(IdentityIssuer, "issue", noted)
    with stream(cp, SDS, bound(cp, services=["web"])) as opened:
        ask_identity(opened)
        assert opened.refusal()[0] is grpc.StatusCode.UNAUTHENTICATED
    eventually(lambda: cp.platform.core.proxies.certificates_waiting() == 0)
    assert signed == [()]


# -- a real Envoy


def test_one_token_serves_a_group_of_proxies_until_one_of_them_becomes_another(
    tmp_path: Path,
) -> None:
    """Both start with the same token, which names neither; the one that is written anew keeps what it had."""
    plugins = [SharedStore(MemoryStore()), kuma_policy_traffic, kuma_ca_builtin]
    with running_platform(plugins, SETTINGS) as cp, ExitStack() as stack:
        machine = Machine(cp, tmp_path, stack)
        encrypt(machine)
        first, second = instance(machine, "web-1", "web"), instance(machine, "web-2", "web")
        cp.apply(first, second)
        token = bound(cp, services=["web"])
        for name in ("web-1", "web-2"):
            machine.sidecar(name, token_text=token)
        places = [address(document)[1] for document in (first, second)]
        for place in places:
            eventually(lambda place=place: "spiffe://default/web" in names_of(place), 60)
        first["networking"]["inbound"][0]["tags"]["service"] = "backend"
        cp.apply(first)
        said = "the token is not for the Dataplane default.web-1"
        eventually(lambda: said in json.dumps(cp.get(f"{OVERVIEWS}/web-1").body), 60, "why, in the status")
        assert names_of(places[0]) == ["spiffe://default/web"]
        assert said not in json.dumps(cp.get(f"{OVERVIEWS}/web-2").body)


def names_of(port: int) -> list[str]:
    """Whose certificate a server shows."""
    try:
        found = x509.load_pem_x509_certificate(certificate_of(port).encode())
    except OSError:
        return []
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)
