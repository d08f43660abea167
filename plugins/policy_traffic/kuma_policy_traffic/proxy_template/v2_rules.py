"""What becomes of the fields that Envoy's v3 API does not have any more.

Each rule is a function that gets the fields of one message, moves what it knows and leaves the rest;
``RULES`` lists them by v2 message. A removed field that no rule has taken away is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from kuma_policy_traffic.proxy_template import v2_names
from kuma_policy_traffic.proxy_template.given import (
    Fields,
    Given,
    Typed,
    Where,
    items_of,
    mapping_of,
    problem,
    text_of,
)

Rule = Callable[[Fields, Where], None]

_FILTER_CHAIN = "envoy.config.listener.v3.FilterChain"


def _untyped(names: Mapping[str, str], fields: Fields, where: Where) -> None:
    """An extension says its configuration's type; where it did not, the type follows from its name."""
    config = fields.get("config")
    if "typed_config" in fields or "config_discovery" in fields:
        if config is not None:
            raise _both(config, fields.get("typed_config") or fields["config_discovery"])
        return
    name = text_of(fields["name"]) if "name" in fields else ""
    place = config or Given({}, where.field("typed_config"))
    if name not in names:
        raise problem(
            place.path, f'the name "{name:.200}" implies no known type; write typed_config with an "@type"'
        )
    fields.pop("config", None)
    fields["typed_config"] = Given(Typed(names[name], place), place.path)


def _transport_socket(fields: Fields, where: Where) -> None:
    downstream = _FILTER_CHAIN in where.within
    names = v2_names.DOWNSTREAM_SOCKETS if downstream else v2_names.UPSTREAM_SOCKETS
    _untyped(names, fields, where)


def _tls_context(type_name: str, fields: Fields, where: Where) -> None:
    """TLS became one transport socket among others. Both at once would leave in doubt which one holds."""
    context = fields.pop("tls_context", None)
    if context is None:
        return
    if "transport_socket" in fields:
        raise _both(context, fields["transport_socket"])
    typed = Given(Typed(type_name, context), context.path)
    fields["transport_socket"] = Given({"name": v2_names.TLS, "typed_config": typed}, context.path)


def _hosts(fields: Fields, where: Where) -> None:
    """Hosts became endpoints; a load assignment beside them overrode them already in v2."""
    hosts = fields.pop("hosts", None)
    if hosts is None or "load_assignment" in fields:
        return
    endpoints = [{"endpoint": {"address": host}} for host in items_of(hosts)]
    assignment: dict[str, Any] = {"endpoints": [{"lb_endpoints": endpoints}]}
    if "name" in fields:
        assignment["cluster_name"] = fields["name"]
    fields["load_assignment"] = Given(assignment, hosts.path)


def _original_destination(fields: Fields, where: Where) -> None:
    policy = fields.get("lb_policy")
    if policy is not None and policy.value in ("ORIGINAL_DST_LB", 4):
        fields["lb_policy"] = Given("CLUSTER_PROVIDED", policy.path)


def _bind_to_port(fields: Fields, where: Where) -> None:
    old = fields.pop("deprecated_v1", None)
    if old is None:
        return
    for key, value in mapping_of(old).items():
        if key not in ("bind_to_port", "bindToPort"):
            raise ValueError(f'unknown field "{old.path}.{key:.200}"')
        fields.setdefault("bind_to_port", Given(value, f"{old.path}.{key}"))


def _idle_timeout(fields: Fields, where: Where) -> None:
    timeout = fields.pop("idle_timeout", None)
    if timeout is None:
        return
    options = fields.get("common_http_protocol_options", Given({}, timeout.path))
    body = mapping_of(options)
    if not {"idle_timeout", "idleTimeout"} & body.keys():
        body = {**body, "idle_timeout": timeout}
    fields["common_http_protocol_options"] = Given(body, options.path)


