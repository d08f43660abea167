"""The bootstrap server (scenarios 59 and 60)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

import kuma_store_memory
from kuma_core.clocks import http_date
from kuma_core.errors import ConfigError
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import assert_error, send

ENVOY = Path(sys.executable).with_name("envoy")
ORDERS = dataplane(
    "orders-1", inbound("10.0.0.1:80:80", "web"), inbound("10.0.0.1:81:81", "orders"), mesh="shop"
)


PLAIN = {"KUMA_XDS_SERVER_TLS_ENABLED": "false"}


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory], PLAIN) as platform:
        platform.apply(mesh("shop"), ORDERS)
        yield platform


def ask(cp: RunningPlatform, body: Any, method: str = "POST") -> Any:
    return cp.request(method, "/bootstrap", body, port=cp.bootstrap)


def bootstrap(cp: RunningPlatform, **request: Any) -> Any:
    """The bootstrap as data; every one must be liked by ``kuma-dp``, and so be YAML."""
    answer = ask(cp, {"mesh": "shop", "name": "orders-1", **request})
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"].startswith("text/x-yaml")
    return yaml.safe_load(answer.body)


def validate(tmp_path: Path, document: Any) -> None:
    """Have the real Envoy read a bootstrap, as it came."""
    path = tmp_path / "bootstrap.yaml"
    path.write_text(document)
    command = [ENVOY, "--mode", "validate", "-c", path, "--log-level", "error"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


def expected(port: int, *hosts: tuple[str, int], api_type: str = "DELTA_GRPC") -> dict[str, Any]:
    """The whole bootstrap: no cluster access_log_sink, for Envoy writes to files; keep-alives towards the stream."""
    endpoints = [
        {"endpoint": {"address": {"socketAddress": {"address": host, "portValue": number}}}}
        for host, number in hosts or [("localhost", port)]
    ]
    keepalive = {"connectionKeepalive": {"interval": "15s", "timeout": "10s"}}
    cluster = {
        "name": "ads_cluster",
        "connectTimeout": "1s",
        "type": "STRICT_DNS",
        "dnsLookupFamily": "ALL",
        "typedExtensionProtocolOptions": {
            HTTP2: {
                "@type": f"type.googleapis.com/{HTTP2}",
                "explicitHttpConfig": {"http2ProtocolOptions": keepalive},
            }
        },
        "upstreamConnectionOptions": {"tcpKeepalive": {}},
        "loadAssignment": {"clusterName": "ads_cluster", "endpoints": [{"lbEndpoints": endpoints}]},
    }
    return {
        "node": {"id": "shop.orders-1", "cluster": "orders"},
        "dynamicResources": {
            "ldsConfig": {"ads": {}, "resourceApiVersion": "V3"},
            "cdsConfig": {"ads": {}, "resourceApiVersion": "V3"},
            "adsConfig": {
                "apiType": api_type,
                "transportApiVersion": "V3",
                "setNodeOnFirstMessageOnly": True,
                "grpcServices": [{"envoyGrpc": {"clusterName": "ads_cluster"}}],
            },
        },
        "staticResources": {"clusters": [cluster]},
    }


def admin(port: int, address: str = "127.0.0.1", log: str = "/dev/null") -> dict[str, Any]:
    return {
        "accessLog": [{"name": "envoy.access_loggers.file", "typedConfig": {"@type": FILE_LOG, "path": log}}],
        "address": {"socketAddress": {"address": address, "portValue": port}},
    }


def test_scenario_59_bootstrap_of_a_dataplane(cp: RunningPlatform) -> None:
    plain = expected(cp.xds_port)
    assert bootstrap(cp) == plain
    assert bootstrap(cp, adminPort=0, dataplaneTokenPath="", unknown=1) == plain
    node = {**plain["node"], "metadata": {"dataplane.admin.port": "1234"}}
    assert bootstrap(cp, adminPort=1234) == {**plain, "node": node, "admin": admin(1234)}
    node = {**plain["node"], "metadata": {"dataplaneTokenPath": "/run/token"}}
    assert bootstrap(cp, dataplaneTokenPath="/run/token") == {**plain, "node": node}
    node = {**plain["node"], "metadata": {"accessLogPipe": "/run/pipe"}}
    assert bootstrap(cp, accessLogPipe="/run/pipe") == {**plain, "node": node}
    node["metadata"] = {**node["metadata"], "accessLogFiles": "true"}
    assert bootstrap(cp, accessLogPipe="/run/pipe", accessLogFiles=True) == {**plain, "node": node}
    node = {**plain["node"], "metadata": {"dataplane.ipv6": "true"}}
    assert bootstrap(cp, ipv6=True) == {**plain, "node": node}


def test_a_port_of_the_dataplane_is_not_that_of_the_admin_api(cp: RunningPlatform) -> None:
    def port(**request: Any) -> int:
        found: int = bootstrap(cp, **request)["admin"]["address"]["socketAddress"]["portValue"]
        return found

    assert port(adminPort=80, adminPorts=[81, 9901, 9902]) == 9901
    assert port(adminPorts=[9902]) == 9902
    answer = ask(cp, {"mesh": "shop", "name": "orders-1", "adminPort": 80})
    assert (answer.status, answer.body["causes"][0]["field"]) == (400, "adminPort")
    assert "others would reach the API instead of the service" in answer.body["causes"][0]["message"]


def test_the_metrics_port_of_the_mesh_is_not_that_of_the_admin_api() -> None:
    with running_platform([kuma_store_memory], PLAIN) as cp:
        cp.apply(mesh("shop", metrics={"prometheus": {}}), ORDERS)
        answer = ask(cp, {"mesh": "shop", "name": "orders-1", "adminPort": 5670})
        assert answer.status == 400
        assert "offer its metrics there" in answer.body["causes"][0]["message"]


def test_scenario_60_no_such_dataplane_and_bad_json(cp: RunningPlatform) -> None:
    for body in ({"mesh": "shop", "name": "nobody"}, {"mesh": "other", "name": "orders-1"}):
        answer = ask(cp, body)
        assert answer.status == 404
        assert_error(answer.body)
        assert "apply it first" in answer.body["details"]
    for text in (b"{oops", b"", b"[]", b"\xff", b"null"):
        answer = ask(cp, text)
        assert answer.status == 400
        assert_error(answer.body)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"mesh": ""}, ["mesh"]),
        ({"mesh": None, "name": ""}, ["mesh", "name"]),
        ({"mesh": 1, "name": ["x"]}, ["mesh", "name"]),
        ({"adminPort": -1}, ["adminPort"]),
        ({"adminPort": 65536}, ["adminPort"]),
        ({"adminPort": "80"}, ["adminPort"]),
        ({"adminPort": True}, ["adminPort"]),
        ({"adminPorts": 9901}, ["adminPorts"]),
        ({"adminPorts": [9901, "9902"]}, ["adminPorts"]),
        ({"accessLogFiles": "yes"}, ["accessLogFiles"]),
        ({"ipv6": 1}, ["ipv6"]),
        ({"adminPort": 1.5, "dataplaneTokenPath": 7}, ["adminPort", "dataplaneTokenPath"]),
    ],
)
def test_bad_requests_name_their_fields(cp: RunningPlatform, change: Any, fields: list[str]) -> None:
    answer = ask(cp, {"mesh": "shop", "name": "orders-1", **change})
    assert (answer.status, [cause["field"] for cause in answer.body["causes"]]) == (400, fields)


def test_any_method_will_do(cp: RunningPlatform) -> None:
    body = json.dumps({"mesh": "shop", "name": "orders-1"}).encode()
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        assert send(cp.bootstrap, method, "/bootstrap", body).status == 200


def test_a_request_that_is_too_large(cp: RunningPlatform) -> None:
    answer = ask(cp, {"mesh": "shop", "name": "orders-1", "padding": "x" * 70_000})
    assert answer.status == 413
    assert_error(answer.body)


@pytest.mark.parametrize(
    ("protocol", "hosts", "found"),
    [
        ("sotw", "cp.example", [("cp.example", 5679)]),
        (
            "delta",
            "a.example, b.example:7000,10.0.0.1",
            [("a.example", 5679), ("b.example", 7000), ("10.0.0.1", 5679)],
        ),
        ("delta", "[::1],[fe80::1]:80", [("::1", 5679), ("fe80::1", 80)]),
    ],
)
def test_parameters(protocol: str, hosts: str, found: list[tuple[str, int]], tmp_path: Path) -> None:
    params = "KUMA_BOOTSTRAP_SERVER_PARAMS_"
    settings = {
        **PLAIN,
        "KUMA_XDS_SERVER_PROTOCOL": protocol,
        f"{params}XDS_HOST": hosts,
        f"{params}XDS_PORT": "5679",
        f"{params}XDS_CONNECT_TIMEOUT": "0s",
        f"{params}ADMIN_PORT": "9901",
        f"{params}ADMIN_ADDRESS": "127.0.0.2",
        f"{params}ADMIN_ACCESS_LOG_PATH": str(tmp_path / "admin: log"),
    }
    with running_platform([kuma_store_memory], settings) as cp:
        cp.apply(mesh("shop"), ORDERS)
        document = expected(0, *found, api_type="GRPC" if protocol == "sotw" else "DELTA_GRPC")
        del document["staticResources"]["clusters"][0]["connectTimeout"]
        document["node"]["metadata"] = {"dataplane.admin.port": "9901"}
        document["admin"] = admin(9901, "127.0.0.2", str(tmp_path / "admin: log"))
        assert bootstrap(cp) == document
        assert bootstrap(cp, adminPort=9902)["admin"]["address"]["socketAddress"]["portValue"] == 9902
        validate(tmp_path, ask(cp, {"mesh": "shop", "name": "orders-1"}).body)


@pytest.mark.parametrize(
    ("hosts", "target", "authority"),
    [
        ("cp.example", "cp.example:5678", ""),
        ("10.0.0.1,10.0.0.2:7000", "ipv4:10.0.0.1:5678,10.0.0.2:7000", "10.0.0.1:5678"),
        ("cp.example,10.0.0.2", "cp.example:5678", ""),
        ("[::1]", "[::1]:5678", ""),
        ("[::1],[::2]:7000", "ipv6:[::1]:5678,[::2]:7000", "[::1]:5678"),
        ("10.0.0.1,[::2]", "10.0.0.1:5678", ""),
    ],
)
def test_a_stream_is_encrypted_and_shows_the_token(
    hosts: str, target: str, authority: str, tmp_path: Path
) -> None:
    settings = {
        "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST": hosts,
        "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT": "5678",
    }
    with running_platform([kuma_store_memory], settings) as cp:
        cp.apply(mesh("shop"), ORDERS)
        document = bootstrap(cp, dataplaneTokenPath="/run/token")
        assert "staticResources" not in document
        (service,) = document["dynamicResources"]["adsConfig"]["grpcServices"]
        grpc = service["googleGrpc"]
        assert grpc["targetUri"] == target
        wanted = grpc["channelArgs"]["args"].get("grpc.default_authority", {"stringValue": ""})
        assert wanted == {"stringValue": authority}
        root = grpc["channelCredentials"]["sslCredentials"]["rootCerts"]["inlineString"]
        assert root.encode() == cp.trusted
        (credentials,) = grpc["callCredentials"]
        assert credentials["fromPlugin"]["typedConfig"]["secretData"] == {"filename": "/run/token"}
        assert "callCredentials" not in json.dumps(bootstrap(cp)), "without a token there is none to show"
        request = {"mesh": "shop", "name": "orders-1", "dataplaneTokenPath": "/run/token"}
        validate(tmp_path, ask(cp, request).body)


@pytest.mark.parametrize("hosts", ["a,,b", "a:0", "a:x", "a:65536", "::1", "a b", "a:²", "http://a"])
def test_hosts_that_are_none_stop_the_start(hosts: str) -> None:
    settings = {"KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST": hosts}
    with pytest.raises(ConfigError, match="XdsHost"), running_platform([kuma_store_memory], settings):
        pass


HOSTILE = 'x\n"admin": {}\n#: {{ %s ${y} \u2028 é \U0001f600 \\ \'\t- '
WORDS = ["y", "1e3", "null", "0x1f", "true", "1_000", "012", "_", "-", "0", "off", "1-1"]


def test_nothing_can_be_smuggled_into_the_yaml(cp: RunningPlatform, tmp_path: Path) -> None:
    cp.apply(dataplane("hostile", inbound("10.0.0.1:80:80", HOSTILE), mesh="shop"))
    request = {"mesh": "shop", "name": "hostile", "adminPort": 30001, "dataplaneTokenPath": HOSTILE}
    answer = ask(cp, request)
    document = yaml.safe_load(answer.body)
    assert document["node"] == {
        "id": "shop.hostile",
        "cluster": HOSTILE,
        "metadata": {"dataplaneTokenPath": HOSTILE, "dataplane.admin.port": "30001"},
    }
    assert document["admin"] == admin(30001)
    validate(tmp_path, answer.body)


@pytest.mark.parametrize("word", WORDS)
def test_names_that_look_like_other_things(cp: RunningPlatform, word: str, tmp_path: Path) -> None:
    """Envoy takes a plain ``y`` for a flag and ``012`` for a number, unless they are quoted."""
    cp.apply(mesh(word), dataplane(word, inbound("10.0.0.1:80:80", word), mesh=word))
    answer = ask(cp, {"mesh": word, "name": word, "dataplaneTokenPath": word})
    assert yaml.safe_load(answer.body)["node"]["id"] == f"{word}.{word}"
    assert f'"{word}"' in answer.body
    validate(tmp_path, answer.body)


def test_the_real_envoy_accepts_a_bootstrap_of_each_form(cp: RunningPlatform, tmp_path: Path) -> None:
    for extra in ({}, {"adminPort": 30001}, {"adminPort": 30001, "dataplaneTokenPath": "/run/t"}):
        validate(tmp_path, ask(cp, {"mesh": "shop", "name": "orders-1", **extra}).body)


def test_the_real_envoy_does_refuse_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"node\.id:\s+string"):
        validate(tmp_path, "node: {id: y, cluster: x}\n")


def test_a_dataplane_of_a_gateway(cp: RunningPlatform) -> None:
    cp.apply(dataplane("edge-1", mesh="shop", gateway={"service": "edge"}))
    assert bootstrap(cp, name="edge-1")["node"] == {"id": "shop.edge-1", "cluster": "edge"}


@pytest.mark.parametrize(("seconds", "said"), [(7201.5, "2h0m"), (-7200, "behind"), (30, ""), (None, "")])
def test_the_clock_of_a_proxys_machine_is_warned_of(
    cp: RunningPlatform, seconds: float | None, said: str
) -> None:
    date = {} if seconds is None else {"Date": http_date(time.time() + seconds)}
    with structlog.testing.capture_logs() as logs:
        request = {"mesh": "shop", "name": "orders-1"}
        assert cp.request("POST", "/bootstrap", request, cp.bootstrap, **date).status == 200
    told = [entry for entry in logs if entry["event"] == "the clock of a proxy's machine differs from ours"]
    assert len(told) == bool(said)
    assert all(entry["proxy"] == "shop.orders-1" and said in entry["clock"] for entry in told)
