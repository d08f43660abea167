"""What kuma-dp takes of a bootstrap while the control plane is pinned: all that ours writes, and no more."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuma_core.dataplane.pinned_bootstrap import pinned
from kuma_core.errors import KumaError
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.xds.bootstrap import BootstrapParams, bootstrap_yaml
from kuma_core.xds.proxy import Proxy

from .certificates import Authority
from .support import FakeControlPlane, Program

URL = "http://cp:5682"
REQUEST = {
    "mesh": "shop",
    "name": "orders-1",
    "adminPort": 9901,
    "dataplaneTokenPath": "/run/token",
    "accessLogPipe": "/run/pipe",
    "accessLogFiles": True,
    "ipv6": True,
}
OURS, THEIRS = Authority().pem, Authority().pem


def answer(request: dict[str, Any] = REQUEST, root: str = THEIRS, admin_port: int = 0) -> bytes:
    """What our own control plane says."""
    hosts = (("10.0.0.1", 5678), ("10.0.0.2", 7000))
    params = BootstrapParams(hosts, "DELTA_GRPC", "1s", "127.0.0.1", admin_port, "/dev/null", root)
    document = dataplane(request["name"], inbound("10.0.0.9:80:80", "orders"), mesh=request["mesh"])
    spec = DataplaneSpec.model_validate({"networking": document["networking"]})
    told = [request.get(key, "") for key in ("dataplaneTokenPath", "accessLogPipe", "accessLogFiles")]
    proxy = Proxy(request["mesh"], request["name"])
    return bootstrap_yaml(
        proxy, spec, params, request.get("adminPort", 0), *told, ipv6="ipv6" in request
    ).encode()


@pytest.mark.parametrize("left_out", [(), ("adminPort",), ("dataplaneTokenPath",), tuple(REQUEST)[2:]])
@pytest.mark.parametrize("admin_port", [0, 9901])
def test_our_own_bootstrap_is_taken_with_the_pinned_root(left_out: tuple[str, ...], admin_port: int) -> None:
    request = {key: value for key, value in REQUEST.items() if key not in left_out}
    came = answer(request, admin_port=admin_port)
    text, told = pinned(came, request, OURS, URL)
    assert told == THEIRS
    expected = yaml.safe_load(came)
    services = expected["dynamicResources"]["adsConfig"]["grpcServices"]
    services[0]["googleGrpc"]["channelCredentials"]["sslCredentials"]["rootCerts"]["inlineString"] = OURS
    assert yaml.safe_load(text) == expected


def refusal(body: bytes) -> str:
    with pytest.raises(KumaError) as caught:
        pinned(body, REQUEST, OURS, URL)
    prefix = f"the bootstrap configuration is refused: the one of {URL} "
    assert str(caught.value).startswith(prefix)
    return str(caught.value).removeprefix(prefix)


def test_a_control_plane_without_tls_is_refused() -> None:
    assert refusal(answer(root="")) == (
        "would have Envoy speak to the control plane without TLS, but --ca-cert-file pins the control plane's "
        "certificate. Set xdsServer.tlsEnabled (KUMA_XDS_SERVER_TLS_ENABLED) to true there, or leave "
        "--ca-cert-file away."
    )


@pytest.mark.parametrize(
    "body", [b"{}", b"dynamicResources: []", b"dynamicResources: {adsConfig: {grpcServices: []}}"]
)
def test_a_bootstrap_without_a_control_plane_is_refused(body: bytes) -> None:
    assert "without TLS" in refusal(body)


Change = Callable[[dict[str, Any], dict[str, Any]], object]
CLUSTER = {"clusters": [{"name": "elsewhere"}]}
PLAIN = {"envoyGrpc": {"clusterName": "elsewhere"}}
ADS = "dynamicResources.adsConfig.grpcServices"
GRPC = f"{ADS}[0].googleGrpc"
ATTACKS: dict[str, Change] = {
    "staticResources": lambda doc, grpc: doc.update(staticResources=CLUSTER),
    "static_resources": lambda doc, grpc: doc.update(static_resources=CLUSTER),
    "layeredRuntime": lambda doc, grpc: doc.update(layeredRuntime={}),
    "dynamicResources.ldsConfig.path": lambda doc, grpc: doc["dynamicResources"]["ldsConfig"].update(
        path="/x"
    ),
    "dynamicResources.cdsConfig": lambda doc, grpc: doc["dynamicResources"].update(cdsConfig=[1]),
    f"{ADS}[1]": lambda doc, grpc: doc["dynamicResources"]["adsConfig"]["grpcServices"].append(PLAIN),
    f"{ADS}[0].envoyGrpc": lambda doc, grpc: doc["dynamicResources"]["adsConfig"]["grpcServices"][0].update(
        PLAIN
    ),
    f"{GRPC}.channelCredentials.localCredentials": lambda doc, grpc: grpc["channelCredentials"].update(
        localCredentials={}
    ),
    f"{GRPC}.channelCredentials.sslCredentials.privateKey": lambda doc, grpc: grpc["channelCredentials"][
        "sslCredentials"
    ].update(privateKey={}),
    f"{GRPC}.channelArgs.args.grpc.ssl_target_name_override.stringValue": lambda doc, grpc: grpc[
        "channelArgs"
    ]["args"].update({"grpc.ssl_target_name_override": {"stringValue": "x"}}),
    f"{GRPC}.callCredentials[0].fromPlugin.typedConfig.secretData.filename": lambda doc, grpc: grpc[
        "callCredentials"
    ][0]["fromPlugin"]["typedConfig"]["secretData"].update(filename="/etc/shadow"),
    "node.id": lambda doc, grpc: doc["node"].update(id="shop.orders-2"),
    "node.metadata.dataplaneTokenPath": lambda doc, grpc: doc["node"]["metadata"].update(
        dataplaneTokenPath="/x"
    ),
    "node.metadata.accessLogPipe": lambda doc, grpc: doc["node"]["metadata"].update(
        accessLogPipe="/etc/cron.d/x"
    ),
    "admin.accessLog[0].typedConfig.@type": lambda doc, grpc: doc["admin"]["accessLog"][0][
        "typedConfig"
    ].update({"@type": "type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog"}),
    "admin.address.pipe": lambda doc, grpc: doc["admin"]["address"].update(pipe={"path": "/x"}),
    "1": lambda doc, grpc: doc.update({1: 2}),
}


@pytest.mark.parametrize("place", ATTACKS)
def test_whatever_else_stands_in_it_is_refused_by_its_place(place: str) -> None:
    document = copy.deepcopy(yaml.safe_load(answer()))
    grpc = document["dynamicResources"]["adsConfig"]["grpcServices"][0]["googleGrpc"]
    ATTACKS[place](document, grpc)
    assert refusal(yaml.dump(document).encode()) == (
        f"has something unexpected at {place!r}, which is not taken while --ca-cert-file pins the control "
        "plane's certificate. Run the same version of kuma-dp and kuma-cp; if you do, find out who answers there."
    )


@pytest.mark.parametrize("body", [b"a: 2001-13-45", b"? [a]\n: b", b"a: !!python/none x", b'a: "\\ud800"'])
def test_values_that_cannot_be_read_are_told(body: bytes) -> None:
    assert "that cannot be read" in refusal(body)


# -- through the whole of kuma-dp


def test_the_pinned_root_is_what_envoy_gets_and_another_one_is_told(
    kuma_dp: Callable[..., Program],
    control_plane: FakeControlPlane,
    tmp_path: Path,
    stub_pid: Callable[[], int],
) -> None:
    (tmp_path / "ca.pem").write_text(OURS)
    request = {"mesh": "default", "name": "web-1"}
    control_plane.bootstrap = (200, answer(request))
    dp = kuma_dp("--ca-cert-file=ca.pem", "--config-dir=dir")
    stub_pid()
    written = (tmp_path / "dir" / "bootstrap.yaml").read_text()
    assert json.dumps(OURS)[1:-1] in written
    assert THEIRS.splitlines()[1] not in written
    assert dp.err == (
        "Warning: the control plane says that its root certificate is another one than that of ca.pem; the "
        "latter is used. If the control plane's was changed on purpose, write the new one into the file and "
        "start again.\n"
    )


def test_the_same_root_is_no_news(
    kuma_dp: Callable[..., Program],
    control_plane: FakeControlPlane,
    tmp_path: Path,
    stub_pid: Callable[[], int],
) -> None:
    (tmp_path / "ca.pem").write_text(OURS)
    control_plane.bootstrap = (200, answer({"mesh": "default", "name": "web-1"}, root=OURS))
    dp = kuma_dp("--ca-cert-file=ca.pem")
    stub_pid()
    assert dp.err == ""


def test_a_bootstrap_without_tls_ends_kuma_dp(
    kuma_dp: Callable[..., Program], control_plane: FakeControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(OURS)
    control_plane.bootstrap = (200, answer({"mesh": "default", "name": "web-1"}, root=""))
    dp = kuma_dp("--ca-cert-file=ca.pem")
    assert dp.end() == 1
    assert "without TLS, but --ca-cert-file pins the control plane's certificate" in dp.err
    assert not (tmp_path / "envoy.pid").exists()
