"""Transparent proxying as it is generated (scenario 21)."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_core.errors import InvalidResource
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.policies import snapshot_of
from kuma_core.xds.contract import CLUSTER, LISTENER
from kuma_core.xds.preview import readable

CATALOG = make_catalog([])


def redirected(port: int) -> dict[str, Any]:
    document = dataplane("web", inbound("10.0.0.1:80:8080", "web"), outbounds=[outbound("10.1.0.2:81", "db")])
    document["networking"]["transparentProxying"] = {"redirectPort": port}
    return document


def generated(document: dict[str, Any], **metadata: str) -> dict[str, dict[str, Any]]:
    others = [mesh("default", metrics={"prometheus": {}})]
    snapshot = snapshot_of(CATALOG, [document], others, metadata)
    return {url: {n: readable(s) for n, s in snapshot.resources(url).items()} for url in (CLUSTER, LISTENER)}


def test_scenario_21_one_listener_is_bound_and_hands_over_to_all_others() -> None:
    found = generated(redirected(15001), **{"dataplane.admin.port": "9901"})
    listeners = found[LISTENER]
    names = {"inbound:10.0.0.1:80", "outbound:10.1.0.2:81", "kuma:metrics:prometheus"}
    assert listeners.keys() == names | {"catch_all"}
    assert [listeners[name].get("bindToPort") for name in names] == [False] * 3
    catch_all = listeners["catch_all"]
    assert catch_all["useOriginalDst"] is True
    assert "bindToPort" not in catch_all
    assert catch_all["address"] == {"socketAddress": {"address": "0.0.0.0", "portValue": 15001}}
    [tcp_proxy] = catch_all["filterChains"][0]["filters"]
    assert tcp_proxy["typedConfig"]["cluster"] == tcp_proxy["typedConfig"]["statPrefix"] == "pass_through"
    assert found[CLUSTER]["pass_through"] == {
        "name": "pass_through",
        "type": "ORIGINAL_DST",
        "lbPolicy": "CLUSTER_PROVIDED",
        "connectTimeout": "5s",
    }


def test_two_services_over_one_port_share_a_listener() -> None:
    """It has the policies of the first: they are two inbounds of one Pod and port, under two names."""
    document = redirected(15001)
    document["networking"]["inbound"].append(inbound("10.0.0.1:80:8080", "web-headless"))
    assert generated(document) == generated(redirected(15001))


def test_without_a_redirect_port_every_listener_is_bound() -> None:
    found = generated(redirected(0))
    assert found[LISTENER].keys() == {"inbound:10.0.0.1:80", "outbound:10.1.0.2:81"}
    assert not any("bindToPort" in listener for listener in found[LISTENER].values())
    assert "pass_through" not in found[CLUSTER]


def test_a_redirect_port_that_no_envoy_takes_is_refused_at_write_time() -> None:
    spec, _ = parse_spec(DataplaneSpec, {"networking": redirected(70000)["networking"]})
    [problem] = spec.violations()
    assert problem.field == "networking.transparentProxying.redirectPort"
    with pytest.raises(InvalidResource, match="redirectPort"):
        raise InvalidResource([problem])