def _tracing(fields: Fields, where: Where) -> None:
    """The direction of a listener tells the operation now; headers became one kind of custom tag."""
    fields.pop("operation_name", None)
    headers = fields.pop("request_headers_for_tags", None)
    if headers is None:
        return
    tags = [_header_tag(header) for header in items_of(headers)]
    others = items_of(fields["custom_tags"]) if "custom_tags" in fields else []
    fields["custom_tags"] = Given([*others, *tags], headers.path)


def _header_tag(header: Given) -> Given:
    return Given({"tag": header, "request_header": {"name": header}}, header.path)


def _subject_names(fields: Fields, where: Where) -> None:
    """v2 compared a name with the alternative names of every kind."""
    names = fields.pop("verify_subject_alt_name", None)
    if names is None:
        return
    for other in ("match_subject_alt_names", "match_typed_subject_alt_names"):
        if other in fields:
            raise _both(names, fields[other])
    matchers = [
        Given({"san_type": kind, "matcher": {"exact": name}}, name.path)
        for name in items_of(names)
        for kind in ("DNS", "URI", "IP_ADDRESS", "EMAIL")
    ]
    fields["match_typed_subject_alt_names"] = Given(matchers, names.path)


def _regex(old: str, new: str, fields: Fields, where: Where) -> None:
    """A bare regular expression became a message that holds one."""
    regex = fields.pop(old, None)
    if regex is not None:
        _set_once(fields, new, Given({"regex": regex}, regex.path))


def _header_matcher(fields: Fields, where: Where) -> None:
    regex = fields.pop("regex_match", None)
    if regex is not None:
        matcher = {"safe_regex": {"regex": regex}}
        _set_once(fields, "string_match", Given(matcher, regex.path))


def _query_parameter(fields: Fields, where: Where) -> None:
    """v2 had a value and a switch that made an expression of it; without a value, presence was enough."""
    value, regex = fields.pop("value", None), fields.pop("regex", None)
    given = value or regex
    if given is None:
        return
    if value is None or value.value == "":
        _set_once(fields, "present_match", Given(True, given.path))
        return
    is_regex = regex is not None and _truth(regex)
    matcher = {"safe_regex": {"regex": value}} if is_regex else {"exact": value}
    _set_once(fields, "string_match", Given(matcher, value.path))


def _mirror(fields: Fields, where: Where) -> None:
    policy = fields.pop("request_mirror_policy", None)
    if policy is not None:
        _set_once(fields, "request_mirror_policies", Given([policy], policy.path))


def _mirror_fraction(fields: Fields, where: Where) -> None:
    """The key looked up a number out of 10000, none by default; a fraction beside it overrode it."""
    key = fields.pop("runtime_key", None)
    if key is None or key.value == "" or "runtime_fraction" in fields:
        return
    share = {"numerator": 0, "denominator": "TEN_THOUSAND"}
    fields["runtime_fraction"] = Given({"default_value": share, "runtime_key": key}, key.path)


def _per_filter_config(fields: Fields, where: Where) -> None:
    configs = fields.pop("per_filter_config", None)
    if configs is None:
        return
    typed = dict(_typed_per_filter(configs))
    place = fields.get("typed_per_filter_config", Given({}, configs.path))
    twice = sorted(typed.keys() & mapping_of(place).keys())
    if twice:
        raise problem(typed[twice[0]].path, f'"{twice[0]}" is in {place.path} too; keep one of them')
    fields["typed_per_filter_config"] = Given({**place.value, **typed}, place.path)


def _typed_per_filter(configs: Given) -> Iterator[tuple[str, Given]]:
    for name, body in mapping_of(configs).items():
        path = f'{configs.path}["{name:.200}"]'
        if name not in v2_names.ROUTE_FILTERS:
            raise problem(path, "the name implies no known type; write typed_per_filter_config")
        yield name, Given(Typed(v2_names.ROUTE_FILTERS[name], Given(body, path)), path)


