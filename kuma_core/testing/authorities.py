"""What every certificate authority promises; a plugin subclasses the suite and gives it its provider."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kuma_core.builtin.rotation.contract import RotatableCaProvider, RotationStage
from kuma_core.ca.contract import CaProvider
from kuma_core.ca.pki import key_usage
from kuma_core.errors import InvalidResource, KumaError, NotFound
from kuma_core.specs.spiffe import trust_domain_id

MESH = "suite"
HOUR = timedelta(hours=1)
URIS = ("spiffe://suite/web", "spiffe://suite/web-admin")


def public_key() -> str:
    """A new P-256 public key in PEM."""
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return pem.decode("ascii")


def root_without_key_id(mesh: str) -> tuple[bytes, bytes]:
    """A root of a mesh and its key, in PEM, as Kuma 0.3.1 makes them: no key identifier tells it from others."""
    key, now = rsa.generate_private_key(public_exponent=65537, key_size=2048), datetime.now(UTC)
    texts = {
        NameOID.ORGANIZATION_NAME: "Kuma",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Mesh",
        NameOID.COMMON_NAME: mesh,
    }
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in texts.items()])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=10))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(trust_domain_id(mesh))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def verified(chain: str, anchors: Sequence[str]) -> x509.Certificate:
    """The leaf of a chain that leads to one of the anchors, for a TLS client; raises ``VerificationError``.

    ``cryptography`` verifies here by itself, so that a mistake in how certificates are made is noticed.
    """
    leaf, *between = x509.load_pem_x509_certificates(chain.encode())
    store = verification.Store([x509.load_pem_x509_certificate(pem.encode()) for pem in anchors])
    # the rules of the web's authorities are stricter than what Envoy asks for: only the chain counts here
    anything = verification.ExtensionPolicy.permit_all()
    is_ca = anything.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    builder = verification.PolicyBuilder().store(store).time(datetime.now(UTC))
    builder = builder.extension_policies(ca_policy=is_ca, ee_policy=anything)
    builder.build_client_verifier().verify(leaf, between)
    return leaf


class CaSuite:
    """Subclass it with a fixture ``provider``. The mesh ``suite`` is used, and ``nowhere``, which has none."""

    @pytest.fixture
    def provider(self) -> CaProvider:
        """A provider with an empty store behind it."""
        raise NotImplementedError

    @pytest.fixture
    def ready(self, provider: CaProvider) -> CaProvider:
        """The provider once the mesh has its authority; override it for one that is made from outside."""
        provider.ensure(MESH)
        return provider

    def test_it_is_a_provider(self, provider: CaProvider) -> None:
        assert isinstance(provider, CaProvider)

    def test_what_it_needs_is_made_once(self, ready: CaProvider) -> None:
        before = list(ready.trust_anchors(MESH))
        ready.ensure(MESH)
        assert before
        assert list(ready.trust_anchors(MESH)) == before

    def test_of_many_at_once_all_trust_the_same(self, ready: CaProvider) -> None:
        threads = [threading.Thread(target=ready.ensure, args=(MESH,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert len(ready.trust_anchors(MESH)) == 1

    def test_a_leaf_leads_to_a_trust_anchor(self, ready: CaProvider) -> None:
        leaf = verified(ready.issue(MESH, public_key(), URIS, HOUR), ready.trust_anchors(MESH))
        constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert not constraints.ca

    def test_a_leaf_has_the_key_and_the_names_that_were_asked_for(self, ready: CaProvider) -> None:
        key = public_key()
        leaf = verified(ready.issue(MESH, key, URIS, HOUR), ready.trust_anchors(MESH))
        pem = leaf.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert pem.decode() == key
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) == URIS

    def test_a_leaf_is_good_for_both_sides_of_tls(self, ready: CaProvider) -> None:
        leaf = verified(ready.issue(MESH, public_key(), URIS, HOUR), ready.trust_anchors(MESH))
        usage = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= usage
        assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature

    def test_a_leaf_begins_now_and_ends_when_it_should(self, ready: CaProvider) -> None:
        now = datetime.now(UTC)
        leaf = verified(ready.issue(MESH, public_key(), URIS, HOUR), ready.trust_anchors(MESH))
        assert now - timedelta(hours=2) < leaf.not_valid_before_utc <= datetime.now(UTC)
        assert now + HOUR / 2 < leaf.not_valid_after_utc <= datetime.now(UTC) + HOUR

    def test_no_two_leaves_have_one_serial_number(self, ready: CaProvider) -> None:
        chains = [ready.issue(MESH, public_key(), URIS, HOUR) for _ in range(2)]
        first, second = (x509.load_pem_x509_certificates(chain.encode())[0] for chain in chains)
        assert first.serial_number != second.serial_number

    def test_a_mesh_without_an_authority_trusts_nobody_and_gets_nothing(self, ready: CaProvider) -> None:
        assert list(ready.trust_anchors("nowhere")) == []
        with pytest.raises(KumaError):
            ready.issue("nowhere", public_key(), URIS, HOUR)

    def test_what_is_no_key_is_not_signed(self, ready: CaProvider) -> None:
        with pytest.raises(KumaError):
            ready.issue(MESH, "no key", URIS, HOUR)


class RotationSuite:
    """What a provider promises besides that can be rotated; subclass it with a fixture ``provider``."""

    @pytest.fixture
    def provider(self) -> RotatableCaProvider:
        """A provider with an empty store behind it."""
        raise NotImplementedError

    @pytest.fixture
    def rotatable(self, provider: RotatableCaProvider) -> RotatableCaProvider:
        """The provider once the mesh has its authority; override it for one that is made from outside."""
        provider.ensure(MESH)
        return provider

    def test_it_can_be_rotated(self, provider: RotatableCaProvider) -> None:
        assert isinstance(provider, RotatableCaProvider)

    def test_it_tells_who_signs(self, rotatable: RotatableCaProvider) -> None:
        assert rotatable.rotation(MESH) is None
        assert rotatable.signer(MESH) in rotatable.trust_anchors(MESH)

    def test_a_leaf_of_each_stage_is_trusted_in_the_stages_beside_it(
        self, rotatable: RotatableCaProvider
    ) -> None:
        """The whole life: so no proxy is ever a stranger to another that is one stage ahead or behind."""
        leaves, trusted = [_leaf(rotatable)], [rotatable.trust_anchors(MESH)]
        old = rotatable.signer(MESH)
        first = rotatable.rotate(MESH)
        assert rotatable.rotation(MESH) == first
        assert first.stage is RotationStage.TRUSTING
        assert rotatable.signer(MESH) == old
        _note(rotatable, leaves, trusted)
        assert rotatable.advance(MESH, first.id)
        second = rotatable.rotation(MESH)
        assert second is not None
        assert (second.stage, second.id == first.id) == (RotationStage.SIGNING, False)
        new = rotatable.signer(MESH)
        assert new != old
        assert set(rotatable.trust_anchors(MESH)) == set(trusted[-1])
        _note(rotatable, leaves, trusted)
        assert rotatable.advance(MESH, second.id)
        assert rotatable.rotation(MESH) is None
        assert rotatable.signer(MESH) == new
        assert old not in rotatable.trust_anchors(MESH)
        _note(rotatable, leaves, trusted)
        for place, anchors in enumerate(trusted):
            for leaf in leaves[max(0, place - 1) : place + 2]:
                verified(leaf, anchors)
        with pytest.raises(verification.VerificationError):
            verified(leaves[0], trusted[-1])

    def test_a_second_rotation_is_refused_with_a_sentence(self, rotatable: RotatableCaProvider) -> None:
        begun = rotatable.rotate(MESH)
        before = list(rotatable.trust_anchors(MESH))
        with pytest.raises(InvalidResource) as caught:
            rotatable.rotate(MESH)
        assert len(str(caught.value)) > 20
        assert rotatable.rotation(MESH) == begun
        assert list(rotatable.trust_anchors(MESH)) == before

    def test_of_many_that_begin_at_once_one_does(self, rotatable: RotatableCaProvider) -> None:
        begun = _at_once(4, lambda: rotatable.rotate(MESH).id)
        assert begun == [rotatable.rotation(MESH).id]  # type: ignore[union-attr]
        assert len(rotatable.trust_anchors(MESH)) == 2

    def test_of_many_that_end_a_stage_at_once_one_does(self, rotatable: RotatableCaProvider) -> None:
        begun = rotatable.rotate(MESH)
        ended = _at_once(4, lambda: rotatable.advance(MESH, begun.id))
        assert sorted(ended) == [False, False, False, True]
        assert rotatable.rotation(MESH).stage is RotationStage.SIGNING  # type: ignore[union-attr]

    def test_a_stage_that_is_over_cannot_be_ended_again(self, rotatable: RotatableCaProvider) -> None:
        begun = rotatable.rotate(MESH)
        assert not rotatable.advance(MESH, "another")
        assert rotatable.advance(MESH, begun.id)
        before = rotatable.rotation(MESH)
        assert not rotatable.advance(MESH, begun.id)
        assert rotatable.rotation(MESH) == before

    def test_every_rotation_has_ids_of_its_own(self, rotatable: RotatableCaProvider) -> None:
        ids = []
        for _ in range(2):
            current: object = rotatable.rotate(MESH)
            while current := rotatable.rotation(MESH):
                ids.append(current.id)
                rotatable.advance(MESH, current.id)
        assert len(set(ids)) == 4

    def test_a_mesh_without_an_authority_has_nothing_to_rotate(self, rotatable: RotatableCaProvider) -> None:
        assert rotatable.rotation("nowhere") is None
        assert not rotatable.advance("nowhere", "any")
        with pytest.raises(NotFound):
            rotatable.rotate("nowhere")
        with pytest.raises(KumaError):
            rotatable.signer("nowhere")


def _leaf(provider: CaProvider) -> str:
    return provider.issue(MESH, public_key(), URIS, HOUR)


def _note(provider: CaProvider, leaves: list[str], trusted: list[Sequence[str]]) -> None:
    leaves.append(_leaf(provider))
    trusted.append(provider.trust_anchors(MESH))


def _at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """What the calls returned that were not refused, made from several threads at the same moment."""
    together, results = threading.Barrier(count), []

    def call() -> None:
        together.wait(timeout=10)
        with suppress(KumaError):
            results.append(work())

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return results
