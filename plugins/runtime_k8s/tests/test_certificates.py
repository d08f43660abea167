"""The certificate of admission: made, kept, renewed, and known to webhooks."""

from __future__ import annotations

import ssl
import stat
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kuma_core.kumactl.tls_pair import generate
from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.certificates import bundles, pairs
from kuma_runtime_k8s.certificates.components import SECRET, CaBundles, ServingCertificate
from kuma_runtime_k8s.feature import service_of

from .fake_api import FakeApi
from .parts import running

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = pairs.hosts_of("cp", "sys")
SECRETS = "/api/v1/secrets"
DAY = timedelta(days=1)


def certificates(data: pairs.Data, member: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(b64decode(data[member]))


def test_a_pair_is_for_the_names_of_the_service() -> None:
    data = pairs.new_pair(HOSTS, NOW)
    leaf, root = certificates(data, "tls.crt")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cp.sys.svc", "cp.sys", "cp"]
    assert [root] == certificates(data, "ca.crt")
    leaf.verify_directly_issued_by(root)
    assert pairs.is_ours(data)
    assert pairs.trusted_by_webhooks(data) == data["ca.crt"]


def test_it_is_renewed_after_two_thirds_of_its_life_with_the_same_root() -> None:
    first = pairs.new_pair(HOSTS, NOW)
    due = pairs.renewal(first, HOSTS, NOW)
    assert abs(due - (NOW + pairs.LEAF_LIFETIME * 2 / 3)) < DAY
    second = pairs.new_pair(HOSTS, due, first)
    assert second["tls.crt"] != first["tls.crt"]
    assert second["ca.crt"] == first["ca.crt"], "webhooks need not learn anything"
    assert pairs.renewal(second, HOSTS, due) > due


def test_an_old_root_is_trusted_beside_its_successor() -> None:
    first = pairs.new_pair(HOSTS, NOW)
    later = NOW + pairs.ROOT_LIFETIME * 3 / 4
    second = pairs.new_pair(HOSTS, later, first)
    new_root, old_root = certificates(second, "ca.crt")
    assert [old_root] == certificates(first, "ca.crt")
    certificates(second, "tls.crt")[0].verify_directly_issued_by(new_root)
    third = pairs.new_pair(HOSTS, later + pairs.ROOT_LIFETIME, second)
    assert old_root not in certificates(third, "ca.crt")


@pytest.mark.parametrize(
    "change",
    [
        {"tls.crt": ""},
        {"tls.crt": "%"},
        {"tls.crt": b64encode(b"text").decode()},
        {"ca.crt": ""},
        {"ca.key": ""},
    ],
)
def test_data_that_are_broken_are_made_anew(change: dict[str, str]) -> None:
    broken = {**pairs.new_pair(HOSTS, NOW), **change}
    made = pairs.new_pair(HOSTS, NOW, broken)
    certificates(made, "tls.crt")[0].verify_directly_issued_by(certificates(made, "ca.crt")[0])
    if "ca.key" not in change:
        assert pairs.renewal(broken, HOSTS, NOW) == NOW


def test_another_name_of_the_service_needs_another_certificate() -> None:
    data = pairs.new_pair(HOSTS, NOW)
    assert pairs.renewal(data, pairs.hosts_of("other", "sys"), NOW) == NOW


def test_a_pair_of_an_operator_is_served_as_it_is() -> None:
    given = generate(["cp.sys.svc"], False)
    data = {"tls.crt": b64encode(given.cert).decode(), "tls.key": b64encode(given.key).decode()}
    assert not pairs.is_ours(data)
    assert pairs.files(data) == {"tls.crt": given.cert, "tls.key": given.key}
    assert pairs.trusted_by_webhooks(data) == data["tls.crt"]
    assert pairs.files({"tls.crt": data["tls.crt"]}) is None
    assert pairs.files({"tls.crt": "%", "tls.key": ""}) is None


@pytest.mark.parametrize(
    ("hostname", "service"),
    [
        ("cp.kuma-system", "cp"),
        ("cp.kuma-system.svc.cluster.local", "cp"),
        ("localhost", "kuma-control-plane"),
        ("kuma.example.com", "kuma-control-plane"),
    ],
)
def test_the_service_of_the_advertised_name(hostname: str, service: str) -> None:
    assert service_of(hostname, "kuma-system") == service


# -- webhooks


def configuration(*found: str | None) -> dict[str, Any]:
    webhooks = [{"clientConfig": {"service": {"name": "cp"}} | ({"caBundle": b} if b else {})} for b in found]
    return {"metadata": {"name": bundles.VALIDATING, "resourceVersion": "7"}, "webhooks": webhooks}


def test_only_what_differs_is_patched() -> None:
    assert bundles.patch(configuration("new", "new"), "new") == []
    assert bundles.patch(configuration("new", None, "old"), "new") == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "new"},
        {"op": "add", "path": "/webhooks/2/clientConfig/caBundle", "value": "new"},
    ]
    by_url = {"metadata": {}, "webhooks": [{"clientConfig": {"url": "https://x"}}]}
    assert bundles.patch(by_url, "new") == []


