"""The injector's certificate is kept by the control plane, where there is an injector."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from cryptography import x509

from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.certificates.bundles import INJECTING, MUTATORS
from kuma_runtime_k8s.certificates.injector import SECRET, InjectorCertificate

from .fake_api import FakeApi
from .test_certificates import SECRETS, running


def webhook(service: str = "inject", namespace: str = "sys", **client: Any) -> dict[str, Any]:
    asked = {"service": {"name": service, "namespace": namespace}, **client}
    return {"metadata": {"name": INJECTING, "resourceVersion": "7"}, "webhooks": [{"clientConfig": asked}]}


def data_of(api: FakeApi) -> dict[str, str]:
    found = api.get(SECRETS, SECRET, "sys")
    return dict(found["data"]) if found else {}


def bundle_of(api: FakeApi) -> Any:
    found = api.get(MUTATORS, INJECTING)
    assert found is not None
    return found["webhooks"][0]["clientConfig"].get("caBundle")


def test_it_is_made_for_the_service_that_the_webhook_asks() -> None:
    api = FakeApi()
    api.put(MUTATORS, webhook())
    with running(InjectorCertificate(api, "sys")):
        eventually(lambda: data_of(api) and bundle_of(api) == data_of(api)["ca.crt"])
        (leaf, *_) = x509.load_pem_x509_certificates(b64decode(data_of(api)["tls.crt"]))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["inject.sys.svc", "inject.sys", "inject"]
        first = data_of(api)
        api.put(MUTATORS, webhook("other", caBundle="x"))
        eventually(lambda: data_of(api)["tls.crt"] != first["tls.crt"])
        eventually(lambda: bundle_of(api) == data_of(api)["ca.crt"] == first["ca.crt"])


def test_without_an_injector_of_ours_there_is_none() -> None:
    """Its webhook is not there, or asks somebody elsewhere; it comes later."""
    api = FakeApi()
    with running(InjectorCertificate(api, "sys")):
        api.put(MUTATORS, webhook(namespace="elsewhere"))
        assert data_of(api) == {}
        api.put(MUTATORS, webhook())
        eventually(lambda: data_of(api))
    assert len(api.asked("POST", "secrets")) == 1


def test_a_pair_of_an_operator_is_trusted_and_stays() -> None:
    api = FakeApi()
    api.put(MUTATORS, webhook())
    given = {"tls.crt": "Y2VydA==", "tls.key": "a2V5"}
    api.put(SECRETS, {"metadata": {"name": SECRET, "namespace": "sys"}, "data": given})
    with running(InjectorCertificate(api, "sys")):
        eventually(lambda: bundle_of(api) == given["tls.crt"])
    assert data_of(api) == given
