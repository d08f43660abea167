"""Pieces of v2 resources, and what becomes of them in v3."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_policy_traffic.proxy_template.convert import read_resource
from kuma_policy_traffic.proxy_template.messages import PREFIX

from .support import V2_CLUSTER, V2_LISTENER, converted

ROUTES = f"'@type': {PREFIX}envoy.api.v2.RouteConfiguration\nname: r\n"
MANAGED = "stat_prefix: s, route_config: {}"
CHECK = "timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1"
LISTENER_FILTERS = f"{PREFIX}envoy.extensions.filters.listener"
NAMED = f"{V2_CLUSTER}name: c\n"


def cluster(body: str) -> dict[str, Any]:
    """A cluster, without what it must have and the test does not speak of."""
    document = converted(NAMED + body)
    assert document.pop("name") == "c"
    for check in document.get("healthChecks", ()):
        document["healthChecks"] = [{"httpHealthCheck": check["httpHealthCheck"]}]
    return document


def virtual_host(body: str) -> dict[str, Any]:
    document = converted(f"{ROUTES}virtual_hosts: {{name: v, domains: '*', {body}}}\n")
    host: dict[str, Any] = document["virtualHosts"][0]
    return {key: value for key, value in host.items() if key not in ("name", "domains")}


def route(body: str) -> dict[str, Any]:
    """A route, without what it must have and the test does not speak of."""
    rest = "" if "route:" in body else ", route: {cluster: c}"
    rest += "" if "match:" in body else ", match: {path: /rest}"
    found: dict[str, Any] = virtual_host(f"routes: {{{body}{rest}}}")["routes"][0]
    for key in ("route", "match"):
        if key not in body:
            del found[key]
    return found


def chain(body: str) -> dict[str, Any]:
    found: dict[str, Any] = converted(f"{V2_LISTENER}name: l\nfilter_chains: {{{body}}}\n")["filterChains"][0]
    return found


def manager(body: str) -> dict[str, Any]:
    config: dict[str, Any] = chain(
        f"filters: {{name: envoy.http_connection_manager, config: {{{MANAGED}, {body}}}}}"
    )["filters"][0]["typedConfig"]
    return {key: value for key, value in config.items() if key not in ("@type", "statPrefix", "routeConfig")}


def validation(body: str) -> dict[str, Any]:
    socket = cluster(f"tls_context: {{common_tls_context: {{validation_context: {{{body}}}}}}}\n")
    found: dict[str, Any] = socket["transportSocket"]["typedConfig"]["commonTlsContext"]["validationContext"]
    return found


def refused(text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        read_resource(text)
    return str(caught.value)
