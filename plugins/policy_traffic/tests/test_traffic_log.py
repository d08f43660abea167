"""The formats of access logs, checked by a real Envoy, and where logs go."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kuma_policy_traffic
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.policies import snapshot_of
from kuma_core.xds.contract import LISTENER
from kuma_core.xds.differences import readable
from kuma_policy_traffic.traffic_log.formats import PLAIN, TIMES, render

ENVOY = Path(sys.executable).with_name("envoy")
VALUES = {"KUMA_SOURCE_SERVICE": "web"}
TRICKY = {
    "100%": "100%%",
    "100%%": "100%%",
    "%": "%%",
    "%%%": "%%%%",
    "%NO_SUCH%": "%%NO_SUCH%%",
    "%KUMA_DOWNSTREAM_CLUSTER%": "%%KUMA_DOWNSTREAM_CLUSTER%%",
    "%start_time%": "%%start_time%%",
    "%DURATION:3%": "%%DURATION:3%%",
    "%DURATION(x)%": "%%DURATION(x)%%",
    "%DURATION%": "%DURATION%",
    "50%DURATION%": "50%DURATION%",
    "%A%DURATION%": "%%A%%DURATION%%",
    "%START_TIME(%Y/%m/%dT%H:%M:%S.%3f%z)%": "%START_TIME(%Y/%m/%dT%H:%M:%S.%3f%z)%",
    "%START_TIME(%)%": "%START_TIME(%)%",
    "%START_TIME()%": "%START_TIME()%",
    "%START_TIME(%n)%": "%%START_TIME(%%n)%%",
    "%START_TIME(\n)%": "%%START_TIME(\n)%%",
    "%START_TIME(\r)%": "%%START_TIME(\r)%%",
    "%START_TIME(%Y": "%%START_TIME(%%Y",
    "%REQ(X-A)%": "%%REQ(X-A)%%",
    "%REQ(%": "%%REQ(%%",
    "%ENVIRONMENT(HOME)%": "%%ENVIRONMENT(HOME)%%",
    "%KUMA_SOURCE_SERVICE%": "web",
    "%KUMA_SOURCE_SERVICE()%": "%%KUMA_SOURCE_SERVICE()%%",
    "%KUMA_SOURCE_SERVICE%%DURATION%": "web%DURATION%",
    "ünïcode \t \\ \" '": "ünïcode \t \\ \" '",
}
"""What operators write, and what Envoy gets."""


@pytest.mark.parametrize("template", TRICKY)
def test_what_envoy_would_refuse_is_left_as_it_was_written(template: str) -> None:
    assert render(template, VALUES) == TRICKY[template]


def test_a_value_is_never_read_as_an_operator() -> None:
    assert render("%KUMA_SOURCE_SERVICE%", {"KUMA_SOURCE_SERVICE": "%DURATION%"}) == "%%DURATION%%"


@pytest.mark.skipif(not ENVOY.exists(), reason="Envoy is not installed beside Python")
def test_envoy_takes_every_operator_and_whatever_became_of_the_others(tmp_path: Path) -> None:
    times = [f"%{name}(%Y-%m-%dT%H:%M:%E3S)%" for name in sorted(TIMES)]
    plain = [f"%{name}%" for name in sorted(PLAIN | TIMES)]
    formats = [render(text, VALUES) for text in (*plain, *times, *TRICKY)]
    assert [text for text in (*plain, *times) if text not in formats] == []
    config = tmp_path / "bootstrap.json"
    config.write_text(json.dumps(_bootstrap(formats)))
    command = [str(ENVOY), "--mode", "validate", "-c", str(config), "--log-level", "error"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr[-1000:]


def _bootstrap(formats: list[str]) -> dict[str, Any]:
    prefix = "type.googleapis.com/envoy.extensions."
    logs = [
        {
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": f"{prefix}access_loggers.file.v3.FileAccessLog",
                "path": "/dev/null",
                "log_format": {"text_format_source": {"inline_string": text}},
            },
        }
        for text in formats
    ]
    proxy = {
        "@type": f"{prefix}filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "x",
        "cluster": "c",
        "access_log": logs,
    }
    listener = {
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [{"name": "c", "type": "STATIC"}]}}


BACKENDS = [
    {"name": "file", "format": "x", "file": {"path": "/var/log/mesh"}},
    {"name": "tcp", "format": "<%DURATION%>", "tcp": {"address": "logs%.example:9000"}},
    {"name": "marks", "format": "a\x1eb\x1fc", "tcp": {"address": "logs:1"}},
    {
        "name": "odd file",
        "format": "{\x1f\x1b[1m\x1e}\x1c%DURATION%",
        "file": {"path": "tmp/\x1e100%"},
    },
    {"name": "odd server", "format": "x", "tcp": {"address": "\x1clogs\x1f:9\x1e"}},
    {"name": "nowhere", "format": "x"},
]
CATALOG = make_catalog([kuma_policy_traffic])
WEB = dataplane("web", inbound("10.0.0.1:1:2", "web"), outbounds=[outbound(":3", "db")])


def log_for(
    backend: str,
    default: str = "",
    pipe: str = "/run/pipe",
    proxy: dict[str, Any] = WEB,
    source: str = "*",
    files: bool = False,
) -> tuple[str, str] | None:
    """Path and format of the log of the proxy's outbound."""
    ends = {"sources": [{"match": {"service": source}}], "destinations": [{"match": {"service": "*"}}]}
    policy = {"type": "TrafficLog", "mesh": "default", "name": "log", "conf": {"backend": backend}, **ends}
    logging = {"backends": BACKENDS, "defaultBackend": default}
    others = [mesh("default", logging=logging), policy]
    metadata = {"accessLogPipe": pipe} if pipe else {}
    metadata |= {"accessLogFiles": "true"} if files else {}
    snapshot = snapshot_of(CATALOG, [proxy], others, metadata)
    listener = readable(snapshot.resources(LISTENER)["outbound:127.0.0.1:3"])
    [tcp_proxy] = listener["filterChains"][0]["filters"]
    logs = [item["typedConfig"] for item in tcp_proxy["typedConfig"].get("accessLog", [])]
    assert len(logs) <= 1
    return next(((log["path"], log["logFormat"]["textFormatSource"]["inlineString"]) for log in logs), None)