# -- the components


def made(api: FakeApi) -> dict[str, Any]:
    found = api.get(SECRETS, SECRET, "sys")
    assert found is not None
    data: dict[str, Any] = found["data"]
    return data


def bundle_of(api: FakeApi, name: str) -> str | None:
    found = api.get(bundles.CONFIGURATIONS[name], name)
    assert found is not None
    value: str | None = found["webhooks"][0]["clientConfig"].get("caBundle")
    return value


def test_two_control_planes_make_one_certificate(tmp_path: Path) -> None:
    api = FakeApi()
    for name, path in bundles.CONFIGURATIONS.items():
        api.put(path, {**configuration(None), "metadata": {"name": name}})
    both = [ServingCertificate(api, "sys", "cp", str(tmp_path / folder)) for folder in "ab"]
    with running(*both, CaBundles(api, "sys")):
        eventually(lambda: all((tmp_path / folder / "tls.key").exists() for folder in "ab"))
        data = made(api)
        for folder in "ab":
            assert (tmp_path / folder / "tls.crt").read_bytes() == b64decode(data["tls.crt"])
            assert stat.S_IMODE((tmp_path / folder / "tls.key").stat().st_mode) == 0o600
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                tmp_path / folder / "tls.crt", tmp_path / folder / "tls.key"
            )
        eventually(lambda: all(bundle_of(api, name) == data["ca.crt"] for name in bundles.CONFIGURATIONS))
        # somebody takes the bundle away, another one the Secret
        spoilt = {**configuration("x"), "metadata": {"name": bundles.MUTATING}}
        api.put(bundles.CONFIGURATIONS[bundles.MUTATING], spoilt)
        eventually(lambda: bundle_of(api, bundles.MUTATING) == data["ca.crt"])
        api.remove(SECRETS, SECRET, "sys")
        eventually(lambda: api.get(SECRETS, SECRET, "sys") is not None)
        again = made(api)
        assert again != data
        eventually(lambda: (tmp_path / "a" / "tls.crt").read_bytes() == b64decode(again["tls.crt"]))
        eventually(lambda: bundle_of(api, bundles.VALIDATING) == again["ca.crt"])
    assert len(api.asked("POST", "secrets")) <= 4, "each looks before it makes one"


def test_one_that_has_expired_is_renewed_at_once(tmp_path: Path) -> None:
    api = FakeApi()
    old = pairs.new_pair(HOSTS, datetime.now(UTC) - 2 * pairs.LEAF_LIFETIME)
    meta = {"name": SECRET, "namespace": "sys", "labels": {"kept": "yes"}}
    api.put(SECRETS, {"metadata": meta, "type": "kubernetes.io/tls", "data": {**old, "other": "eA=="}})
    with running(ServingCertificate(api, "sys", "cp", str(tmp_path))):
        eventually(lambda: made(api)["tls.crt"] != old["tls.crt"])
        eventually(lambda: (tmp_path / "tls.crt").read_bytes() == b64decode(made(api)["tls.crt"]))
    found = api.get(SECRETS, SECRET, "sys")
    assert found is not None
    assert (found["metadata"]["labels"], found["data"]["other"]) == ({"kept": "yes"}, "eA==")
    assert found["data"]["ca.crt"] == old["ca.crt"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    api = FakeApi()
    with running(ServingCertificate(api, "sys", "cp", str(tmp_path / "file" / "below"))):
        eventually(lambda: "cannot be written" in capfd.readouterr().out)


def test_an_outage_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuma_runtime_k8s.certificates.components.RETRY_SECONDS", 0.05)
    api = FakeApi()
    refused = api.refuse_posts()
    with running(ServingCertificate(api, "sys", "cp", str(tmp_path))):
        assert refused.wait(60)
        api.refuse = lambda method, path: None
        eventually(lambda: (tmp_path / "tls.crt").exists())


def test_at_rest_nothing_is_asked(tmp_path: Path) -> None:
    """After the last write there are no more requests: what is waited for comes by watches."""
    api = FakeApi()
    for name, path in bundles.CONFIGURATIONS.items():
        api.put(path, {**configuration(None), "metadata": {"name": name}})
    with running(ServingCertificate(api, "sys", "cp", str(tmp_path)), CaBundles(api, "sys")):
        eventually(lambda: api.get(SECRETS, SECRET, "sys") and (tmp_path / "tls.crt").exists())
        eventually(
            lambda: all(bundle_of(api, name) == made(api)["ca.crt"] for name in bundles.CONFIGURATIONS)
        )
        counted = len(api.requests)
        assert counted == 3
        for _ in range(3):
            api.put("/api/v1/configmaps", {"metadata": {"name": "a", "namespace": "sys"}})
        assert len(api.requests) == counted
