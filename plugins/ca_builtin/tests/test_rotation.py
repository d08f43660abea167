"""The root of a mesh is replaced by another: what is kept, who may begin it, and what OpenSSL makes of both."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import kuma_ca_builtin
import kuma_ca_provided
import kuma_store_memory
from kuma_ca_builtin.admin import PATH
from kuma_ca_builtin.authority import BuiltinCa
from kuma_ca_builtin.root import new_root, next_root
from kuma_ca_builtin.roots import Kept, Root, decode, encode, secret_name
from kuma_core.config import Config
from kuma_core.resources.secrets import SecretManager
from kuma_core.sdk import KumaError, Rotation, RotationStage
from kuma_core.testing.authorities import (
    HOUR,
    MESH,
    URIS,
    RotationSuite,
    public_key,
    root_without_key_id,
    verified,
)
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform

NO_CONFIG = Config([], {}, {})


@pytest.fixture
def secrets() -> Iterator[SecretManager]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(NO_CONFIG) as store:
        yield SecretManager(store)


@pytest.fixture
def ca(secrets: SecretManager) -> BuiltinCa:
    provider = BuiltinCa(secrets)
    provider.ensure(MESH)
    return provider


class TestRotation(RotationSuite):
    @pytest.fixture
    def provider(self, secrets: SecretManager) -> BuiltinCa:
        return BuiltinCa(secrets)


def stored(secrets: SecretManager) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(secrets.get(MESH, secret_name(MESH)).value)
    return found


def test_a_reader_of_0_3_1_finds_all_roots_and_the_signer_first(
    secrets: SecretManager, ca: BuiltinCa
) -> None:
    (old,) = stored(secrets)["roots"]
    began = ca.rotate(MESH)
    trusting = stored(secrets)
    assert trusting["roots"][0] == old
    assert trusting["rotation"] == {"id": began.id, "stage": "trusting", "since": began.since}
    new = trusting["roots"][1]
    ca.advance(MESH, began.id)
    signing = stored(secrets)
    assert signing["roots"] == [new, old]
    assert signing["rotation"]["stage"] == "signing"
    ca.advance(MESH, signing["rotation"]["id"])
    assert stored(secrets) == {"roots": [new]}
    assert set(new) == {"cert", "key"}


def test_a_root_that_somebody_put_there_beside_stays(secrets: SecretManager, ca: BuiltinCa) -> None:
    secret = secrets.get(MESH, secret_name(MESH))
    guest = Root(*new_root("guest"))
    secrets.replace(secret, encode(Kept((*decode(secret).roots, guest))))
    ca.advance(MESH, ca.rotate(MESH).id)
    signing = ca.rotation(MESH)
    assert signing is not None
    ca.advance(MESH, signing.id)
    anchors = ca.trust_anchors(MESH)
    assert len(anchors) == 2
    assert guest.cert.decode() in anchors
    assert ca.signer(MESH) != guest.cert.decode()


def test_a_stage_is_ended_although_the_secret_was_written_by_others_meanwhile(ca: BuiltinCa) -> None:
    """As when secrets are encrypted anew."""
    began = ca.rotate(MESH)
    interfere(ca, times=2)
    assert ca.advance(MESH, began.id)
    assert ca.rotation(MESH).stage is RotationStage.SIGNING  # type: ignore[union-attr]


def test_a_rotation_begins_although_the_secret_was_written_by_others_meanwhile(ca: BuiltinCa) -> None:
    interfere(ca, times=2)
    assert ca.rotate(MESH) == ca.rotation(MESH)


def interfere(ca: BuiltinCa, times: int) -> None:
    """Have the secret written by somebody else just before each of the next writes."""
    manager, left = ca._secrets, [times]
    write = manager.replace

    def replace(secret: Any, value: bytes) -> Any:
        if left[0]:
            left[0] -= 1
            write(manager.get(secret.mesh, secret.name), manager.get(secret.mesh, secret.name).value)
        return write(secret, value)

    manager.replace = replace  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "rotation",
    [{}, "trusting", [], {"id": "a", "stage": "resting", "since": ""}, {"id": "a", "stage": "signing"}],
)
def test_a_rotation_that_cannot_be_read_is_told(secrets: SecretManager, rotation: object) -> None:
    value = json.loads(encode(Kept((Root(*new_root(MESH)), Root(*next_root(MESH))))))
    secrets.create(MESH, secret_name(MESH), json.dumps({**value, "rotation": rotation}).encode())
    with pytest.raises(KumaError, match="holds no roots that can be read"):
        BuiltinCa(secrets).rotation(MESH)


def test_a_rotation_needs_two_roots(secrets: SecretManager) -> None:
    rotation = Rotation("a-signing", RotationStage.SIGNING, "2020-02-02T02:02:02Z")
    secrets.create(MESH, secret_name(MESH), encode(Kept((Root(*new_root(MESH)),), rotation)))
    with pytest.raises(KumaError, match="holds no roots that can be read"):
        BuiltinCa(secrets).rotation(MESH)


# -- namesakes


def openssl_trusts(chain: str, anchors: Sequence[str], folder: Any) -> bool:
    """Whether OpenSSL, as a client that trusts the anchors in this order, takes the server's certificate."""
    leaf, key = chain.split("\0")
    (folder / "leaf").write_text(leaf)
    (folder / "key").write_text(key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "leaf", folder / "key")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata="\n".join(anchors))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(there, back, server_side=True), client.wrap_bio(back, there)]
    for _ in range(4):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return ends[1].version() is not None


