"""The admin server on loopback: tokens for programs, nothing for web pages."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.tokens.contract import Binding
from kuma_core.builtin.tokens.keys import SigningKeys
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.builtin.tokens.tokens import TokenVerifier
from kuma_core.kumactl import tls_pair
from kuma_core.resources.secrets import SecretManager
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.proxy import Proxy

HOSTNAME = "Kuma.Example.com"
GOOD = {"name": "web-1", "mesh": "shop"}


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    settings = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": HOSTNAME}
    with running_platform([kuma_store_memory], settings) as platform:
        yield platform


def post(cp: RunningPlatform, body: Any, **headers: str) -> JsonAnswer:
    return cp.request("POST", "/tokens", body, cp.admin, **headers)


def verifier(cp: RunningPlatform) -> TokenVerifier:
    secrets = SecretManager(cp.platform.core.store)
    return TokenVerifier(SigningKeys(secrets), Revocations(secrets))


# -- tokens


def test_the_answer_is_the_raw_token(cp: RunningPlatform) -> None:
    answer = post(cp, GOOD)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    verifier(cp).recognise(answer.body).allows(Proxy("shop", "web-1"), tuple)


def test_a_token_may_end(cp: RunningPlatform) -> None:
    claims = verifier(cp).verify(post(cp, {**GOOD, "validFor": "24h"}).body)
    assert claims.expires is not None
    assert (claims.expires - claims.issued).total_seconds() == 86_400


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_token_without_an_end_lasts_for_ever(cp: RunningPlatform, nothing: Any) -> None:
    assert verifier(cp).verify(post(cp, {**GOOD, "validFor": nothing, "colour": "red"}).body).expires is None


EMPTY, TEXT = "cannot be empty", "expected text"


@pytest.mark.parametrize(
    ("body", "causes"),
    [
        ({}, [("name", EMPTY), ("mesh", EMPTY)]),
        ({"mesh": "shop"}, [("name", EMPTY)]),
        ({"name": "", "mesh": None}, [("name", EMPTY), ("mesh", EMPTY)]),
        ({"name": 3, "mesh": ["shop"]}, [("name", TEXT), ("mesh", TEXT)]),
    ],
)
def test_what_is_missing_is_told_name_first(cp: RunningPlatform, body: Any, causes: Any) -> None:
    answer = post(cp, body)
    assert answer.status == 400
    assert (answer.body["title"], answer.body["details"]) == ("Invalid request", "Resource is not valid")
    assert [(cause["field"], cause["message"]) for cause in answer.body["causes"]] == causes


def test_a_token_is_bound_by_services_and_tags(cp: RunningPlatform) -> None:
    body = {"mesh": "shop", "services": ["web", "api", "web"], "tags": {"team": ["a"]}}
    claims = verifier(cp).verify(post(cp, body).body)
    assert (claims.name, claims.mesh) == ("", "shop")
    assert claims.binding == Binding(("api", "web"), (("team", ("a",)),))
    named = verifier(cp).verify(post(cp, {**GOOD, "services": ["web"]}).body)
    assert (named.name, named.binding) == ("web-1", Binding(("web",)))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"mesh": "shop", "services": []}, ["name", "services"]),
        ({"mesh": "shop", "tags": {}}, ["name", "tags"]),
        ({"mesh": "shop", "name": 3, "services": ["web"]}, ["name"]),
        ({**GOOD, "services": "web"}, ["services"]),
        ({**GOOD, "tags": {"team": [""]}}, ['tags["team"][0]']),
    ],
)
def test_what_binds_nothing_makes_no_token(cp: RunningPlatform, body: Any, fields: list[str]) -> None:
    answer = post(cp, body)
    assert answer.status == 400
    assert [cause["field"] for cause in answer.body["causes"]] == fields


def test_every_token_may_have_to_say_its_services() -> None:
    settings = {"KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_REQUIRE_SERVICES": "true"}
    with running_platform([kuma_store_memory], settings) as cp:
        for body in (GOOD, {**GOOD, "tags": {"team": ["a"]}}):
            (cause,) = post(cp, body).body["causes"]
            assert cause["field"] == "services"
            assert "adminServer.apis.dataplaneToken.requireServices" in cause["message"]
        assert post(cp, {**GOOD, "services": ["web"]}).status == 200
        assert post(cp, {"mesh": "shop", "tags": {"service": ["web"]}}).status == 200


@pytest.mark.parametrize("valid_for", ["soon", "24", 24, "0s", "-1h", "400000000h", [], {}])
def test_a_duration_that_is_none(cp: RunningPlatform, valid_for: Any) -> None:
    answer = post(cp, {**GOOD, "validFor": valid_for})
    assert answer.status == 400
    assert [cause["field"] for cause in answer.body["causes"]] == ["validFor"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"name": "\\u0000", "mesh": "a"}'])
def test_what_is_no_request_is_a_400_with_an_explanation(cp: RunningPlatform, body: bytes) -> None:
    answer = post(cp, body)
    assert answer.status == 400
    assert answer.body["title"] == "Invalid request"
    assert answer.body["details"]


@pytest.mark.parametrize("size", [20_000, 2_000_000])
def test_a_body_is_bounded(cp: RunningPlatform, size: int) -> None:
    body = json.dumps({**GOOD, "x": "x" * size}).encode()
    assert post(cp, body).status == 413
    assert post(cp, gzip.compress(body), **{"Content-Encoding": "gzip"}).status == 413


def test_nothing_else_is_there(cp: RunningPlatform) -> None:
    for path in ("/", "/meshes", "/config", "/tokens/x"):
        answer = cp.request("GET", path, port=cp.admin)
        assert answer.status == 404
        assert set(answer.body) == {"title", "details"}
    answer = cp.request("GET", "/tokens", port=cp.admin)
    assert (answer.status, set(answer.body)) == (405, {"title", "details"})


def test_a_missing_key_is_told_and_not_made_up(cp: RunningPlatform) -> None:
    secrets = SecretManager(cp.platform.core.store)
    name = "dataplane-token-signing-key"
    kept = secrets.get("default", name)
    secrets.delete("default", name)
    try:
        eventually(lambda: post(cp, GOOD).status == 500)
        assert post(cp, GOOD).body["title"] == "Could not issue a token"
    finally:
        secrets.create("default", name, kept.value)
        eventually(lambda: post(cp, GOOD).status == 200)


# -- web pages stay outside


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:5683"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "evil.example"},
        {"Host": "evil.example:5679"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "0.0.0.0:5679"},
        {"Host": "10.0.0.1"},
        {"Host": "["},
    ],
)
def test_a_web_page_is_refused(cp: RunningPlatform, headers: dict[str, str]) -> None:
    answer = post(cp, GOOD, **headers)
    assert answer.status == 403
    assert "web page" in answer.body["details"]
    assert not any("Access-Control" in name for name in answer.headers)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:5679",
        "localhost.",
        "127.0.0.1",
        "127.8.8.8:1",
        "[::1]",
        "[::1]:5679",
        HOSTNAME,
        f"{HOSTNAME.lower()}:5679",
    ],
)
def test_who_calls_us_by_one_of_our_names_is_served(cp: RunningPlatform, host: str) -> None:
    assert post(cp, GOOD, **{"Host": host, "Sec-Fetch-Site": "none"}).status == 200


def test_a_client_without_a_host_is_refused(cp: RunningPlatform) -> None:
    with socket.create_connection(("127.0.0.1", cp.admin), timeout=10) as raw:
        raw.sendall(b"GET /tokens HTTP/1.0\r\n\r\n")
        assert raw.makefile("rb").readline().split()[1] == b"403"


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "", "application/jsonp"],
)
def test_what_a_form_can_send_is_refused(cp: RunningPlatform, kind: str) -> None:
    answer = post(cp, GOOD, **{"Content-Type": kind})
    assert answer.status == 415
    assert "Content-Type: application/json" in answer.body["details"]


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken_with_parameters(cp: RunningPlatform, kind: str) -> None:
    assert post(cp, GOOD, **{"Content-Type": kind}).status == 200


def test_a_chunked_form_is_refused(cp: RunningPlatform) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", cp.admin, timeout=10)
    body = [json.dumps(GOOD).encode()]
    connection.request("POST", "/tokens", iter(body), {"Content-Type": "text/plain"}, encode_chunked=True)
    assert connection.getresponse().status == 415
    connection.close()


def test_it_listens_on_loopback_alone(cp: RunningPlatform) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.255.255.255", 1))  # nothing is sent: this only asks which address would be ours
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with (
        pytest.raises((ConnectionError, TimeoutError)),
        socket.create_connection((address, cp.admin), timeout=2),
    ):
        pass


# -- the certificate of the control plane


def test_the_certificate_that_proxies_know_the_control_plane_by(cp: RunningPlatform) -> None:
    answer = cp.request("GET", "/control-plane-ca", port=cp.admin)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-pem-file")
    assert answer.body.encode() == cp.trusted
    assert cp.get("/control-plane-ca").status == 404
    assert cp.request("GET", "/control-plane-ca", port=cp.admin, Origin="http://evil").status == 403


def test_it_is_the_last_of_the_configured_chain(tmp_path: Path) -> None:
    pair = tls_pair.generate(["127.0.0.1"], is_client=False)
    (tmp_path / "cert").write_bytes(pair.cert)
    (tmp_path / "key").write_bytes(pair.key)
    files = {"KUMA_SDS_SERVER_TLS_CERT_FILE": "cert", "KUMA_SDS_SERVER_TLS_KEY_FILE": "key"}
    settings = {name: str(tmp_path / file) for name, file in files.items()}
    off = {"KUMA_XDS_SERVER_TLS_ENABLED": "false", "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false"}
    with running_platform([kuma_store_memory], settings | off) as platform:
        answer = platform.request("GET", "/control-plane-ca", port=platform.admin)
    assert answer.body.encode() == pair.cert


def test_certificate_and_key_may_begin_with_the_mark_of_an_editor(tmp_path: Path) -> None:
    pair = tls_pair.generate(["127.0.0.1"], is_client=False)
    (tmp_path / "trusted").write_bytes(pair.cert)
    settings = {}
    for name, pem in (("CERT", pair.cert), ("KEY", pair.key)):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + pem)
        settings[f"KUMA_SDS_SERVER_TLS_{name}_FILE"] = str(tmp_path / name)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "trusted"))
    trusting.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    trusting.set_alpn_protocols(["h2"])
    with running_platform([kuma_store_memory], settings) as platform:
        place = ("127.0.0.1", platform.xds_port)
        with (
            socket.create_connection(place, timeout=10) as connection,
            trusting.wrap_socket(connection, server_hostname="127.0.0.1") as encrypted,
        ):
            assert encrypted.selected_alpn_protocol() == "h2"


# -- on and off


def test_the_catalog_tells_where_it_is(cp: RunningPlatform) -> None:
    urls = {"localUrl": f"http://localhost:{cp.admin}", "publicUrl": ""}
    apis = cp.get("/catalog").body["apis"]
    assert apis["admin"].pop("localSocket").endswith(f"/admin-{cp.admin}.sock")
    assert (apis["admin"], apis["dataplaneToken"]) == (urls, urls)


@pytest.mark.parametrize(
    "settings",
    [
        {"KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false"},
        {"KUMA_ADMIN_SERVER_DATAPLANE_TOKEN_WS_ENABLED": "false"},
        {"KUMA_DATAPLANE_TOKEN_SERVER_ENABLED": "false"},
        {"KUMA_ENVIRONMENT": "kubernetes", "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": "/x"},
    ],
)
def test_one_switch_turns_tokens_off(settings: dict[str, str]) -> None:
    with running_platform([kuma_store_memory], settings) as cp:
        port = cp.platform.config.number("adminServer.local.port")
        assert cp.request("POST", "/tokens", GOOD, port).status == 404
        apis = cp.get("/catalog").body["apis"]
        assert apis["dataplaneToken"] == {"localUrl": "", "publicUrl": ""}
        assert apis["admin"]["localUrl"] == f"http://localhost:{port}"
        user = {"name": "ann", "groups": [], "validFor": "1h"}
        assert cp.request("POST", "/tokens/user", user, port).status == 200, "users are no dataplanes"


def test_a_signature_is_made_with_the_stored_key(cp: RunningPlatform) -> None:
    header = json.loads(base64.urlsafe_b64decode(post(cp, GOOD).body.split(".")[0] + "=="))
    assert SigningKeys(SecretManager(cp.platform.core.store)).to_verify(header["kid"]) is not None
