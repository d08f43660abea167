"""The Security chapter of the user's document, in its order: certificates, tokens, another machine, mTLS."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kuma_core.testing.authorities import verified
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually

from ...end_to_end.support import end
from ...namespaces import NEAR, two_machines
from ...security.support import identity
from ..support import DATA, Shell, dataplane_token, signing_pair

TOKENS = "http://localhost:5679/tokens"
HEADER = "-H 'content-type: application/json'"
ENCRYPTED = {"enabled": True, "ca": {"builtin": {}}}

# -- Certificates


def test_the_root_certificate_is_unique_for_each_mesh(cp: RunningPlatform) -> None:
    cp.apply(mesh("mesh-1"), mesh("mesh-2"))
    authority = cp.platform.core.authorities["builtin"]
    roots = [authority.trust_anchors(name) for name in ("default", "mesh-1", "mesh-2")]
    assert [len(found) for found in roots] == [1, 1, 1]
    assert len({certificate for (certificate,) in roots}) == 3
    for name in ("mesh-1", "mesh-2"):
        cp.delete(f"/meshes/{name}")


def test_the_san_of_a_certificate_is_mesh_and_service(cp: RunningPlatform) -> None:
    """``spiffe://<mesh name>/<service name>``, and a new certificate each time that a dataplane asks."""
    cp.apply(dataplane("dp-1", inbound("127.0.0.1:8080:80", "backend")))
    anchors = cp.platform.core.authorities["builtin"].trust_anchors("default")
    first, second = (verified(identity(cp, "dp-1"), anchors) for _ in range(2))
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://default/backend"]
    assert first.serial_number != second.serial_number
    cp.delete("/meshes/default/dataplanes/dp-1")


def test_certificates_are_never_persisted_on_disk(machine: Shell) -> None:
    """Nor are their keys: an Envoy that shows its certificate has it in memory alone."""
    machine.good("kumactl apply -f -", (DATA / "seed/redis-1.yaml").read_text())
    machine.good("kumactl apply -f -", json.dumps(mesh("default", mtls=ENCRYPTED)))
    folder = machine.home / "of-redis"
    folder.mkdir()
    run = f"TMPDIR={folder} kuma-dp run --name=redis-1 --admin-port=9901 --config-dir={folder}/config"
    process, _ = machine.start(f"{run} {dataplane_token(machine, 'redis-1')}")
    try:
        shown = "curl -s http://localhost:9901/certs"
        eventually(lambda: "spiffe://default/redis" in machine.good(shown), 60, "a certificate in memory")
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert folder / "config/bootstrap.yaml" in files
        assert [path for path in files if "PRIVATE KEY" in path.read_text(errors="replace")] == []
    finally:
        end(process)
        machine.good("kumactl apply -f -", json.dumps(mesh("default")))


@pytest.fixture
def secured(cp: RunningPlatform) -> Iterator[RunningPlatform]:
    yield cp
    cp.put("/meshes/default", mesh("default"))


def test_a_mesh_selects_the_provided_authority(secured: RunningPlatform) -> None:
    """Accepted before a certificate is there, with a warning."""
    body = mesh("default", mtls={"enabled": True, "ca": {"provided": {}}})
    answer = secured.put("/meshes/default", body)
    assert answer.status == 200
    assert "certificate" in answer.headers["Warning"]


def test_kumactl_manages_the_authority(machine: Shell) -> None:
    """``kumactl manage ca``: add and delete certificates."""
    for words in ("list", "add", "delete"):
        assert "Usage:" in machine.good(f"kumactl manage ca provided certificates {words} -h")
    files = []
    for part, text in signing_pair().items():
        (machine.home / part).write_text(text)
        files.append(f"--{part}-file={part}")
    manage = "kumactl manage ca provided certificates"
    added = machine.good(f"{manage} add {' '.join(files)}")
    identity = added.split('"')[1]
    assert added == f'added certificate "{identity}"\n'
    header, row = machine.good(f"{manage} list").splitlines()
    assert (header.split()[0], row.split()[0]) == ("ID", identity)
    assert machine.good(f"{manage} delete --id {identity}") == f'removed certificate "{identity}"\n'


# -- Dataplane Token


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


def test_curl_generates_a_token(issuer: Shell) -> None:
    """With the colon of the document where JSON has it, and the content type that keeps web pages out."""
    body = json.dumps({"name": "dp-echo-1", "mesh": "default"})
    token = issuer.good(f"curl -sf -XPOST {TOKENS} --data '{body}' {HEADER}")
    assert claims(token)["Name"] == "dp-echo-1"