def test_a_file_backend_is_a_file_of_envoys_where_kuma_dp_writes_none() -> None:
    assert log_for("file") == log_for("", "file") == ("/var/log/mesh", "x")
    assert log_for("file", pipe="", files=True) == ("/var/log/mesh", "x")


def test_a_file_backend_is_a_record_in_the_pipe_where_kuma_dp_writes_files() -> None:
    assert log_for("file", files=True) == ("/run/pipe", "\x1e\x1c/var/log/mesh\x1fx")
    expected = "\x1e\x1ctmp/\x1bR100%%\x1f{\x1bF\x1bE[1m\x1bR}\x1c%DURATION%"
    assert log_for("odd file", files=True) == ("/run/pipe", expected), "what is in it comes out again"


def test_a_tcp_backend_is_a_record_in_the_pipe_that_kuma_dp_made() -> None:
    assert log_for("tcp") == ("/run/pipe", "\x1elogs%%.example:9000\x1f<%DURATION%>")
    assert log_for("odd server") == ("/run/pipe", "\x1elogs:9\x1fx"), "no address is a file, or ends early"
    assert log_for("marks") == ("/run/pipe", "\x1elogs:1\x1fabc"), "no text begins another record"


@pytest.mark.parametrize(
    ("backend", "pipe"), [("tcp", ""), ("nowhere", "/run/pipe"), ("unknown", "/run/pipe"), ("", "/run/pipe")]
)
def test_scenario_68_without_a_place_there_is_no_log(backend: str, pipe: str) -> None:
    assert log_for(backend, pipe=pipe) is None


def test_scenario_6_a_log_from_any_inbound_applies_to_the_outbounds() -> None:
    inbounds = inbound("10.0.0.1:1:2", "cart"), inbound("10.0.0.1:4:5", "cart-admin")
    cart = dataplane("cart", *inbounds, outbounds=[outbound(":3", "db")])
    for source, logged in (("cart-admin", True), ("cart", True), ("web", False)):
        assert (log_for("file", proxy=cart, source=source) is not None) is logged
