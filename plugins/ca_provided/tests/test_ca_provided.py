"""The provided authority keeps the contract; the admin server checks uploads and serves them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

import kuma_ca_builtin
import kuma_ca_provided
import kuma_store_memory
from kuma_ca_provided.admin import IN_USE, MAX_BODY_BYTES
from kuma_ca_provided.authority import MISSING, ProvidedCa
from kuma_ca_provided.certificates import ONE_ONLY, SigningCertificates, secret_name
from kuma_ca_provided.checks import checked_pair
from kuma_core.config import Config
from kuma_core.resources.secrets import SecretManager
from kuma_core.sdk import CaProviderFactory, Conflict, InvalidResource, KumaError
from kuma_core.sdk.pki import key_usage
from kuma_core.testing.authorities import HOUR, MESH, URIS, CaSuite, public_key, verified
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform

NO_CONFIG = Config([], {}, {})
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def pem(key: Any, password: bytes | None = None) -> str:
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(serialization.Encoding.PEM, form, locked).decode())


def root(
    key: Any = P256,
    signer: Any = None,
    ca: bool | None = True,
    usage: tuple[str, ...] = ("key_cert_sign", "crl_sign"),
    start: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
    issuer: str = "acme",
) -> str:
    """A certificate that is a root unless a word says otherwise."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if usage:
        builder = builder.add_extension(key_usage(*usage), critical=True)
    signer = signer or key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, algorithm).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def secrets() -> Iterator[SecretManager]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(NO_CONFIG) as store:
        yield SecretManager(store)


def upload(secrets: SecretManager, name: str = MESH, key: Any = P256) -> str:
    return SigningCertificates(secrets).add(name, *checked_pair(root(key), pem(key))).id


class Suite(CaSuite):
    @pytest.fixture
    def provider(self, secrets: SecretManager) -> ProvidedCa:
        return ProvidedCa(secrets)


class TestWithAnEllipticCurve(Suite):
    @pytest.fixture
    def ready(self, provider: ProvidedCa, secrets: SecretManager) -> ProvidedCa:
        upload(secrets)
        return provider


class TestWithRsa(Suite):
    @pytest.fixture
    def ready(self, provider: ProvidedCa, secrets: SecretManager) -> ProvidedCa:
        upload(secrets, key=RSA)
        return provider


def test_the_plugin_brings_the_authority_named_provided(secrets: SecretManager) -> None:
    (factory,) = kuma_ca_provided.kuma_register_ca_providers()
    assert isinstance(factory, CaProviderFactory)
    assert factory.name == "provided"
    assert isinstance(factory.open(NO_CONFIG, secrets), ProvidedCa)


def test_nothing_is_issued_until_a_certificate_is_uploaded(secrets: SecretManager) -> None:
    provider = ProvidedCa(secrets)
    provider.ensure(MESH)
    assert secrets.names(MESH) == []
    with pytest.raises(
        KumaError, match=r"no signing certificate is uploaded .*certificates add --mesh=suite"
    ):
        provider.issue(MESH, public_key(), URIS, HOUR)
    assert [violation.message for violation in provider.validate(MESH, {})] == [MISSING]
    upload(secrets)
    assert list(provider.validate(MESH, {})) == []
    assert provider.issue(MESH, public_key(), URIS, HOUR)


def test_the_secret_is_json_of_base64_of_pem(secrets: SecretManager) -> None:
    id = upload(secrets)
    (entry,) = json.loads(secrets.get(MESH, "providedca.suite").value)["signingKeyCerts"]
    assert (set(entry), entry["id"]) == ({"id", "cert", "key"}, id)
    assert base64.b64decode(entry["cert"]).startswith(b"-----BEGIN CERTIFICATE-----")
    assert base64.b64decode(entry["key"]).startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_secret_that_kuma_emptied_is_read_and_filled_again(secrets: SecretManager) -> None:
    secrets.create(MESH, secret_name(MESH), b'{"signingKeyCerts": null}')
    assert ProvidedCa(secrets).trust_anchors(MESH) == []
    upload(secrets)
    assert len(ProvidedCa(secrets).trust_anchors(MESH)) == 1


