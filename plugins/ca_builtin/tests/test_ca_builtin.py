"""The builtin authority keeps the contract, and its root looks as one of Kuma 0.3.1."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import VerificationError

import kuma_ca_builtin
import kuma_store_memory
from kuma_ca_builtin.authority import BuiltinCa, secret_name
from kuma_ca_builtin.root import new_root
from kuma_core.config import Config
from kuma_core.resources.secrets import SecretManager
from kuma_core.sdk import CaProviderFactory, KumaError, ResourceKey
from kuma_core.testing.authorities import HOUR, MESH, URIS, CaSuite, public_key, verified
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import running_platform

NO_CONFIG = Config([], {}, {})


@pytest.fixture
def secrets() -> Iterator[SecretManager]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(NO_CONFIG) as store:
        yield SecretManager(store)


class TestBuiltinCa(CaSuite):
    @pytest.fixture
    def provider(self, secrets: SecretManager) -> BuiltinCa:
        return BuiltinCa(secrets)


def test_the_plugin_brings_the_authority_named_builtin(secrets: SecretManager) -> None:
    (factory,) = kuma_ca_builtin.kuma_register_ca_providers()
    assert isinstance(factory, CaProviderFactory)
    assert factory.name == "builtin"
    assert isinstance(factory.open(NO_CONFIG, secrets), BuiltinCa)


def test_the_secret_is_json_of_base64_of_pem(secrets: SecretManager) -> None:
    BuiltinCa(secrets).ensure("shop")
    assert secrets.names("shop") == ["builtinca.shop"]
    (root,) = json.loads(secrets.get("shop", secret_name("shop")).value)["roots"]
    assert set(root) == {"cert", "key"}
    assert base64.b64decode(root["cert"]).startswith(b"-----BEGIN CERTIFICATE-----")
    assert base64.b64decode(root["key"]).startswith(b"-----BEGIN RSA PRIVATE KEY-----")


def test_the_root() -> None:
    certificate = x509.load_pem_x509_certificate(new_root("shop")[0])
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert certificate.subject == certificate.issuer
    assert {name.oid: name.value for name in certificate.subject} == {
        NameOID.ORGANIZATION_NAME: "Kuma",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Mesh",
        NameOID.COMMON_NAME: "shop",
    }
    assert certificate.serial_number > 2**32
    found = certificate.extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://shop"]
    assert found.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = found.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert usage.crl_sign
    assert not usage.digital_signature
    assert certificate.not_valid_before_utc < datetime.now(UTC)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life == timedelta(days=3650, hours=1)
    with pytest.raises(x509.ExtensionNotFound):
        found.get_extension_for_class(x509.ExtendedKeyUsage)


def test_a_mesh_with_a_long_name_has_a_root() -> None:
    certificate = x509.load_pem_x509_certificate(new_root("m" * 253)[0])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://" + "m" * 253]


def test_a_leaf_has_no_subject_and_so_its_names_are_critical(secrets: SecretManager) -> None:
    provider = BuiltinCa(secrets)
    provider.ensure(MESH)
    leaf = verified(provider.issue(MESH, public_key(), URIS, HOUR), provider.trust_anchors(MESH))
    assert list(leaf.subject) == []
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)


def test_a_leaf_ends_no_later_than_its_root(secrets: SecretManager) -> None:
    provider = BuiltinCa(secrets)
    provider.ensure(MESH)
    anchors = provider.trust_anchors(MESH)
    root = x509.load_pem_x509_certificate(anchors[0].encode())
    leaf = verified(provider.issue(MESH, public_key(), URIS, timedelta(days=36500)), anchors)
    assert leaf.not_valid_after_utc == root.not_valid_after_utc


def test_the_first_root_signs_and_all_are_trusted(secrets: SecretManager) -> None:
    provider = BuiltinCa(secrets)
    provider.ensure(MESH)
    old = provider.trust_anchors(MESH)
    secret = secrets.get(MESH, secret_name(MESH))
    cert, key = (base64.b64encode(pem).decode() for pem in new_root(MESH))
    stored = json.loads(secret.value)["roots"]
    secrets.replace(secret, json.dumps({"roots": [{"cert": cert, "key": key}, *stored]}).encode())
    anchors = provider.trust_anchors(MESH)
    assert len(anchors) == 2
    chain = provider.issue(MESH, public_key(), URIS, HOUR)
    verified(chain, anchors[:1])
    with pytest.raises(VerificationError):
        verified(chain, old)


@pytest.mark.parametrize(
    "value", [b"", b"{}", b'{"roots": []}', b'{"roots": [{"cert": "cGVt", "key": "cGVt"}]}']
)
def test_a_secret_that_cannot_be_read_is_told_without_its_content(
    secrets: SecretManager, value: bytes
) -> None:
    secrets.create(MESH, secret_name(MESH), value)
    with pytest.raises(KumaError) as caught:
        BuiltinCa(secrets).issue(MESH, public_key(), URIS, HOUR)
    assert "cGVt" not in str(caught.value)


def test_every_mesh_gets_its_root_when_it_is_made_and_loses_it_with_it() -> None:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp:
        context = SecretManager(cp.platform.core.store)
        assert "builtinca.default" in context.names("default")
        assert cp.put("/meshes/shop", mesh("shop")).status == 201
        before = context.get("shop", "builtinca.shop")
        assert cp.put("/meshes/shop", mesh("shop", tracing={})).status == 200
        assert context.get("shop", "builtinca.shop") == before
        assert cp.delete("/meshes/shop").status == 200
        assert context.names("shop") == []


def test_a_root_that_went_missing_comes_back_with_the_next_apply() -> None:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp:
        cp.apply(mesh("shop"))
        secrets = SecretManager(cp.platform.core.store)
        secrets.delete("shop", "builtinca.shop")
        assert cp.put("/meshes/shop", mesh("shop")).headers["Kuma-Result"] == "unchanged"
        assert secrets.names("shop") == ["builtinca.shop"]


def test_an_unfinished_creation_leaves_a_root_that_the_next_one_takes() -> None:
    """The root is made first; the crash came before the mesh was stored."""
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp:
        secrets = SecretManager(cp.platform.core.store)
        BuiltinCa(secrets).ensure("shop")
        left = secrets.get("shop", "builtinca.shop")
        assert cp.put("/meshes/shop", mesh("shop")).status == 201
        assert secrets.get("shop", "builtinca.shop") == left


def test_secrets_are_served_nowhere() -> None:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp:
        for path in ("/meshes/default/secrets", "/secrets", "/meshes/default/secrets/builtinca.default"):
            assert cp.get(path).status == 404
        assert "Secret" not in [kind["name"] for kind in cp.get("/kinds").body["kinds"]]
        assert [path for path in cp.get("/openapi.json").body["paths"] if "secret" in path] == []
        assert cp.platform.core.store.get(ResourceKey("Secret", "default", "builtinca.default"))
