"""Admission over HTTPS, as an API server asks: the questions have the form that it sends."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_runtime_k8s
import kuma_store_memory
from kuma_core.kumactl.tls_pair import generate, save
from kuma_core.testing.kubernetes import NoApi, way_to
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port

VALIDATE = "/validate-kuma-io-v1alpha1"
DEFAULT = "/default-kuma-io-v1alpha1-mesh"
INBOUND = {"interface": "192.168.0.1:80:8080", "tags": {"service": "web"}}


class ApiServer:
    """Asks a control plane, as an API server does that trusts one certificate and one name."""

    def __init__(self, cp: RunningPlatform, port: int, folder: Path) -> None:
        self.cp, self.port, self.folder = cp, port, folder

    def post(self, path: str, body: bytes, method: str = "POST") -> tuple[int, Any]:
        context = ssl.create_default_context(cafile=str(self.folder / "tls.crt"))
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)
        try:
            connection.request(method, f"{path}?timeout=10s", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def ask(
        self, path: str, kind: str, item: Any, operation: str = "CREATE", /, **more: Any
    ) -> dict[str, Any]:
        """The response to a question; it is checked for what holds of all of them."""
        status, answer = self.post(path, json.dumps(review(kind, item, operation, **more)).encode())
        assert status == 200
        assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response: dict[str, Any] = answer["response"]
        assert response["uid"] == "4-2"
        assert ("patch" in response) == ("patchType" in response)
        return response

    def refusal(self, kind: str, item: Any, operation: str = "CREATE", /, **more: Any) -> dict[str, Any]:
        response = self.ask(VALIDATE, kind, item, operation, **more)
        assert response["allowed"] is False
        assert "patch" not in response
        status: dict[str, Any] = response["status"]
        return status


def review(kind: str, item: Any, operation: str = "CREATE", /, **more: Any) -> dict[str, Any]:
    request = {
        "uid": "4-2",
        "kind": {"group": "kuma.io", "version": "v1alpha1", "kind": kind},
        "name": "",
        "operation": operation,
        "object": item,
        "oldObject": None,
        "dryRun": False,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**request, **more}}


def an_object(kind: str, spec: Any, name: str = "web", **more: Any) -> dict[str, Any]:
    meta = {"name": name} if kind == "Mesh" else {"name": name, "namespace": "demo"}
    mesh = {} if kind == "Mesh" else {"mesh": "default"}
    return {"apiVersion": "kuma.io/v1alpha1", "kind": kind, "metadata": meta, **mesh, "spec": spec, **more}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder, port = tmp_path_factory.mktemp("admission"), free_port()
    save(generate(["localhost"], False), str(folder / "tls.key"), str(folder / "tls.crt"))
    settings = {
        "KUMA_ENVIRONMENT": "kubernetes",
        "KUMA_KUBERNETES_ADMISSION_SERVER_PORT": str(port),
        "KUMA_KUBERNETES_ADMISSION_SERVER_ADDRESS": "127.0.0.1",
        "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": str(folder),
    }
    plugins = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, way_to(NoApi()), kuma_runtime_k8s]
    with running_platform(plugins, settings) as cp:
        cp.apply({"type": "Mesh", "name": "default"})
        yield ApiServer(cp, port, folder)


# -- defaults


def test_a_mesh_gets_its_defaults(api: ApiServer) -> None:
    response = api.ask(DEFAULT, "Mesh", an_object("Mesh", {"mtls": {"enabled": True}, "unknown": 1}))
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    assert json.loads(base64.b64decode(response["patch"])) == [
        {"op": "add", "path": "/spec/mtls/ca", "value": {"builtin": {}}}
    ]


def test_without_a_change_there_is_no_patch(api: ApiServer) -> None:
    complete = an_object("Mesh", {"mtls": {"ca": {"builtin": {}}}})
    assert "patch" not in api.ask(DEFAULT, "Mesh", complete)


@pytest.mark.parametrize("spec", ["text", 7, [], {"mtls": []}, {"metrics": {"prometheus": {"port": "x"}}}])
def test_what_cannot_be_decoded_gets_no_defaults(api: ApiServer, spec: Any) -> None:
    response = api.ask(DEFAULT, "Mesh", an_object("Mesh", spec))
    assert (response["allowed"], response["status"]["code"]) == (False, 400)
    assert response["status"]["message"]


def test_the_path_of_another_kind(api: ApiServer) -> None:
    response = api.ask(DEFAULT, "Dataplane", an_object("Dataplane", {}))
    assert (response["allowed"], response["status"]["code"]) == (False, 400)


# -- rules


def test_a_good_resource_is_allowed(api: ApiServer) -> None:
    good = an_object("Dataplane", {"networking": {"inbound": [INBOUND]}})
    for operation, dry_run in (("CREATE", False), ("UPDATE", False), ("CREATE", True)):
        response = api.ask(VALIDATE, "Dataplane", good, operation, dryRun=dry_run)
        assert response == {"uid": "4-2", "allowed": True, "status": {"code": 200, "message": ""}}
    assert api.cp.get("/meshes/default/dataplanes").body["items"] == []


def test_a_refusal_names_every_rule(api: ApiServer) -> None:
    said = "has to contain at least one inbound interface or gateway"
    assert api.refusal("Dataplane", an_object("Dataplane", {"networking": {}})) == {
        "status": "Failure",
        "reason": "Invalid",
        "code": 422,
        "message": f"networking: {said}",
        "details": {
            "name": "web",
            "kind": "Dataplane",
            "causes": [{"reason": "FieldValueInvalid", "message": said, "field": "networking"}],
        },
    }
    two = api.refusal("TrafficPermission", an_object("TrafficPermission", {}))
    assert [cause["field"] for cause in two["details"]["causes"]] == ["sources", "destinations"]
    assert (
        two["message"]
        == "sources: must have at least one element; destinations: must have at least one element"
    )


def test_names_that_only_kubernetes_has(api: ApiServer) -> None:
    good = an_object("Dataplane", {"networking": {"inbound": [INBOUND]}}, "web.v1")
    assert api.ask(VALIDATE, "Dataplane", good)["allowed"]


def test_an_object_whose_name_is_still_to_be_made(api: ApiServer) -> None:
    good = an_object("Dataplane", {"networking": {"inbound": [INBOUND]}})
    good["metadata"] = {"generateName": "web-", "namespace": "demo"}
    assert api.ask(VALIDATE, "Dataplane", good)["allowed"]
    bad = {**good, "spec": {}}
    assert api.refusal("Dataplane", bad)["details"]["name"] == ""


def test_what_is_told_to_the_writer(api: ApiServer) -> None:
    item = an_object("Dataplane", {"networking": {"inbound": [INBOUND], "outbund": []}}, mesh="nowhere")
    assert api.ask(VALIDATE, "Dataplane", item)["warnings"] == [
        'unknown field "networking.outbund" is ignored',
        'mesh: there is no Mesh "nowhere" yet; without it this has no effect',
    ]
    many = an_object("Dataplane", {"networking": {"inbound": [INBOUND]}, **{f"x{n}": 1 for n in range(50)}})
    warnings = api.ask(VALIDATE, "Dataplane", many)["warnings"]
    assert (len(warnings), warnings[-1]) == (20, "and 31 more warnings")
    long = an_object("Dataplane", {"networking": {"inbound": [INBOUND]}, "x" * 999: 1})
    assert len(api.ask(VALIDATE, "Dataplane", long)["warnings"][0]) == 256


def test_a_warning_comes_with_a_refusal_too(api: ApiServer) -> None:
    response = api.ask(VALIDATE, "Dataplane", an_object("Dataplane", {"netwroking": {}}))
    assert response["allowed"] is False
    assert response["warnings"] == ['unknown field "netwroking" is ignored']


def test_the_authority_of_an_encrypted_mesh_cannot_be_changed(api: ApiServer) -> None:
    api.cp.apply({"type": "Mesh", "name": "shop", "mtls": {"enabled": True, "ca": {"builtin": {}}}})
    changed = an_object("Mesh", {"mtls": {"enabled": True, "ca": {"provided": {}}}}, "shop")
    refused = api.refusal("Mesh", changed, "UPDATE")
    assert refused["message"] == (
        "mtls.ca: Changing CA when mTLS is enabled is forbidden. Disable mTLS first and then change the CA"
    )
    off = api.ask(VALIDATE, "Mesh", an_object("Mesh", {"mtls": {"ca": {"builtin": {}}}}, "shop"), "UPDATE")
    assert off["allowed"]
    assert off["warnings"][0].startswith("mtls.enabled: this write turns mutual TLS off")


def test_a_field_that_would_turn_encryption_off_is_refused(api: ApiServer) -> None:
    refused = api.refusal("Mesh", an_object("Mesh", {"mtls": {"enabledBackend": "ca-1"}}))
    assert [cause["field"] for cause in refused["details"]["causes"]] == ["mtls.enabledBackend"]


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_other_operations_are_allowed(api: ApiServer, operation: str) -> None:
    assert api.ask(VALIDATE, "Dataplane", None, operation)["allowed"]


def test_no_rule_holds_an_object_that_is_being_deleted(api: ApiServer) -> None:
    item = an_object("Dataplane", {})
    item["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": []}
    assert api.ask(VALIDATE, "Dataplane", item, "UPDATE")["allowed"]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Unheard", {}),
        ("Secret", {}),
        ("Mesh", {"kind": {"group": "kuma.io", "version": "v9", "kind": "Mesh"}}),
        ("Mesh", {"kind": {"group": "", "version": "v1", "kind": "Mesh"}}),
    ],
)
def test_a_kind_that_nobody_brings(api: ApiServer, kind: str, more: dict[str, Any]) -> None:
    refused = api.refusal(kind, an_object(kind, {}), **more)
    assert refused["code"] == 400
    assert "no plugin of the control plane brings the kind" in refused["message"]


@pytest.mark.parametrize(
    "item",
    [
        an_object("Dataplane", "text"),
        an_object("Dataplane", {"networking": 7}),
        {"metadata": []},
        {"metadata": {"name": 7}},
        {"metadata": {"name": "a"}, "mesh": 7},
        7,
        [],
    ],
)
def test_what_cannot_be_decoded_is_refused(api: ApiServer, item: Any) -> None:
    assert api.refusal("Dataplane", item)["code"] == 400


# -- whatever comes, no 5xx


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"request": {}}', 400),
        (b'{"request": {"uid": 7}}', 400),
        (b'{"request": 7}', 400),
        (b"\xff", 400),
        (b"[" * 5000, 400),
    ],
)
def test_a_body_that_is_no_question(api: ApiServer, body: bytes, code: int) -> None:
    status, answer = api.post(VALIDATE, body)
    assert (status, answer["title"]) == (code, "This is no AdmissionReview")


@pytest.mark.parametrize("version", ["admission.k8s.io/v1beta1", "", 7, None])
def test_another_version_of_the_question(api: ApiServer, version: Any) -> None:
    asked = {**review("Mesh", an_object("Mesh", {})), "apiVersion": version}
    status, answer = api.post(VALIDATE, json.dumps(asked).encode())
    assert (status, answer["response"]["allowed"], answer["response"]["status"]["code"]) == (200, False, 400)


def test_other_paths_and_methods(api: ApiServer) -> None:
    assert api.post("/", b"")[0] == 404
    assert api.post("/validate-kuma-io-v1alpha1x", b"{}")[0] == 404
    assert api.post(VALIDATE, b"", "GET")[0] == 405
    assert api.post("/default-kuma-io-v1alpha1-", json.dumps(review("Mesh", {})).encode())[0] == 200


# -- the certificate


def test_a_new_certificate_counts_from_the_next_connection_on(api: ApiServer) -> None:
    old = (api.folder / "tls.crt").read_bytes()
    (api.folder / "tls.crt").write_text("no certificate")
    with pytest.raises(ssl.SSLError):  # nothing to trust
        api.post(VALIDATE, b"")
    (api.folder / "trusted").mkdir(exist_ok=True)
    (api.folder / "trusted" / "tls.crt").write_bytes(old)
    still = ApiServer(api.cp, api.port, api.folder / "trusted")
    assert still.post(VALIDATE, b"")[0] == 400, "the last one that can be used stays"
    for name in ("tls.crt", "tls.key"):
        (api.folder / name).unlink()
    assert still.post(VALIDATE, b"")[0] == 400
    save(generate(["localhost"], False), str(api.folder / "tls.key"), str(api.folder / "tls.crt"))
    assert api.post(VALIDATE, b"")[0] == 400
    with pytest.raises(ssl.SSLCertVerificationError):
        still.post(VALIDATE, b"")


def test_nothing_of_it_is_there_on_universal() -> None:
    port = free_port()
    settings = {"KUMA_KUBERNETES_ADMISSION_SERVER_PORT": str(port)}
    with (
        running_platform([kuma_store_memory, kuma_runtime_k8s], settings),
        pytest.raises(ConnectionRefusedError),
    ):
        http.client.HTTPSConnection("127.0.0.1", port, timeout=5).request("GET", "/")