def test_another_certificate_signs_once_it_took_the_place_of_the_first(secrets: SecretManager) -> None:
    provider = ProvidedCa(secrets)
    id = upload(secrets)
    verified(provider.issue(MESH, public_key(), URIS, HOUR), provider.trust_anchors(MESH))
    SigningCertificates(secrets).delete(MESH, id)
    assert provider.trust_anchors(MESH) == []
    upload(secrets, key=RSA)
    verified(provider.issue(MESH, public_key(), URIS, HOUR), provider.trust_anchors(MESH))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"signingKeyCerts": [3]}',
        b'{"signingKeyCerts": [{"id": "a", "key": "Y2FuYXJ5"}]}',
    ],
)
def test_a_secret_that_cannot_be_read_is_told_without_its_content(
    secrets: SecretManager, value: bytes
) -> None:
    secrets.create(MESH, secret_name(MESH), value)
    with pytest.raises(KumaError, match=r"providedca\.suite") as caught:
        ProvidedCa(secrets).issue(MESH, public_key(), URIS, HOUR)
    assert "Y2FuYXJ5" not in str(caught.value)


def test_of_two_changes_at_once_one_wins(secrets: SecretManager, monkeypatch: pytest.MonkeyPatch) -> None:
    id = upload(secrets)
    certificates = SigningCertificates(secrets)
    read = certificates.find(MESH)
    certificates.delete(MESH, id)
    upload(secrets, key=RSA)
    monkeypatch.setattr(certificates, "find", lambda name: read)
    with pytest.raises(Conflict):
        certificates.delete(MESH, id)


# -- checked at upload


@pytest.mark.parametrize("key", [P256, RSA, ec.generate_private_key(ec.SECP384R1())])
def test_a_good_pair_comes_back_as_it_is(key: Any) -> None:
    cert = root(key)
    assert checked_pair(f"# mine\n{cert}\n", pem(key)) == (cert.encode(), pem(key).encode())


SMALL, ODD, ED = (
    rsa.generate_private_key(65537, 1024),
    ec.generate_private_key(ec.SECP256K1()),
    ed25519.Ed25519PrivateKey.generate(),
)


@pytest.mark.parametrize(
    ("cert", "key", "field", "words"),
    [
        ("nonsense", pem(P256), "cert", "no certificate in PEM"),
        (root() + root(), pem(P256), "cert", "single root certificate; it holds 2"),
        (root(signer=RSA), pem(P256), "cert", "self-signed"),
        (root(issuer="other"), pem(P256), "cert", "self-signed"),
        (root(ca=False), pem(P256), "cert", "CA:true"),
        (root(ca=None), pem(P256), "cert", "CA:true"),
        (root(usage=()), pem(P256), "cert", "keyCertSign"),
        (root(usage=("crl_sign",)), pem(P256), "cert", "keyCertSign"),
        (root(usage=("key_cert_sign", "digital_signature")), pem(P256), "cert", "digitalSignature"),
        (root(usage=("key_cert_sign", "key_agreement")), pem(P256), "cert", "keyAgreement"),
        (root(usage=("key_cert_sign", "key_encipherment")), pem(P256), "cert", "keyEncipherment"),
        (root(end=NOW - DAY / 2), pem(P256), "cert", "expired at"),
        (root(start=NOW + DAY / 2), pem(P256), "cert", "not valid before"),
        (root(), "nonsense", "key", "no private key in PEM"),
        (root(), root(), "key", "no private key in PEM"),
        (root(), pem(P256, b"secret"), "key", "encrypted"),
        (root(SMALL), pem(SMALL), "key", "2048 bits"),
        (root(ODD), pem(ODD), "key", "P-256"),
        (root(ED), pem(ED), "key", "RSA or an ECDSA"),
        (root(), pem(RSA), ".", "does not belong"),
    ],
)
def test_what_cannot_sign_is_refused_and_the_field_named(cert: str, key: str, field: str, words: str) -> None:
    with pytest.raises(InvalidResource) as caught:
        checked_pair(cert, key)
    (violation,) = caught.value.violations
    assert violation.field == field
    assert words in violation.message


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidResource) as caught:
        checked_pair(root(ca=False, usage=(), end=NOW - DAY / 2), "nonsense")
    assert [violation.field for violation in caught.value.violations] == ["key", "cert", "cert", "cert"]


# -- the admin server


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin, kuma_ca_provided]) as platform:
        yield platform


def call(cp: RunningPlatform, method: str, name: str, id: str = "", body: Any = None) -> JsonAnswer:
    path = f"/meshes/{name}/ca/provided/certificates" + (f"/{id}" if id else "")
    return cp.request(method, path, body, cp.admin)


GOOD = {"key": pem(P256), "cert": root()}


def told(answer: JsonAnswer) -> tuple[int, str, str]:
    return answer.status, answer.body["title"], answer.body["details"]


