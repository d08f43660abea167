"""What a ProxyTemplate may hold: the traffic of its proxy, and nothing of the machine that the proxy runs on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_policy_traffic
from kuma_core.model import ResourceKey
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_policy_traffic.proxy_template.allowed import CLOSED, EXTENSIONS, FORMS
from kuma_policy_traffic.proxy_template.convert import KEPT, read_resource
from kuma_policy_traffic.proxy_template.messages import PREFIX, Field, fields_of, find_type, name_of
from kuma_policy_traffic.proxy_template.met import admin_refusal, outside, refusals
from kuma_store_memory.store import MemoryStore

from .support import STATS_LISTENER, THE_DOCUMENTS_CLUSTER

X = "envoy.extensions"
HTTP, NETWORK, TLS = f"{X}.filters.http", f"{X}.filters.network", f"{X}.transport_sockets.tls.v3"
MANAGER = f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager"
PROXY_PROTOCOL = f"{X}.filters.listener.proxy_protocol.v3.ProxyProtocol"
PLACE = "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address"
FILE_LOG = f"{X}.access_loggers.file.v3.FileAccessLog"
DATA = "envoy.config.core.v3.DataSource"
HERE = {"socket_address": {"address": "127.0.0.1", "port_value": 80}}


def typed(type_name: str, /, **fields: Any) -> dict[str, Any]:
    return {"@type": PREFIX + type_name, **fields}


def listener(*filters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    chain = {"filters": [{"name": "n", "typed_config": item} for item in filters]}
    return typed("envoy.config.listener.v3.Listener", name="l", address=HERE, filter_chains=[chain], **fields)


def manager(**fields: Any) -> dict[str, Any]:
    routes = {} if "rds" in fields else {"route_config": {"name": "r"}}
    return listener(typed(MANAGER, stat_prefix="h", **{**routes, **fields}))


def with_filter(config: dict[str, Any]) -> dict[str, Any]:
    router = {"name": "r", "typed_config": typed(f"{HTTP}.router.v3.Router")}
    return manager(http_filters=[{"name": "f", "typed_config": config}, router])


def routed(**route: Any) -> dict[str, Any]:
    hosts = [{"name": "h", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}]
    return manager(route_config={"name": "r", "virtual_hosts": hosts})


def cluster(**fields: Any) -> dict[str, Any]:
    return typed("envoy.config.cluster.v3.Cluster", name="c", **fields)


def endpoint(address: dict[str, Any], **fields: Any) -> dict[str, Any]:
    found = {"endpoint": {"address": address, **fields}}
    return cluster(load_assignment={"cluster_name": "c", "endpoints": [{"lb_endpoints": [found]}]})


def tls(**common: Any) -> dict[str, Any]:
    context = typed(f"{TLS}.UpstreamTlsContext", common_tls_context=common)
    return cluster(transport_socket={"name": "t", "typed_config": context})


def certificate(**fields: Any) -> dict[str, Any]:
    return tls(tls_certificates=[fields])


INLINE = {"inline_string": "x"}
GRPC = {"envoy_grpc": {"cluster_name": "c"}}
LUA = typed(f"{HTTP}.lua.v3.Lua", default_source_code=INLINE)
STRUCT = {"name": "x", "value": {"source_code": "os.execute('id')"}}


def authorised(service: dict[str, Any]) -> dict[str, Any]:
    return with_filter(typed(f"{HTTP}.ext_authz.v3.ExtAuthz", grpc_service=service))


def logged(name: str, **fields: Any) -> dict[str, Any]:
    proxy = typed(f"{NETWORK}.tcp_proxy.v3.TcpProxy", stat_prefix="t", cluster="c")
    return listener({**proxy, "access_log": [{"name": "a", "typed_config": typed(name, **fields)}]})


def formatted(**source: Any) -> dict[str, Any]:
    return logged(f"{X}.access_loggers.stream.v3.StdoutAccessLog", log_format=source)


def discovered(**source: Any) -> dict[str, Any]:
    return manager(rds={"route_config_name": "r", "config_source": source})


ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "lua": (with_filter(LUA), f"{HTTP}.lua.v3.Lua"),
    "lua for a route": (
        routed(
            direct_response={"status": 200},
            typed_per_filter_config={"lua": typed(f"{HTTP}.lua.v3.LuaPerRoute", source_code=INLINE)},
        ),
        f"{HTTP}.lua.v3.LuaPerRoute",
    ),
    "wasm": (with_filter(typed(f"{HTTP}.wasm.v3.Wasm")), f"{HTTP}.wasm.v3.Wasm"),
    "dynamic modules": (
        with_filter(typed(f"{HTTP}.dynamic_modules.v3.DynamicModuleFilter")),
        f"{HTTP}.dynamic_modules.v3.DynamicModuleFilter",
    ),
    "ext_proc": (
        with_filter(typed(f"{HTTP}.ext_proc.v3.ExternalProcessor", grpc_service=GRPC)),
        f"{HTTP}.ext_proc.v3.ExternalProcessor",
    ),
    "a struct by name": (
        with_filter(typed("google.protobuf.Struct", value=STRUCT)),
        "google.protobuf.Struct",
    ),
    "an Any in an Any": (with_filter(typed("google.protobuf.Any", value=LUA)), f"{HTTP}.lua.v3.Lua"),
    "behind a matcher": (
        with_filter(
            typed(
                f"{X}.common.matching.v3.ExtensionWithMatcher",
                extension_config={"name": "lua", "typed_config": LUA},
            )
        ),
        f"{HTTP}.lua.v3.Lua",
    ),
    "tap": (
        with_filter(typed(f"{HTTP}.tap.v3.Tap", common_config={"admin_config": {"config_id": "x"}})),
        f"{HTTP}.tap.v3.Tap",
    ),
    "a forward proxy": (
        with_filter(typed(f"{HTTP}.dynamic_forward_proxy.v3.FilterConfig", dns_cache_config={"name": "d"})),
        f"{HTTP}.dynamic_forward_proxy.v3.FilterConfig",
    ),
    "a destination of the client's, by the PROXY protocol": (
        listener(listener_filters=[{"name": "p", "typed_config": typed(PROXY_PROTOCOL)}]),
        PROXY_PROTOCOL,
    ),
    "a destination of the client's, by a header": (
        cluster(
            type="ORIGINAL_DST",
            lb_policy="CLUSTER_PROVIDED",
            original_dst_lb_config={"use_http_header": True},
        ),
        "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig.use_http_header",
    ),
    "a cluster of the client's": (
        routed(route={"cluster_header": "x-cluster"}),
        "envoy.config.route.v3.RouteAction.cluster_header",
    ),
    "a cluster of the client's, by SNI": (
        listener(typed(f"{NETWORK}.sni_cluster.v3.SniCluster")),
        f"{NETWORK}.sni_cluster.v3.SniCluster",
    ),
    "the cluster of the admin API": (routed(route={"cluster": "kuma:envoy:admin"}), "envoy-admin"),
    "a file of the proxy, as a certificate": (
        certificate(private_key={"filename": "/var/run/token"}),
        f"{DATA}.filename",
    ),
    "a file of the proxy, as an answer": (
        routed(direct_response={"status": 200, "body": {"filename": "/var/run/token"}}),
        f"{DATA}.filename",
    ),
    "a variable of the proxy, as an answer": (
        routed(direct_response={"status": 200, "body": {"environment_variable": "TOKEN"}}),
        f"{DATA}.environment_variable",
    ),
    "a variable, as a tag of a trace": (
        manager(tracing={"custom_tags": [{"tag": "t", "environment": {"name": "TOKEN"}}]}),
        "envoy.type.tracing.v3.CustomTag.environment",
    ),
    "a variable, in a format": (formatted(text_format="%ENVIRONMENT(TOKEN)%\n"), "%ENVIRONMENT%"),
    "a file, in a format": (
        formatted(text_format_source={"inline_string": "%FILE_CONTENT(/var/run/token)%\n"}),
        "%FILE_CONTENT%",
    ),
    "a file, in the bytes of a format": (
        formatted(text_format_source={"inline_bytes": "JUZJTEVfQ09OVEVOVCgvdG9rZW4pJQ=="}),
        "%FILE_CONTENT%",
    ),
    "a file, in a format of JSON": (
        formatted(json_format={"a": {"b": ["%FILE_CONTENT(/var/run/token)%"]}}),
        "%FILE_CONTENT%",
    ),
    "a file, in a header": (
        routed(
            direct_response={"status": 200},
            response_headers_to_add=[{"header": {"key": "x", "value": "%FILE_CONTENT(/t)%"}}],
        ),
        "%FILE_CONTENT%",
    ),
    "a watched directory": (
        certificate(watched_directory={"path": "/etc"}),
        f"{TLS}.TlsCertificate.watched_directory",
    ),
    "a private key provider": (
        certificate(private_key_provider={"provider_name": "p"}),
        f"{TLS}.TlsCertificate.private_key_provider",
    ),
    "the keys of connections into a file": (
        tls(key_log={"path": "/tmp/keys"}),
        f"{TLS}.CommonTlsContext.key_log",
    ),
    "a line of a log into a file": (logged(FILE_LOG, path="/home/a/.ssh/authorized_keys"), FILE_LOG),
    "a pipe": (endpoint({"pipe": {"path": "/run/docker.sock"}}), "envoy.config.core.v3.Address.pipe"),
    "an internal address": (
        endpoint({"envoy_internal_address": {"server_listener_name": "l"}}),
        "envoy.config.core.v3.Address.envoy_internal_address",
    ),
    "one more address": (
        endpoint(HERE, additional_addresses=[{"address": {"pipe": {"path": "/run/docker.sock"}}}]),
        "envoy.config.core.v3.Address.pipe",
    ),
    "a namespace of the network": (
        endpoint(
            {"socket_address": {"address": "127.0.0.1", "port_value": 80, "network_namespace_filepath": "/n"}}
        ),
        "envoy.config.core.v3.SocketAddress.network_namespace_filepath",
    ),
    "routes from a file": (
        discovered(path_config_source={"path": "/tmp/routes"}),
        "envoy.config.core.v3.ConfigSource.path_config_source",
    ),
    "routes from another server": (
        discovered(api_config_source={"api_type": "GRPC", "grpc_services": [GRPC]}),
        "envoy.config.core.v3.ConfigSource.api_config_source",
    ),
    "a filter from a file": (
        manager(
            http_filters=[
                {
                    "name": "f",
                    "config_discovery": {
                        "config_source": {"path_config_source": {"path": "/tmp/filter"}},
                        "type_urls": [f"{PREFIX}{HTTP}.lua.v3.Lua"],
                    },
                }
            ]
        ),
        "envoy.config.core.v3.ConfigSource.path_config_source",
    ),
    "gRPC that leaves Envoy": (
        authorised({"google_grpc": {"target_uri": "evil:1", "stat_prefix": "g"}}),
        "envoy.config.core.v3.GrpcService.google_grpc",
    ),
    "events of health checks into a file": (
        cluster(
            health_checks=[
                {
                    "timeout": "1s",
                    "interval": "1s",
                    "unhealthy_threshold": 1,
                    "healthy_threshold": 1,
                    "tcp_health_check": {},
                    "event_log_path": "/tmp/events",
                }
            ]
        ),
        "envoy.config.core.v3.HealthCheck.event_log_path",
    ),
    "a descriptor from a file": (
        with_filter(
            typed(
                f"{HTTP}.grpc_json_transcoder.v3.GrpcJsonTranscoder",
                proto_descriptor="/etc/passwd",
                services=["s"],
            )
        ),
        f"{HTTP}.grpc_json_transcoder.v3.GrpcJsonTranscoder.proto_descriptor",
    ),
}


def met(document: dict[str, Any]) -> Any:
    return read_resource(json.dumps(document)).met


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_reaches_the_machine_of_a_proxy_is_not_allowed_unless_it_is_named(attack: str) -> None:
    document, name = ATTACKS[attack]
    found = list(refusals(met(document), ()))
    assert any(f": {name} is not allowed in a ProxyTemplate" in text for text in found), found
    assert all(text.startswith('field "') for text in found)
    named = {text.split(": ")[1].split(" is not")[0] for text in found}
    assert list(refusals(met(document), named)) == []
    assert list(refusals(met(document), ("*",))) == []
    if named != {name}:
        assert list(refusals(met(document), named - {name})) != []


@pytest.mark.parametrize("name", ["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"])
def test_a_typed_struct_stands_for_any_type_and_is_not_even_read(name: str) -> None:
    document = with_filter(typed(name, type_url=f"{PREFIX}{HTTP}.lua.v3.Lua", value={"a": 1}))
    with pytest.raises(ValueError, match=f'unknown message type "{name}"'):
        read_resource(json.dumps(document))


def test_lua_in_an_untyped_config_of_v2_is_seen_too() -> None:
    text = STATS_LISTENER.replace(
        "name: envoy.router",
        "[{name: envoy.lua, config: {inline_code: 'os.execute(1)'}}, {name: envoy.router}]",
    )
    (said,) = refusals(read_resource(text).met, ())
    assert said.startswith(
        f'field "filter_chains[0].filters[0].config.http_filters[0].config": {HTTP}.lua.v3.Lua is not allowed'
    )


@pytest.mark.parametrize("text", [THE_DOCUMENTS_CLUSTER, STATS_LISTENER])
def test_what_the_document_shows_is_allowed(text: str) -> None:
    assert list(refusals(read_resource(text).met, ())) == []


@pytest.mark.parametrize(
    "document",
    [
        routed(direct_response={"status": 200, "body": INLINE}),
        certificate(certificate_chain=INLINE, private_key=INLINE),
        authorised(GRPC),
        discovered(ads={}),
        formatted(text_format="[%START_TIME(%Y%m)%] %REQ(:METHOD)% %UPSTREAM_HOST% 100%% %RESPONSE_FLAGS%\n"),
    ],
)
def test_what_stays_in_the_traffic_is_allowed(document: dict[str, Any]) -> None:
    assert list(refusals(met(document), ())) == []


def test_of_many_some_are_named() -> None:
    tags = [{"header": {"key": "x", "value": f"%NO_SUCH_{number}%"}} for number in range(30)]
    found = list(refusals(met(routed(direct_response={"status": 200}, response_headers_to_add=tags)), ()))
    assert (len(found), found[-1]) == (13, "18 more fields of that kind")


# -- Envoy's admin API


def at(host: str, port: int = 9901, **fields: Any) -> Any:
    kind = {} if re.fullmatch(r"[0-9.]+|[0-9a-f:.]+", host) else {"type": "STRICT_DNS"}
    address = {"socket_address": {"address": host, "port_value": port}}
    return met({**endpoint(address, **fields), **kind})


LOCAL = ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "localhost", "evil.example"]


@pytest.mark.parametrize("host", [*LOCAL, "192.168.0.7"])
def test_an_endpoint_may_not_be_the_admin_api(host: str) -> None:
    said = admin_refusal(at(host), (), 9901, {"192.168.0.7"})
    assert said.startswith(f'field "{PLACE}": 9901 is the port of Envoy')
    assert admin_refusal(at(host), ("envoy-admin",), 9901, {"192.168.0.7"}) == ""
    assert admin_refusal(at(host, 9902), (), 9901, {"192.168.0.7"}) == ""
    assert admin_refusal(at(host), (), 0, {"192.168.0.7"}) == ""


def test_the_port_of_another_machine_is_no_admin_api_of_this_one() -> None:
    assert admin_refusal(at("192.168.0.8"), (), 9901, {"192.168.0.7"}) == ""


def test_a_health_check_may_not_call_the_admin_api() -> None:
    """It may POST, and ``/quitquitquit`` ends Envoy."""
    found = at("192.168.0.8", 80, health_check_config={"port_value": 9901})
    assert 'health_check_config.port_value": 9901 is the port' in admin_refusal(found, (), 9901, ())


# -- files of access logs


def test_files_that_are_allowed_are_confined_all_the_same() -> None:
    found = met(logged(FILE_LOG, path="/var/log/kuma/a.log"))
    assert list(refusals(found, (FILE_LOG,))) == []
    assert outside(found, "") == outside(found, "/var/log/kuma") == ""
    assert '"/var/log/kuma/a.log" is not a path below /var/log/other' in outside(found, "/var/log/other")


# -- a running control plane


def template(document: dict[str, Any]) -> dict[str, Any]:
    raw = {"name": "a", "version": "b", "resource": json.dumps(document)}
    conf = {"imports": ["default-proxy"], "resources": [raw]}
    selectors = [{"match": {"service": "*"}}]
    return {"type": "ProxyTemplate", "mesh": "default", "name": "t", "selectors": selectors, "conf": conf}


PATH = "/meshes/default/proxytemplates/t"


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="module")
def strict(store: MemoryStore) -> Iterator[RunningPlatform]:
    with running_platform([SharedStore(store), kuma_policy_traffic]) as cp:
        yield cp


def test_a_write_is_refused_with_field_type_and_setting(strict: RunningPlatform) -> None:
    answer = strict.request("PUT", PATH, template(with_filter(LUA)))
    assert answer.status == 400
    (cause,) = answer.body["causes"]
    assert cause["field"] == "conf.resources[0].resource"
    assert cause["message"] == (
        'field "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config": '
        f"{HTTP}.lua.v3.Lua is not allowed in a ProxyTemplate, as it may reach beyond the proxy, to files, variables, "
        "programs or other servers; whoever runs the control plane may allow it by "
        "policies.proxyTemplate.allowedTypes"
    )
    assert strict.request("PUT", f"{PATH}?dry-run=true", template(with_filter(LUA))).status == 400
    assert strict.request("GET", PATH).status == 404


def test_the_setting_allows_by_name_and_what_was_stored_by_it_is_not_served_without(
    strict: RunningPlatform, store: MemoryStore
) -> None:
    allowed = {"KUMA_POLICIES_PROXY_TEMPLATE_ALLOWED_TYPES": f"{HTTP}.lua.v3.Lua"}
    with running_platform([SharedStore(store), kuma_policy_traffic], allowed) as wide:
        assert wide.request("PUT", PATH, template(with_filter(LUA))).status == 201
        assert wide.request("PUT", PATH, template(ATTACKS["wasm"][0])).status == 400
    assert store.get(ResourceKey("ProxyTemplate", "default", "t"))
    again = strict.request("PUT", PATH, template(with_filter(LUA)))
    assert again.status == 400
    assert strict.request("DELETE", PATH).status == 200


@pytest.mark.parametrize("value", ["Lua", "envoy..x", "a b", "%environment%"])
def test_a_setting_that_names_nothing_is_refused(value: str) -> None:
    from kuma_policy_traffic.settings import SETTINGS

    check = SETTINGS[0].check
    assert check
    assert f'"{value}" is no name of a type of Envoy' in str(check((value,)))
    assert check(("*", "envoy-admin", "%ENVIRONMENT%", f"{DATA}.filename")) is None


# -- what an upgrade of Envoy's API brings

INVENTORY = Path(__file__).with_name("sensitive_fields.txt")
SENSITIVE = {
    "google.protobuf.Any",
    "google.protobuf.Struct",
    *(
        f"envoy.config.core.v3.{name}"
        for name in ("Address", "AsyncDataSource", "ConfigSource", "DataSource")
    ),
    *(f"envoy.config.core.v3.{name}" for name in ("EnvoyInternalAddress", "GrpcService", "Pipe")),
    *(f"envoy.config.core.v3.{name}" for name in ("RemoteDataSource", "WatchedDirectory")),
}
_NAMES = re.compile(
    r"path|file|dir|env|descriptor|module|library|script|code|uri|command|exec|header$|_host$|namespace"
)


def reachable() -> list[str]:
    """Every message that an allowed resource can have in it, leaving aside what stands in an ``Any``."""
    waiting, found = [*KEPT, *EXTENSIONS], set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        find_type(name)
        for field in fields_of(name).values():
            if inner := _message_of(field):
                waiting.append(inner)
    return sorted(found)


def _message_of(field: Field) -> str:
    return name_of(field.cls) if field.kind == "message" and not field.wrapper else ""


def decided(message: str, field: Field) -> str:
    full = f"{message}.{field.name}"
    is_closed = full in CLOSED or (message in FORMS and field.name not in FORMS[message])
    return "refused" if is_closed else "allowed"


def test_every_field_that_may_name_a_file_or_a_server_was_looked_at() -> None:
    """After an upgrade: look at each new line, close what reaches the machine (``CLOSED``, ``FORMS``), and write the
    file anew with what the assertion shows."""
    found = [
        f"{message}.{field.name} {_message_of(field) or field.kind} {decided(message, field)}"
        for message in reachable()
        if not message.startswith("google.protobuf.")
        for field in fields_of(message).values()
        if _message_of(field) in SENSITIVE
        or (field.kind in ("string", "bytes") and _NAMES.search(field.name))
        or decided(message, field) == "refused"
    ]
    assert found == INVENTORY.read_text().splitlines()


def test_the_lists_name_what_exists() -> None:
    for name in (*EXTENSIONS, *FORMS):
        find_type(name)
    for full in CLOSED:
        message, _, field = full.rpartition(".")
        find_type(message)
        assert field in fields_of(message)
    for name, fields in FORMS.items():
        assert fields <= fields_of(name).keys(), name
