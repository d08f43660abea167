"""kumactl and a control plane of Kuma 0.3: one program serves an operator who moves from one to the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.http_client import Rules, exchange
from kuma_core.kumactl.kuma_0_3 import KINDS, is_version
from kuma_core.testing.platform import RunningPlatform, running_platform

from .conftest import Call, FakeServer, configure
from .kuma_0_3 import Kuma03, running_kuma_0_3

SELECTORS = "sources: [{match: {service: web}}]\ndestinations: [{match: {service: ledger}}]\n"
V2 = '{"@type": "type.googleapis.com/envoy.api.v2.Cluster", "name": "extra", "connectTimeout": "5s"}'
DOCUMENTS = {
    'Mesh "shop"': "type: Mesh\nname: shop\nmtls: {enabled: true, ca: {builtin: {}}}\n"
    "metrics: {prometheus: {port: 5670, path: /metrics}}\ntracing: {zipkin: {address: 'http://zipkin:9411'}}\n"
    "logging: {defaultBackend: f, backends: [{name: f, format: '<%START_TIME%>', file: {path: /tmp/log}}]}\n",
    'Dataplane "web-1"': "type: Dataplane\nmesh: shop\nname: web-1\nnetworking:\n"
    "  inbound: [{interface: '127.0.0.1:11011:11012', tags: {service: web, version: '1.0'}}]\n"
    "  outbound: [{interface: ':33033', service: ledger}]\n",
    'Dataplane "gateway"': "type: Dataplane\nmesh: shop\nname: gateway\nnetworking: {gateway: {tags: {service: gw}}}\n",
    'TrafficPermission "all"': f"type: TrafficPermission\nmesh: shop\nname: all\n{SELECTORS}",
    'TrafficRoute "split"': f"type: TrafficRoute\nmesh: shop\nname: split\n{SELECTORS}"
    "conf: [{weight: 90, destination: {service: ledger, version: '1'}}, {destination: {service: ledger}}]\n",
    'TrafficLog "all"': f"type: TrafficLog\nmesh: shop\nname: all\n{SELECTORS}conf: {{backend: f}}\n",
    'HealthCheck "ledger"': f"type: HealthCheck\nmesh: shop\nname: ledger\n{SELECTORS}"
    "conf: {activeChecks: {interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 1}}\n",
    'ProxyTemplate "more"': "type: ProxyTemplate\nmesh: shop\nname: more\nselectors: [{match: {service: web}}]\n"
    f"conf: {{imports: [default-proxy], resources: [{{name: extra, version: v1, resource: '{V2}'}}]}}\n",
}
ALL = "---\n".join(DOCUMENTS.values())
INSIGHT = "type: DataplaneInsight\nmesh: shop\nname: web-1\n"
INSIGHT += "subscriptions: [{id: a, connectTime: '2020-01-15T10:00:00Z'}]\n"


@pytest.fixture
def old() -> Iterator[Kuma03]:
    with running_kuma_0_3() as kuma:
        yield kuma


@pytest.fixture
def at(kumactl: Call, home: Path, old: Kuma03) -> Call:
    """kumactl, which knows the old control plane."""
    configure(home, old.url)
    return kumactl


@pytest.fixture(scope="module")
def new() -> Iterator[RunningPlatform]:
    with running_platform(
        [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided]
    ) as platform:
        yield platform


def note(old: Kuma03) -> str:
    return (
        f"Note: Kuma 0.3.2 at {old.url} does not tell which kinds it has; kumactl takes those of Kuma 0.3\n"
    )


# -- the server itself: were it more lenient than the real one, nothing here would prove anything


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "body"),
    [
        ("GET", "/kinds", {}, 404, "404: Page Not Found"),
        ("GET", "/", {"Accept": "application/json"}, 406, "406: Not Acceptable"),
        ("GET", "/", {"Accept": "text/plain, */*"}, 406, "406: Not Acceptable"),
        ("GET", "/catalog", {"Accept": "application/json"}, 406, "406: Not Acceptable"),
        ("GET", "/meshes", {"Accept": "text/html"}, 406, "406: Not Acceptable"),
        ("GET", "/meshes/", {"Accept": "application/json"}, 200, None),
        ("GET", "/meshes/nope/dataplanes", {}, 200, '{\n "items": []\n}'),
        ("PUT", "/meshes", {}, 405, "405: Method Not Allowed"),
        ("PUT", "/meshes/a", {"Content-Type": "text/yaml"}, 415, "415: Unsupported Media Type"),
        ("PUT", "/meshes/a?dry-run=validate", {"Content-Type": "application/json"}, 201, ""),
    ],
)
def test_the_old_server_is_as_strict_as_the_real_one(
    old: Kuma03, method: str, path: str, headers: dict[str, str], status: int, body: str | None
) -> None:
    sent = b'{"type": "Mesh", "name": "a"}' if method == "PUT" else None
    answer = exchange(method, old.url + path, headers, sent, Rules(10, 10**6))
    assert answer.status == status
    assert body in (None, answer.body.decode())


# -- each command


def test_it_is_added_and_told_from_others(kumactl: Call, home: Path, old: Kuma03) -> None:
    added = kumactl("config", "control-planes", "add", "--name=old", f"--address={old.url}")
    assert (added.code, added.err) == (0, "")
    assert kumactl("version", "--server").out.endswith(f"Server:     0.3.2 ({old.url})\n")


def test_documents_of_every_kind_are_applied_shown_and_deleted(at: Call, old: Kuma03) -> None:
    made = at("apply", stdin=ALL)
    assert (made.code, made.err) == (0, note(old))
    assert made.out.splitlines() == [f"created {name}" for name in DOCUMENTS]
    again = at("apply", stdin=ALL + "---\n" + INSIGHT)
    assert again.out.splitlines() == [
        *(f"updated {name}" for name in DOCUMENTS),
        'created DataplaneInsight "web-1"',
    ]
    for name in DOCUMENTS:
        kind, quoted = name.split(" ")
        one = at("get", kind, quoted.strip('"'), "--mesh=shop", "-o", "json")
        assert json.loads(one.out) == yaml.safe_load(DOCUMENTS[name])
        assert at("apply", stdin=one.out).out == f"updated {name}\n"
    for name in reversed(DOCUMENTS):
        kind, quoted = name.split(" ")
        gone = at("delete", kind, quoted.strip('"'), "--mesh=shop")
        assert (gone.code, gone.out, gone.err) == (0, f"deleted {name}\n", note(old))
    missing = at("delete", "traffic-route", "split", "--mesh=shop")
    assert missing.err == note(old) + 'Error: there is no TrafficRoute with name "split" in mesh "shop"\n'
    assert list(old.resources) == ["/meshes/default"]


def test_tables_are_those_of_the_original(at: Call, old: Kuma03) -> None:
    at("apply", stdin=ALL + "---\n" + INSIGHT)
    assert at("get", "meshes").out.splitlines() == [
        "NAME      mTLS   CA        METRICS",
        "default   off    builtin   off",
        "shop      on     builtin   prometheus",
    ]
    assert at("get", "dataplanes", "--mesh=shop").out.splitlines() == [
        "MESH   NAME      TAGS",
        "shop   web-1     service=web version=1.0",
        "shop   gateway   service=gw",
    ]
    for word in ("healthchecks", "proxytemplates", "traffic-logs", "traffic-permissions", "traffic-routes"):
        assert at("get", word, "--mesh=shop").out.startswith("MESH   NAME\nshop   ")
    nowhere = at("get", "traffic-logs", "--mesh=nope")
    assert (nowhere.code, 'there is no Mesh with name "nope"' in nowhere.err) == (1, True)
    unknown = at("get", "fault-injections")
    assert "unknown TYPE: fault-injections. Allowed values: meshes, dataplanes, " in unknown.err


def test_dataplanes_are_inspected(at: Call) -> None:
    at("apply", stdin=ALL + "---\n" + INSIGHT)
    lines = at("inspect", "dataplanes", "--mesh=shop").out.splitlines()
    assert [re.split(r" {2,}", line)[1:4] for line in lines[1:]] == [
        ["web-1", "service=web version=1.0", "Online"],
        ["gateway", "service=gw", "Offline"],
    ]
    tagged = at("inspect", "dataplanes", "--mesh=shop", "--tag", "service=web,version=*", "-o", "json")
    assert [item["name"] for item in json.loads(tagged.out)["items"]] == ["web-1"]


def test_errors_come_in_its_own_words(at: Call, old: Kuma03) -> None:
    result = at("apply", stdin=DOCUMENTS['Dataplane "web-1"'].replace("inbound:", "nothing:"))
    assert result.err == note(old) + (
        'failed Dataplane "web-1": Could not create a resource (Resource is not valid)\n'
        "* networking: has to contain at least one inbound interface or gateway\n"
        "Error: 1 of 1 resources could not be applied\n"
    )
    lost = at("apply", stdin=DOCUMENTS['Dataplane "web-1"'])
    assert (
        "Could not create a resource (Mesh is not found)\n* mesh: mesh of name shop is not found\n"
        in lost.err
    )


def test_a_token_is_generated(at: Call, old: Kuma03) -> None:
    made = at("generate", "dataplane-token", "--dataplane=web-1", "--mesh=shop")
    assert (made.code, made.err, made.out.count(".")) == (0, "", 2)
    bounded = at("generate", "dataplane-token", "--dataplane=web-1", "--valid-for=24h")
    assert (bounded.code, bounded.out) == (1, "")
    assert bounded.err.startswith(
        "Error: the control plane made a token that never ends: it does not know --valid-for"
    )
    old.tokens_enabled = False
    off = at("generate", "dataplane-token", "--dataplane=web-1")
    assert off.err.startswith("Error: failed to create dataplane token client: ")


def test_what_it_does_not_have_is_told(at: Call) -> None:
    keys = at("inspect", "signing-keys")
    assert keys.code == 1
    assert keys.err == (
        "Error: failed to list the signing keys: this control plane is too old to have that; upgrade it\n"
    )


def test_provided_certificates_are_asked_for(at: Call) -> None:
    missing = at("manage", "ca", "provided", "certificates", "list")
    assert (missing.code, missing.err) == (1, "Error: Could not retrieve signing certs (Not found)\n")


@pytest.mark.parametrize(
    "argv",
    [("apply", "--dry-run=xds"), ("delete", "--dry-run=xds", "mesh", "default"), ("import", "-f", "-")],
)
def test_what_it_would_take_for_a_write_is_not_sent(at: Call, old: Kuma03, argv: tuple[str, ...]) -> None:
    result = at(*argv, stdin=ALL)
    assert (result.code, result.out, old.written) == (1, "", [])
    assert f"Error: Kuma 0.3.2 at {old.url} " in result.err
    assert list(old.resources) == ["/meshes/default"]


def test_dry_runs_that_send_nothing_work(at: Call, old: Kuma03) -> None:
    tried = at("apply", "--dry-run", stdin=ALL)
    assert tried.out.splitlines() == [f"would apply {name}" for name in DOCUMENTS]
    assert at("delete", "--dry-run", "mesh", "default").out == 'would delete Mesh "default"\n'
    assert old.written == []


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0", "2.14.3", "10.3.1", None, 3])
def test_other_control_planes_are_not_taken_for_one(
    kumactl: Call, home: Path, server: FakeServer, version: object
) -> None:
    assert not is_version(version)
    configure(home, server.url)
    server.reply("GET", "/kinds", 404, "404: Page Not Found")
    server.reply("GET", "/", 200, json.dumps({"tagline": "Kuma", "version": version}))
    refused = kumactl("get", "meshes")
    assert (refused.code, "this is not a control plane of ours" in refused.err) == (1, True)
    assert [path for _, path, _, _ in server.requests] == ["/kinds", "/"]


def test_its_kinds_are_described_as_ours_are(new: RunningPlatform) -> None:
    ours = {kind["name"]: kind for kind in new.get("/kinds").body["kinds"]}
    assert all(is_version(version) for version in ("0.3.0", "0.3.1", "0.3.2", "unknown"))
    assert len(KINDS) == 9
    for kind in KINDS:
        same = ours[kind["name"]]
        assert {**same, **kind} == same


# -- moving


def test_an_export_there_is_an_import_here(
    kumactl: Call, home: Path, old: Kuma03, new: RunningPlatform, tmp_path: Path
) -> None:
    file = str(tmp_path / "old.yaml")
    configure(home, old.url)
    kumactl("apply", stdin=ALL + "---\n" + INSIGHT)
    exported = kumactl("export", "-o", file)
    assert (exported.code, exported.out) == (0, f"exported 9 resources to {file}\n")
    assert exported.err.startswith(note(old) + "Warning: This file lacks the secrets of the control plane")
    assert exported.err.endswith("Kuma 0.3 hands them out to nobody.\n")
    one = kumactl("export", "--mesh=default")
    assert [value["name"] for value in yaml.safe_load_all(one.out)] == ["default"]
    secret = tmp_path / "passphrase"
    secret.write_text("a passphrase of many words")
    refused = kumactl("export", "--with-secrets", f"--passphrase-file={secret}")
    assert (refused.code, refused.out) == (1, "")
    assert f"Error: Kuma 0.3.2 at {old.url} hands out no secrets; leave --with-secrets" in refused.err

    configure(home, new.api_url)
    tried = kumactl("import", "-f", file, "--dry-run")
    assert tried.out == "would import resources: 8 created, 0 updated, 1 unchanged\n"
    done = kumactl("import", "-f", file)
    assert (done.code, done.out.splitlines()[-1]) == (
        0,
        "imported resources: 8 created, 0 updated, 1 unchanged",
    )
    for document in yaml.safe_load_all(ALL):
        place = "" if document["type"] == "Mesh" else "/meshes/shop"
        path = next(kind["path"] for kind in KINDS if kind["name"] == document["type"])
        assert new.get(f"{place}/{path}/{document['name']}").body == document
    assert kumactl("export", "-o", str(tmp_path / "new.yaml")).code == 0
    bodies = [(tmp_path / name).read_text().partition("---\n")[2] for name in ("old.yaml", "new.yaml")]
    assert bodies[0] == bodies[1]