def test_curl_as_the_document_has_it_is_told_what_is_wrong(issuer: Shell) -> None:
    """Its text is no JSON, and not declared as JSON either."""
    body = '{"name:" "dp-echo-1", "mesh": "default"}'
    line = f"curl -s -o /dev/null -w '%{{http_code}}' -XPOST {TOKENS} --data '{body}'"
    assert [issuer.good(line), issuer.good(f"{line} {HEADER}")] == ["415", "400"]


@pytest.mark.parametrize("flag", ["--name", "--dataplane"])
def test_kumactl_generates_a_token(issuer: Shell, flag: str) -> None:
    """It carries the name and the mesh. Both flags work: that of the document and that of the original."""
    file = issuer.home / f"token{flag}"
    issuer.good(f"kumactl generate dataplane-token {flag}=dp-echo-1 --mesh=default > {file}")
    token = file.read_text()
    assert token == token.strip()
    found = claims(token)
    assert (found["Name"], found["Mesh"]) == ("dp-echo-1", "default")
    assert len(token.split(".")) == 3


def test_tokens_are_signed_with_rsa(issuer: Shell) -> None:
    """As the document says and the original did not."""
    token = issuer.good("kumactl generate dataplane-token --name=dp-echo-1")
    header = token.split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["alg"] == "RS256"


def test_tokens_are_not_stored_and_their_key_is(cp: RunningPlatform) -> None:
    """The store is the same with a hundred more tokens; the key was made by the first run."""
    store = cp.platform.core.store

    def kept() -> dict[str, int]:
        return {kind.name: len(store.list(kind.name)) for kind in cp.platform.catalog.kinds if kind.stored}

    before = kept()
    assert {cp.token(f"dp-{number}") for number in range(100)}
    assert kept() == before
    assert "dataplane-token-signing-key" in cp.platform.core.secrets.names("default")


def test_kuma_dp_takes_the_token_file(issuer: Shell) -> None:
    issuer.good("kumactl apply -f -", (DATA / "seed/redis-1.yaml").read_text())
    run = "kuma-dp run --name=redis-1 --mesh=default --cp-address=http://127.0.0.1:5681"
    process, _ = issuer.start(f"{run} {dataplane_token(issuer, 'redis-1')}")
    eventually(lambda: "Online" in issuer.good("kumactl inspect dataplanes"), 60)
    end(process)
    refused = issuer.run(run)
    assert refused.returncode == 1
    assert "kumactl generate dataplane-token" in refused.stderr


# -- Accessing Dataplane Token Server from a different machine

HOST = "kuma-control-plane.internal"


@pytest.mark.parametrize("kind", [f"server --cp-hostname={HOST}", "client"])
def test_kumactl_generates_a_tls_certificate(machine: Shell, tmp_path: Path, kind: str) -> None:
    cert, key = tmp_path / "cert", tmp_path / "key"
    machine.good(f"kumactl generate tls-certificate --cert-file={cert} --key-file={key} --type={kind}")
    assert stat.S_IMODE(key.stat().st_mode) == 0o400
    certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = set(names.get_values_for_type(x509.DNSName))
    assert hosts == {"localhost"} | ({HOST} if "server" in kind else set())


class Site:
    """The machine of the control plane, and another one, joined by a network; each has a home of its own."""

    def __init__(self, folder: Path, near: list[str], far: list[str], stack: ExitStack) -> None:
        self.control_plane, self.other = (
            Shell(folder / name, stack, words) for name, words in (("near", near), ("far", far))
        )

    def curl(self, more: str, url: str = f"https://{HOST}:5679/tokens") -> tuple[int, str]:
        """Ask for a token from the other machine; exit code and answer."""
        body = json.dumps({"name": "dp-echo-1", "mesh": "default"})
        done = self.other.run(f"curl -sf {more} {url} --data '{body}' {HEADER}")
        return done.returncode, done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
    with two_machines(tmp_path, HOST) as (near, far), ExitStack() as stack:
        yield Site(tmp_path, near, far, stack)


