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
        "upstreamBindConfig": {
            "sourceAddress": {"address": "0.0.0.0", "portValue": 0},
            "socketOptions": [{**HOPS, "name": "2"}],
            "extraSourceAddresses": [
                {
                    "address": {"address": "::", "portValue": 0},
                    "socketOptions": {"socketOptions": [{**HOPS, "level": "41", "name": "16"}]},
                }
            ],
        },
    }


HOPS = {"description": "passed on", "intValue": "157"}
"""The mark of what passes; 2 is IP_TTL, and 41 and 16 are IPV6_UNICAST_HOPS, to Linux."""


def listening(inbounds: list[str], outbounds: list[str], **metadata: str) -> dict[str, str]:
    """The address of each listener that takes redirected connections."""
    document = dataplane(
        "web", *(inbound(item, "web") for item in inbounds), outbounds=[outbound(o, "db") for o in outbounds]
    )
    document["networking"]["transparentProxying"] = {"redirectPort": 15001}
    found = generated(document, **metadata)[LISTENER].items()
    return {n: x["address"]["socketAddress"]["address"] for n, x in found if n.startswith("catch_all")}


V4, V6 = "192.0.2.1:80:8080", "[2001:db8::1]:80:8080"


@pytest.mark.parametrize(
    ("inbounds", "outbounds", "expected"),
    [
        ([V4], [], {"catch_all": "0.0.0.0"}),
        ([V4, V6], [], {"catch_all": "0.0.0.0", "catch_all_ipv6": "::"}),
        ([V4], ["[fd00::7]:81"], {"catch_all": "0.0.0.0", "catch_all_ipv6_outbound": "::1"}),
        ([V6], [], {"catch_all_outbound": "127.0.0.1", "catch_all_ipv6": "::"}),
    ],
)
def test_a_family_without_an_inbound_is_taken_on_its_way_out_alone(inbounds, outbounds, expected) -> None:
    """From outside it would pass the inbound of the other family by, and with it mTLS and permissions."""
    assert listening(inbounds, outbounds) == expected
    on_a_machine_with_ipv6 = listening(inbounds, outbounds, **{"dataplane.ipv6": "true"})
    if "catch_all_ipv6" not in expected:
        expected = {**expected, "catch_all_ipv6_outbound": "::1"}
    assert on_a_machine_with_ipv6 == expected


def test_a_gateway_takes_what_its_machine_has() -> None:
    document = {**dataplane("web"), "networking": {"gateway": {"tags": {"service": "web"}}}}
    document["networking"]["transparentProxying"] = {"redirectPort": 15001}
    found = generated(document, **{"dataplane.ipv6": "true"})[LISTENER]
    places = {name: item["address"]["socketAddress"]["address"] for name, item in found.items()}
    assert places == {"catch_all": "0.0.0.0", "catch_all_ipv6": "::"}


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