def _cors(fields: Fields, where: Where) -> None:
    matchers = items_of(fields["allow_origin_string_match"]) if "allow_origin_string_match" in fields else []
    for old in ("allow_origin", "allow_origin_regex"):
        for origin in items_of(fields.pop(old)) if old in fields else []:
            matcher = {"exact": origin} if old == "allow_origin" else {"safe_regex": {"regex": origin}}
            matchers.append(Given(matcher, origin.path))
    if matchers:
        fields["allow_origin_string_match"] = Given(matchers, matchers[0].path)
    enabled = fields.pop("enabled", None)
    if enabled is not None:
        share = {"numerator": 100 if _truth(enabled) else 0, "denominator": "HUNDRED"}
        _set_once(fields, "filter_enabled", Given({"default_value": share}, enabled.path))


def _http_health_check(fields: Fields, where: Where) -> None:
    http2, service = fields.pop("use_http2", None), fields.pop("service_name", None)
    if http2 is not None and _truth(http2):
        _set_once(fields, "codec_client_type", Given("HTTP2", http2.path))
    if service is not None:
        _set_once(fields, "service_name_matcher", Given({"prefix": service}, service.path))


def _drop(name: str, fields: Fields, where: Where) -> None:
    """A field that says nothing in v3."""
    fields.pop(name, None)


def _set_once(fields: Fields, name: str, given: Given) -> None:
    if name in fields:
        raise _both(given, fields[name])
    fields[name] = given


def _both(one: Given, other: Given) -> ValueError:
    return problem(one.path, f'"{other.path}" is set too; keep one of them')


def _truth(given: Given) -> bool:
    if not isinstance(given.value, bool):
        raise problem(given.path, "expected true or false")
    return given.value


_HCM = "envoy.config.filter.network.http_connection_manager.v2"

RULES: Mapping[str, tuple[Rule, ...]] = {
    "envoy.api.v2.Cluster": (
        partial(_tls_context, v2_names.UPSTREAM_TLS),
        _hosts,
        _original_destination,
    ),
    "envoy.api.v2.ClusterLoadAssignment.Policy": (partial(_drop, "disable_overprovisioning"),),
    "envoy.api.v2.Listener": (_bind_to_port,),
    "envoy.api.v2.auth.CertificateValidationContext": (_subject_names,),
    "envoy.api.v2.core.HealthCheck.HttpHealthCheck": (_http_health_check,),
    "envoy.api.v2.core.TransportSocket": (_transport_socket,),
    "envoy.api.v2.listener.Filter": (partial(_untyped, v2_names.NETWORK_FILTERS),),
    "envoy.api.v2.listener.FilterChain": (partial(_tls_context, v2_names.DOWNSTREAM_TLS),),
    "envoy.api.v2.listener.ListenerFilter": (partial(_untyped, v2_names.LISTENER_FILTERS),),
    "envoy.api.v2.route.CorsPolicy": (_cors,),
    "envoy.api.v2.route.HeaderMatcher": (_header_matcher,),
    "envoy.api.v2.route.QueryParameterMatcher": (_query_parameter,),
    "envoy.api.v2.route.Route": (_per_filter_config,),
    "envoy.api.v2.route.RouteAction": (_mirror,),
    "envoy.api.v2.route.RouteAction.RequestMirrorPolicy": (_mirror_fraction,),
    "envoy.api.v2.route.RouteMatch": (partial(_regex, "regex", "safe_regex"),),
    "envoy.api.v2.route.VirtualHost": (_per_filter_config,),
    "envoy.api.v2.route.WeightedCluster.ClusterWeight": (_per_filter_config,),
    "envoy.config.filter.accesslog.v2.AccessLog": (partial(_untyped, v2_names.ACCESS_LOGS),),
    "envoy.config.filter.fault.v2.FaultDelay": (partial(_drop, "type"),),
    f"{_HCM}.HttpConnectionManager": (_idle_timeout,),
    f"{_HCM}.HttpConnectionManager.Tracing": (_tracing,),
    f"{_HCM}.HttpFilter": (partial(_untyped, v2_names.HTTP_FILTERS),),
    "envoy.type.matcher.StringMatcher": (partial(_regex, "regex", "safe_regex"),),
}
