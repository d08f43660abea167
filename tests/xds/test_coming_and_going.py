"""What the log says when a proxy comes, goes, and refuses what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import Fleet, fleet
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.policies import snapshot_of
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient, SotwClient
from kuma_core.xds.contract import CLUSTER, LISTENER
from kuma_core.xds.culprits import culprits, named_by, origin_as_data
from kuma_core.xds.memo import policy_named
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.server.stream import LEFT
from kuma_core.xds.status import StreamBook

PLUGINS = [kuma_store_memory, kuma_policy_traffic]
WEB = dataplane("web", inbound("127.0.0.1:8080:80", "web"), outbounds=[outbound(":9000", "echo")])
LOG = {
    "type": "TrafficLog",
    "name": "everything",
    "mesh": "default",
    "sources": [{"match": {"service": "*"}}],
    "destinations": [{"match": {"service": "*"}}],
    "conf": {"backend": "file"},
}


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS) as platform:
        platform.apply(WEB)
        yield platform


@pytest.fixture
def envoys(cp: RunningPlatform) -> Iterator[Fleet]:
    with fleet(cp) as found:
        yield found


def told(logs: list[Any], event: str) -> list[dict[str, Any]]:
    return [line for line in list(logs) if line["event"] == event]


def test_a_proxy_that_comes_and_goes_is_told_with_address_and_reason(
    cp: RunningPlatform, envoys: Fleet
) -> None:
    with capture_logs() as logs:
        envoy = envoys.connect(DeltaClient("default.web"))
        (came,) = eventually(lambda: told(logs, "a proxy is connected"))
        envoys.disconnect(envoy)
        (gone,) = eventually(lambda: told(logs, "a proxy is gone"))
    assert came["proxy"] == gone["proxy"] == "default.web"
    assert came["address"].startswith(("127.0.0.1", "[::1]", "::"))
    assert gone["reason"] == LEFT
    assert gone["seconds"] >= 0


def test_the_reason_is_ours_where_we_end_the_stream(cp: RunningPlatform, envoys: Fleet) -> None:
    with capture_logs() as logs:
        token = cp.token("web")
        envoys.connect(SotwClient("default.web"), token)
        eventually(lambda: told(logs, "a proxy is connected"))
        assert cp.request("POST", "/tokens/revocations", {"token": token}, cp.admin).status == 200
        (gone,) = eventually(lambda: told(logs, "a proxy is gone"))
    assert "revoked" in gone["reason"]


def test_a_stop_is_one_line_and_not_one_for_each_proxy(envoys: Fleet, cp: RunningPlatform) -> None:
    with capture_logs() as logs:
        envoys.connect(DeltaClient("default.web"))
        eventually(lambda: cp.platform.core.proxies.streams.connected())
        cp.platform.stop()
        (stopping,) = eventually(lambda: told(logs, "the control plane is stopping"))
        eventually(lambda: not cp.platform.core.proxies.streams.connected())
    assert stopping["streams"] == 1
    assert told(logs, "a proxy is gone") == []


def test_who_comes_and_goes_all_the_time_is_counted() -> None:
    book = StreamBook()
    with capture_logs() as logs:
        for _ in range(50):
            book.begin(Proxy("default", "web"), "10.0.0.1").close("its connection broke")
        book.begin(Proxy("default", "other"), "10.0.0.2").close("its connection broke")
    assert [line["proxy"] for line in logs if "gone" in line["event"]] == ["default.web", "default.other"]
    assert len(logs) == 4


def test_a_rejection_names_generator_policy_and_plugin(cp: RunningPlatform, envoys: Fleet) -> None:
    backend = {"name": "file", "file": {"path": "/tmp/x.log"}}
    cp.apply({"type": "Mesh", "name": "default", "logging": {"backends": [backend]}}, LOG)
    cp.catch_up()
    client = DeltaClient("default.web")
    name = "outbound:127.0.0.1:9000"
    client.bad = {
        (LISTENER, name): f"Error adding/updating listener(s) {name}: unable to open file '/tmp/x.log'"
    }
    with capture_logs() as logs:
        envoys.connect(client)
        (line,) = eventually(lambda: told(logs, "a proxy rejected its configuration"))
    assert (line["proxy"], line["type"]) == ("default.web", "lds")
    (culprit,) = line["culprits"]
    assert culprit.startswith(f'Listener "{name}" of generator "')
    assert 'edited by plugin "kuma_policy_traffic": policy TrafficLog "everything"' in culprit
    assert "Envoy itself cannot open this access log" in line["advice"]


def test_the_dump_names_what_is_rejected(cp: RunningPlatform, envoys: Fleet) -> None:
    client = DeltaClient("default.web")
    name = "outbound:127.0.0.1:9000"
    client.bad = {(LISTENER, name): f"{name}: no"}
    envoys.connect(client)
    (rejected,) = eventually(lambda: _rejected(cp))
    assert (rejected["rejection"], rejected["culprits"]) == (f"{name}: no", [name])


def _rejected(cp: RunningPlatform) -> list[dict[str, Any]]:
    proxies = cp.get("/meshes/default/dataplanes/web/xds").body["proxies"]
    states = (state for proxy in proxies for stream in proxy["streams"] for state in stream["types"].values())
    return [state for state in states if state["rejection"]]


def template(name: str, cluster: str) -> dict[str, Any]:
    raw = f"""
'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
name: {cluster}
connect_timeout: 1s
type: STATIC
"""
    conf = {"imports": ["default-proxy"], "resources": [{"name": "r", "version": "v1", "resource": raw}]}
    return {"type": "ProxyTemplate", "mesh": "default", "name": name, "selectors": [], "conf": conf}


def test_a_raw_resource_names_its_template() -> None:
    snapshot = snapshot_of(make_catalog(PLUGINS), [WEB], [template("odd", "mine")])
    words = "Error adding/updating cluster(s) mine: no such thing, not-mine: either, minestrone: neither"
    assert culprits(snapshot, CLUSTER, words) == [
        'Cluster "mine" of plugin "kuma_policy_traffic": policy ProxyTemplate "odd"'
    ]
    assert culprits(snapshot, CLUSTER, "echo: bad") == ['Cluster "echo" of generator "outbound"']
    assert culprits(snapshot, CLUSTER, "something else") == []
    assert [item.name for item in named_by(snapshot, CLUSTER, words)] == ["mine"]
    told = origin_as_data(snapshot.resources(CLUSTER)["mine"])
    assert told["policies"] == [{"kind": "ProxyTemplate", "name": "odd"}]
    assert told["words"] == culprits(snapshot, CLUSTER, words)[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ('plugin "p": policy TrafficLog "a", "b-1"', ("TrafficLog", ("a", "b-1"))),
        ('policy ProxyTemplate "odd"', ("ProxyTemplate", ("odd",))),
        ('generator "policy"', None),
        ("", None),
    ],
)
def test_who_owns_a_resource_is_read_back(words: str, expected: object) -> None:
    assert policy_named(words) == expected