def test_a_life_of_a_certificate(cp: RunningPlatform) -> None:
    assert told(call(cp, "GET", "shop")) == (404, "Could not retrieve signing certs", "Not found")
    added = call(cp, "POST", "shop", body=GOOD)
    assert (added.status, set(added.body), added.body["cert"]) == (200, {"id", "cert"}, GOOD["cert"])
    assert call(cp, "GET", "shop").body == [added.body]
    assert told(call(cp, "DELETE", "shop", "other")) == (404, "Could not delete signing cert", "Not found")
    removed = call(cp, "DELETE", "shop", added.body["id"])
    assert (removed.status, removed.body) == (200, "")
    assert (call(cp, "GET", "shop").status, call(cp, "GET", "shop").body) == (200, [])
    assert call(cp, "DELETE", "shop", added.body["id"]).status == 404
    assert call(cp, "POST", "shop", body=GOOD).status == 200


def test_deleting_where_nothing_was_ever_stored(cp: RunningPlatform) -> None:
    assert told(call(cp, "DELETE", "nowhere", "x")) == (404, "Could not delete signing cert", "Not found")


def test_a_second_certificate_is_refused(cp: RunningPlatform) -> None:
    first = call(cp, "POST", "two", body=GOOD)
    assert told(call(cp, "POST", "two", body=GOOD)) == (400, "Could not add signing cert", ONE_ONLY)
    assert call(cp, "GET", "two").body == [first.body]


def test_of_many_uploads_at_once_one_is_kept(cp: RunningPlatform) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call(cp, "POST", "many", body=GOOD), range(4)))
    kept = [answer.body for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} <= {200, 400, 409}
    assert call(cp, "GET", "many").body == kept
    assert len(kept) == 1


@pytest.mark.parametrize(
    ("body", "causes"),
    [
        ({}, [("cert", "must not be empty"), ("key", "must not be empty")]),
        ({"cert": "", "key": None}, [("cert", "must not be empty"), ("key", "must not be empty")]),
        ({"cert": GOOD["cert"], "key": ["x"]}, [("key", "expected text")]),
        ({**GOOD, "key": pem(RSA)}, [(".", "the key does not belong to the certificate")]),
    ],
)
def test_what_is_wrong_with_an_upload(cp: RunningPlatform, body: Any, causes: Any) -> None:
    answer = call(cp, "POST", "bad", body=body)
    assert told(answer) == (400, "Could not add signing cert", "Resource is not valid")
    assert [(cause["field"], cause["message"]) for cause in answer.body["causes"]] == causes
    assert call(cp, "GET", "bad").status == 404


@pytest.mark.parametrize("body", [b"", b"{oops", b"[]", b"\xff"])
def test_what_is_no_json_is_a_400(cp: RunningPlatform, body: bytes) -> None:
    answer = call(cp, "POST", "bad", body=body)
    assert (answer.status, answer.body["title"]) == (400, "Could not process the key pair")


def test_an_upload_is_bounded_json_for_a_mesh_that_may_be(cp: RunningPlatform) -> None:
    assert call(cp, "POST", "bad", body={**GOOD, "x": "x" * MAX_BODY_BYTES}).status == 413
    path = "/meshes/bad/ca/provided/certificates"
    form = cp.request("POST", path, b"x", cp.admin, **{"Content-Type": "text/plain"})
    assert (form.status, set(form.body)) == (415, {"title", "details"})
    assert cp.request("GET", path, None, cp.admin, Origin="http://evil.example").status == 403
    assert cp.request("PUT", path, GOOD, cp.admin).status == 405
    assert call(cp, "POST", "Shop", body=GOOD).body["causes"][0]["field"] == "mesh"
    assert cp.get(path).status == 404, "the REST API does not have it"


def test_a_certificate_that_a_mesh_works_with_stays(cp: RunningPlatform) -> None:
    id = call(cp, "POST", "barn", body=GOOD).body["id"]
    for mtls, status in (
        ({"enabled": True, "ca": {"provided": {}}}, 400),
        ({"enabled": False, "ca": {"provided": {}}}, 200),
    ):
        cp.apply(mesh("barn", mtls=mtls))
        answer = call(cp, "DELETE", "barn", id)
        assert answer.status == status
        if status == 400:
            assert answer.body == {"title": "Could not delete signing cert", "details": IN_USE}


def test_the_certificate_goes_with_its_mesh(cp: RunningPlatform) -> None:
    cp.apply(mesh("mill", mtls={"ca": {"provided": {}}}))
    assert call(cp, "POST", "mill", body=GOOD).status == 200
    assert cp.delete("/meshes/mill").status == 200
    assert call(cp, "GET", "mill").status == 404
