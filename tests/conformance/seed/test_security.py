"""The Security chapter of the user's document: tokens, certificates, authorities, mTLS."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually

from ..support import DATA, Shell, dataplane_token, has, needs, signing_pair

TOKENS = "http://localhost:5679/tokens"
HEADER = "-H 'content-type: application/json'"


@pytest.fixture
def issuer(machine: Shell) -> Shell:
    """The machine, whose control plane issues tokens unless it is told not to."""
    catalog = json.loads(machine.good("curl -s http://localhost:5681/catalog"))
    assert catalog["apis"]["dataplaneToken"]["localUrl"] == "http://localhost:5679"
    return machine


def claims(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@pytest.mark.parametrize("flag", ["--name", "--dataplane"])
def test_kumactl_generates_a_token(issuer: Shell, flag: str) -> None:
    """Stance 13: the flag of the document, and the one of the original."""
    file = issuer.home / f"token{flag}"
    issuer.good(f"kumactl generate dataplane-token {flag}=dp-echo-1 --mesh=default > {file}")
    token = file.read_text()
    assert token == token.strip()
    found = claims(token)
    assert (found["Name"], found["Mesh"]) == ("dp-echo-1", "default")
    assert len(token.split(".")) == 3


def test_curl_generates_a_token(issuer: Shell) -> None:
    """With the colon of the document where JSON has it, and the content type that keeps web pages out."""
    body = json.dumps({"name": "dp-echo-1", "mesh": "default"})
    token = issuer.good(f"curl -sf -XPOST {TOKENS} --data '{body}' {HEADER}")
    assert claims(token)["Name"] == "dp-echo-1"


def test_curl_as_the_document_has_it_is_told_what_is_wrong(issuer: Shell) -> None:
    """Its text is no JSON, and not declared as JSON either (API specification, 9.1)."""
    body = '{"name:" "dp-echo-1", "mesh": "default"}'
    line = f"curl -s -o /dev/null -w '%{{http_code}}' -XPOST {TOKENS} --data '{body}'"
    assert [issuer.good(line), issuer.good(f"{line} {HEADER}")] == ["415", "400"]


def test_tokens_are_signed_with_rsa(issuer: Shell) -> None:
    """As the document says and the original did not (stance 4)."""
    token = issuer.good("kumactl generate dataplane-token --name=dp-echo-1")
    header = token.split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["alg"] == "RS256"


def test_kuma_dp_takes_the_token_file(issuer: Shell) -> None:
    issuer.good("kumactl apply -f -", (DATA / "seed/redis-1.yaml").read_text())
    run = "kuma-dp run --name=redis-1 --mesh=default --cp-address=http://127.0.0.1:5681"
    issuer.start(f"{run} {dataplane_token(issuer, 'redis-1')}")
    eventually(lambda: "Online" in issuer.good("kumactl inspect dataplanes"), 20)
    refused = issuer.run(run)
    assert refused.returncode == 1
    assert "kumactl generate dataplane-token" in refused.stderr


# -- certificates of the public token server


@pytest.mark.parametrize("kind", ["server --cp-hostname=kuma-control-plane.internal", "client"])
def test_kumactl_generates_a_tls_certificate(machine: Shell, tmp_path: Path, kind: str) -> None:
    cert, key = tmp_path / "cert", tmp_path / "key"
    machine.good(f"kumactl generate tls-certificate --cert-file={cert} --key-file={key} --type={kind}")
    assert stat.S_IMODE(key.stat().st_mode) == 0o400
    certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = set(names.get_values_for_type(x509.DNSName))
    assert hosts == {"localhost"} | ({"kuma-control-plane.internal"} if "server" in kind else set())


# -- authorities and mTLS


@pytest.fixture
def secured(cp: RunningPlatform) -> Iterator[RunningPlatform]:
    needs(has("kuma_ca_provided"), "the plugin kuma-ca-provided: issue 5")
    yield cp
    cp.put("/meshes/default", mesh("default"))


def test_a_mesh_selects_the_provided_authority(secured: RunningPlatform) -> None:
    """Accepted before a certificate is there, with a warning (stance 9)."""
    body = mesh("default", mtls={"enabled": True, "ca": {"provided": {}}})
    answer = secured.put("/meshes/default", body)
    assert answer.status == 200
    assert "certificate" in answer.headers["Warning"]


def test_without_its_plugin_the_provided_authority_is_refused(machine: Shell) -> None:
    if has("kuma_ca_provided"):
        pytest.skip("does not apply: the plugin kuma-ca-provided is installed")
    done = machine.run(f"kumactl apply -f {DATA / 'seed/mesh_provided.yaml'}")
    assert done.returncode == 1
    assert "mtls.ca.provided" in done.stderr
    assert "kuma-ca-provided" in done.stderr


def test_kumactl_manages_the_authority(machine: Shell) -> None:
    """``kumactl manage ca``: add and delete certificates."""
    for words in ("list", "add", "delete"):
        assert "Usage:" in machine.good(f"kumactl manage ca provided certificates {words} -h")
    needs(has("kuma_ca_provided"), "the plugin kuma-ca-provided: issue 5")
    files = []
    for part, text in signing_pair().items():
        (machine.home / part).write_text(text)
        files.append(f"--{part}-file={part}")
    manage = "kumactl manage ca provided certificates"
    added = machine.good(f"{manage} add {' '.join(files)}")
    identity = added.split('"')[1]
    assert added == f'added certificate "{identity}"'
    header, row = machine.good(f"{manage} list").splitlines()
    assert (header.split()[0], row.split()[0]) == ("ID", identity)
    assert machine.good(f"{manage} delete --id {identity}") == f'removed certificate "{identity}"'


def test_mtls_is_off_by_default(cp: RunningPlatform) -> None:
    assert not cp.get("/meshes/default").body["mtls"].get("enabled")
