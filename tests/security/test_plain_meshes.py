"""Where the platform spares them, proxies without a credential get configuration while their mesh has no mTLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import grpc
import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import Authenticator, Claim, Unauthenticated
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from .support import DELTA, SDS, SOTW, RawStream, ask_delta, ask_identity, ask_mesh_ca, ask_sotw, stream

NO_TOKENS = {"KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false"}
ADS = pytest.mark.parametrize(("method", "ask"), [(SOTW, ask_sotw), (DELTA, ask_delta)])
Ask = Callable[[RawStream], None]


class Nobody:
    """Believes no credential at all."""

    def recognise(self, credential: str) -> Claim:
        raise Unauthenticated(f"refused with {len(credential)} bytes")


def bringing(spares_plain: bool) -> ModuleType:
    made = ModuleType("acme")
    found = [Authenticator("word", Nobody(), spares_plain=spares_plain)]
    made.__dict__["kuma_register_authenticators"] = hookimpl(lambda context: found)
    return made


def with_mtls(enabled: bool, name: str = "default") -> dict[str, object]:
    return {"type": "Mesh", "name": name, "mtls": {"enabled": enabled, "ca": {"builtin": {}}}}


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin, bringing(True)], NO_TOKENS) as platform:
        platform.apply(with_mtls(True, "shop"), dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        yield platform


@pytest.fixture
def cp(shared: RunningPlatform) -> RunningPlatform:
    """A control plane whose mesh ``default`` has no mTLS, and whose mesh ``shop`` has it."""
    shared.apply(with_mtls(False))
    shared.catch_up()
    return shared


def refusal(cp: RunningPlatform, method: str, ask: Ask, *tokens: str) -> tuple[grpc.StatusCode, str]:
    with stream(cp, method, *tokens) as opened:
        ask(opened)
        return opened.refusal()


@ADS
def test_a_proxy_without_a_token_is_configured_until_its_mesh_has_mtls(
    cp: RunningPlatform, method: str, ask: Ask
) -> None:
    with stream(cp, method) as opened:
        ask(opened)
        assert opened.receive()
        cp.apply(with_mtls(True))
        said = eventually(lambda: ended(opened))
    assert said == refusal(cp, method, ask)
    assert said[0] is grpc.StatusCode.UNAUTHENTICATED
    assert 'no token is shown, and the mesh "default" has mTLS' in said[1]
    cp.apply(with_mtls(False))
    cp.catch_up()
    with stream(cp, method, "") as again:
        ask(again)
        assert again.receive()


def ended(opened: RawStream) -> tuple[grpc.StatusCode, str]:
    """How a stream ended, after whatever else came over it."""
    while True:
        try:
            opened.receive()
        except grpc.RpcError as error:
            return error.code(), error.details()  # type: ignore[attr-defined]


@ADS
def test_a_token_that_is_none_is_refused_there_too(cp: RunningPlatform, method: str, ask: Ask) -> None:
    assert refusal(cp, method, ask, "rubbish")[1] == "refused with 7 bytes"


@ADS
def test_a_mesh_that_is_not_there_is_no_mesh_without_mtls(
    cp: RunningPlatform, method: str, ask: Callable[[RawStream, str], None]
) -> None:
    with stream(cp, method) as opened:
        ask(opened, "nowhere.web-1")
        assert opened.refusal() == (grpc.StatusCode.NOT_FOUND, 'there is no Mesh "nowhere"')
    with stream(cp, method) as opened:
        ask(opened, "shop.web-1")
        assert 'the mesh "shop" has mTLS' in opened.refusal()[1]


def test_no_identity_is_given_without_a_token(cp: RunningPlatform) -> None:
    assert refusal(cp, SDS, ask_identity) == (grpc.StatusCode.UNAUTHENTICATED, "refused with 0 bytes")
    with stream(cp, SDS) as opened:
        ask_mesh_ca(opened)
        assert opened.receive()


def test_it_is_the_platforms_choice() -> None:
    with running_platform([kuma_store_memory, kuma_ca_builtin, bringing(False)], NO_TOKENS) as cp:
        cp.apply(with_mtls(False), dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        assert refusal(cp, SOTW, ask_sotw)[1] == "refused with 0 bytes"