def leaf_with_key(ca: BuiltinCa) -> str:
    """A leaf and its key, in PEM, with a zero between them."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ca.issue(MESH, public.decode(), URIS, HOUR) + "\0" + private.decode()


def test_openssl_takes_leaves_of_both_roots_also_if_the_old_one_is_of_kuma_0_3_1(
    secrets: SecretManager, tmp_path: Any
) -> None:
    secrets.create(MESH, secret_name(MESH), encode(Kept((Root(*root_without_key_id(MESH)),))))
    ca = BuiltinCa(secrets)
    before = leaf_with_key(ca)
    ca.advance(MESH, ca.rotate(MESH).id)
    after = leaf_with_key(ca)
    for anchors in (ca.trust_anchors(MESH), ca.trust_anchors(MESH)[::-1]):
        assert openssl_trusts(before, anchors, tmp_path)
        assert openssl_trusts(after, anchors, tmp_path)


def test_openssl_would_take_a_namesake_for_the_issuer(secrets: SecretManager, tmp_path: Any) -> None:
    """Why the next root has a name of its own."""
    old, namesake = Root(*root_without_key_id(MESH)), Root(*new_root(MESH))
    secrets.create(MESH, secret_name(MESH), encode(Kept((namesake, old))))
    leaf = leaf_with_key(BuiltinCa(secrets))
    orders = [[pem.cert.decode() for pem in pair] for pair in ((old, namesake), (namesake, old))]
    assert [openssl_trusts(leaf, anchors, tmp_path) for anchors in orders].count(False) >= 1


def test_the_next_root_is_as_the_first_but_for_its_name() -> None:
    first, second = (x509.load_pem_x509_certificate(next_root("shop")[0]) for _ in range(2))
    plain = x509.load_pem_x509_certificate(new_root("shop")[0])
    assert len({first.subject, second.subject, plain.subject}) == 3
    assert list(first.subject)[:3] == list(plain.subject)
    assert first.issuer == first.subject
    assert [e.oid for e in first.extensions] == [e.oid for e in plain.extensions]
    life = first.not_valid_after_utc - first.not_valid_before_utc
    assert life == timedelta(days=3650, hours=1)


# -- the admin server


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin, kuma_ca_provided]) as platform:
        yield platform


def rotations(cp: RunningPlatform, method: str, name: str) -> JsonAnswer:
    return cp.request(method, PATH.replace("{mesh}", name), port=cp.admin)


def test_the_admin_server_shows_the_roots_and_never_a_key(cp: RunningPlatform) -> None:
    cp.apply(mesh("shop"))
    before = rotations(cp, "GET", "shop")
    (root,) = before.body["roots"]
    assert (before.status, set(before.body), root["signs"]) == (200, {"roots"}, True)
    anchor = cp.platform.core.authorities["builtin"].trust_anchors("shop")[0]
    certificate = x509.load_pem_x509_certificate(anchor.encode())
    assert root["sha256"] == certificate.fingerprint(hashes.SHA256()).hex()
    begun = rotations(cp, "POST", "shop")
    assert begun.status == 200
    assert [entry["signs"] for entry in begun.body["roots"]] == [True, False]
    assert begun.body["roots"][0] == root
    assert begun.body["rotation"]["stage"] == "trusting"
    assert begun.body["rotation"]["since"].endswith("Z")
    for key in (
        r.key for r in decode(SecretManager(cp.platform.core.store).get("shop", "builtinca.shop")).roots
    ):
        assert base64.b64encode(key).decode()[:40] not in str(begun.body)
        assert "PRIVATE" not in str(begun.body)


def test_a_second_rotation_is_refused_with_what_is_going_on(cp: RunningPlatform) -> None:
    cp.apply(mesh("twice"))
    first = rotations(cp, "POST", "twice")
    second = rotations(cp, "POST", "twice")
    assert second.status == 400
    assert second.body["title"] == "Could not rotate the root"
    assert f"began at {first.body['rotation']['since']}" in second.body["details"]


def test_what_has_no_builtin_root_cannot_be_rotated(cp: RunningPlatform) -> None:
    cp.apply(mesh("provided", mtls={"enabled": False, "ca": {"provided": {}}}))
    refused = rotations(cp, "POST", "provided")
    assert refused.status == 400
    assert refused.body["details"] == 'The authority of the mesh "provided" is provided, not builtin'
    for method in ("GET", "POST"):
        assert rotations(cp, method, "nowhere").status == 404
    assert rotations(cp, "GET", "provided").status == 404


def test_a_root_of_a_rotation_signs_for_the_mesh(ca: BuiltinCa) -> None:
    ca.advance(MESH, ca.rotate(MESH).id)
    verified(ca.issue(MESH, public_key(), URIS, HOUR), [ca.signer(MESH)])