def test_a_token_from_a_different_machine_step_by_step(site: Site) -> None:
    near, far, prefix = site.control_plane, site.other, "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_"
    # 2) a certificate for the server
    near.good(
        f"kumactl generate tls-certificate --cert-file=cert --key-file=key --type=server --cp-hostname={HOST}"
    )
    # 4) a certificate for the client, which alone is taken to the control plane's machine
    far.good("kumactl generate tls-certificate --cert-file=cert.pem --key-file=key.pem --type=client")
    far.good("kumactl generate tls-certificate --cert-file=other.pem --key-file=other-key.pem --type=client")
    (near.home / "clients").mkdir()
    (near.home / "clients/operator.pem").write_bytes((far.home / "cert.pem").read_bytes())
    # 1) and 3) the server is turned on, on one interface; its port is by default that of the local one
    settings = {
        "ENABLED": "true",
        "TLS_CERT_FILE": "cert",
        "TLS_KEY_FILE": "key",
        "INTERFACE": NEAR,
        "CLIENT_CERTS_DIR": "clients",
    }
    variables = " ".join(f"{prefix}{name}={value}" for name, value in settings.items())
    near.control_plane(f"{variables} KUMA_GENERAL_ADVERTISED_HOSTNAME={HOST} kuma-cp run")
    catalog = json.loads(far.good(f"curl -s http://{HOST}:5681/catalog"))
    assert catalog["apis"]["dataplaneToken"]["publicUrl"] == f"https://{HOST}:5679"
    # 5) kumactl is configured, and refused before that
    add = f"kumactl config control-planes add --address http://{HOST}:5681"
    far.good(f"{add} --name bare")
    refused = far.run("kumactl generate dataplane-token --name=dp-echo-1")
    assert (refused.returncode, "no client certificate" in refused.stderr) == (1, True)
    client = "--dataplane-token-client-cert {0}.pem --dataplane-token-client-key {1}.pem"
    far.good(f"{add} --name stranger {client.format('other', 'other-key')}")
    assert far.run("kumactl generate dataplane-token --name=dp-echo-1").returncode == 1
    far.good(f"{add} --name operator {client.format('cert', 'key')}")
    token = far.good("kumactl generate dataplane-token --name=dp-echo-1 --mesh=default")
    assert claims(token)["Name"] == "dp-echo-1"
    # with curl, which looks at the server's certificate, too
    (far.home / "server.pem").write_bytes((near.home / "cert").read_bytes())
    code, told = site.curl("--cacert server.pem --cert cert.pem --key key.pem")
    assert (code, claims(told)["Name"]) == (0, "dp-echo-1")
    for more in ("--cacert server.pem", "--cacert server.pem --cert other.pem --key other-key.pem"):
        assert site.curl(more)[0] != 0
    assert site.curl("", f"http://{HOST}:5679/tokens")[0] != 0, "plain HTTP is on loopback alone"
    assert claims(near.good("kumactl generate dataplane-token --name=dp-2"))["Name"] == "dp-2"


# -- mTLS


def test_mtls_is_off_by_default(cp: RunningPlatform) -> None:
    assert not cp.get("/meshes/default").body["mtls"].get("enabled")


ECHO = dataplane("dp-echo-1", inbound("127.0.0.1:10000:9000", "echo"))
WEB = dataplane("dp-web-1", inbound("127.0.0.1:10001:9001", "web"), outbounds=[outbound(":20000", "echo")])
ALLOWED = {
    "type": "TrafficPermission",
    "mesh": "default",
    "name": "web-to-echo",
    "sources": [{"match": {"service": "web"}}],
    "destinations": [{"match": {"service": "echo"}}],
}


def test_with_mtls_every_connection_is_denied_until_it_is_allowed(machine: Shell) -> None:
    """``dataplanes``, each with its token, fetch their certificates and trust the root of the mesh."""
    shown = "curl -s --max-time 5 http://127.0.0.1:20000"
    with ExitStack() as stack:
        stack.callback(machine.good, "kumactl apply -f -", json.dumps(mesh("default")))
        stack.callback(machine.run, "kumactl delete traffic-permission web-to-echo")
        stack.callback(end, machine.start("kuma-tcp-echo -port 9000")[0])
        for document in (ECHO, WEB):
            name = document["name"]
            machine.good("kumactl apply -f -", json.dumps(document))
            token = dataplane_token(machine, name)
            stack.callback(end, machine.start(f"kuma-dp run --name={name} {token}")[0])
        eventually(lambda: machine.run(shown).stdout.startswith("GET / "), 60, "an answer without mTLS")
        machine.good("kumactl apply -f -", json.dumps(mesh("default", mtls=ENCRYPTED)))
        eventually(lambda: machine.run(shown).returncode != 0, 60, "denied by default")
        machine.good("kumactl apply -f -", json.dumps(ALLOWED))
        eventually(lambda: machine.run(shown).stdout.startswith("GET / "), 60, "what is allowed")
