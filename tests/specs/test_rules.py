"""The rules of the kernel's kinds, each on its own and in their order."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_core.errors import Severity
from kuma_core.specs.base import Spec, parse_spec, to_document
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.insight import InsightSpec
from kuma_core.specs.interfaces import INBOUND_FORMAT, OUTBOUND_FORMAT
from kuma_core.specs.mesh import MeshSpec, Mtls

Problems = list[tuple[str, str]]


def problems(spec: type[Spec], raw: dict[str, Any]) -> Problems:
    parsed, _ = parse_spec(spec, raw)
    return [(item.field, item.message) for item in parsed.with_defaults().violations()]


def networking(**fields: Any) -> Problems:
    return problems(DataplaneSpec, {"networking": fields})


def inbound(interface: str = "10.0.0.1:80:8080", **tags: str) -> dict[str, Any]:
    return {"interface": interface, "tags": {"service": "web", **tags}}


# -- Dataplane


def test_a_good_dataplane() -> None:
    outbounds = [{"interface": ":9000", "service": "db"}, {"interface": "10.0.0.1:9000", "service": "db"}]
    inbounds = [inbound(), inbound("10.0.0.1:81:8080", version="*")]
    assert networking(inbound=inbounds, outbound=outbounds) == []


def test_a_good_gateway() -> None:
    assert (
        networking(gateway={"tags": {"service": "edge"}}, outbound=[{"interface": ":1", "service": "web"}])
        == []
    )


@pytest.mark.parametrize(
    "raw", [{}, {"networking": {}}, {"networking": {"inbound": [], "outbound": []}}], ids=str
)
def test_neither_inbound_nor_gateway(raw: dict[str, Any]) -> None:
    expected = ("networking", "has to contain at least one inbound interface or gateway")
    assert problems(DataplaneSpec, raw) == [expected]


def test_both_inbound_and_gateway() -> None:
    found = networking(inbound=[inbound()], gateway={"tags": {"service": "edge"}})
    assert found == [("networking", "inbound cannot be defined both with gateway")]


def test_a_star_is_no_service() -> None:
    """The value that stands for any has no place where something is named; other tags may have it."""
    message = '"*" stands for any value, which selectors alone can ask for; name the service'
    star = {"service": "*", "version": "*"}
    assert networking(gateway={"tags": star}) == [('networking.gateway.tags["service"]', message)]
    assert networking(inbound=[inbound(service="*")], outbound=[{"interface": ":1", "service": "*"}]) == [
        ('networking.inbound[0].tags["service"]', message),
        ("networking.outbound[0].service", message),
    ]


def test_the_tags_of_a_gateway() -> None:
    assert networking(gateway={}) == [('networking.gateway.tags["service"]', "tag has to exist")]
    assert networking(gateway={"tags": {"zone": "", "service": ""}}) == [
        ('networking.gateway.tags["service"]', "tag value cannot be empty"),
        ('networking.gateway.tags["zone"]', "tag value cannot be empty"),
    ]


@pytest.mark.parametrize("interface", ["", "10.0.0.1:80", "host:80:80"])
def test_the_interface_of_an_inbound(interface: str) -> None:
    assert networking(inbound=[inbound(interface)]) == [("networking.inbound[0].interface", INBOUND_FORMAT)]


def test_the_tags_of_an_inbound() -> None:
    found = networking(inbound=[inbound(), {"interface": "10.0.0.2:80:80", "tags": {"b": "", "a": ""}}])
    assert found == [
        ('networking.inbound[1].tags["service"]', "tag has to exist"),
        ('networking.inbound[1].tags["a"]', "tag value cannot be empty"),
        ('networking.inbound[1].tags["b"]', "tag value cannot be empty"),
    ]
    assert networking(inbound=[inbound(service="")]) == [
        ('networking.inbound[0].tags["service"]', "tag value cannot be empty")
    ]


def test_outbounds() -> None:
    found = networking(
        inbound=[inbound()], outbound=[{"interface": ":1", "service": "x"}, {"interface": ":70000"}]
    )
    assert found == [
        ("networking.outbound[1].interface", OUTBOUND_FORMAT),
        ("networking.outbound[1].service", "cannot be empty"),
    ]


def test_all_violations_are_told_in_their_order() -> None:
    raw = {
        "inbound": [{"interface": "till.local:8080:80", "tags": {"floor": ""}}],
        "outbound": [{"interface": ":70000"}],
    }
    assert networking(**raw) == [
        ("networking.inbound[0].interface", INBOUND_FORMAT),
        ('networking.inbound[0].tags["service"]', "tag has to exist"),
        ('networking.inbound[0].tags["floor"]', "tag value cannot be empty"),
        ("networking.outbound[0].interface", OUTBOUND_FORMAT),
        ("networking.outbound[0].service", "cannot be empty"),
    ]


def test_what_is_not_checked() -> None:
    """The size of servicePort."""
    out = {"interface": ":80", "service": "x", "servicePort": 4294967295}
    assert networking(inbound=[inbound()], outbound=[out]) == []


def test_the_services_of_a_dataplane() -> None:
    raw = {"inbound": [inbound(), inbound(service="api"), inbound()]}
    spec, _ = parse_spec(DataplaneSpec, {"networking": raw})
    assert isinstance(spec, DataplaneSpec)
    assert spec.services() == ("api", "web")
    gateway, _ = parse_spec(DataplaneSpec, {"networking": {"gateway": {"tags": {"service": "edge"}}}})
    assert isinstance(gateway, DataplaneSpec)
    assert gateway.services() == ("edge",)


# -- Mesh


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"mtls": None},
        {"mtls": {}},
        {"mtls": {"ca": {}}},
        {"mtls": {"ca": None}},
        {"mtls": {"enabled": False}},
    ],
    ids=str,
)
def test_the_builtin_authority_is_the_default(raw: dict[str, Any]) -> None:
    spec, _ = parse_spec(MeshSpec, raw)
    assert to_document(spec.with_defaults()) == {"mtls": {"ca": {"builtin": {}}}}


def test_an_authority_that_is_null_is_selected() -> None:
    spec, _ = parse_spec(MeshSpec, {"mtls": {"ca": {"builtin": None}}})
    assert to_document(spec) == {"mtls": {"ca": {"builtin": {}}}}


@pytest.mark.parametrize("name", ["builtin", "provided"])
def test_what_is_said_in_an_authority_without_content_is_dropped_and_told(name: str) -> None:
    spec, unknown = parse_spec(MeshSpec, {"mtls": {"ca": {name: {"key": {"a": 1}}}, "colour": "red"}})
    assert to_document(spec) == {"mtls": {"ca": {name: {}}}}
    assert unknown == ["mtls.colour", f"mtls.ca.{name}.key"]


def test_what_is_said_in_another_authority_is_its_plugins_affair() -> None:
    raw = {"mtls": {"ca": {"vault": {"address": "x"}}}}
    spec, unknown = parse_spec(MeshSpec, raw)
    assert (to_document(spec), unknown) == (raw, [])
    assert problems(MeshSpec, raw) == []


def test_mutual_tls_without_an_authority() -> None:
    spec = MeshSpec(mtls=Mtls(enabled=True))
    assert [violation.message for violation in spec.violations()] == ["has to be set when mTLS is enabled"]


def test_two_authorities() -> None:
    found = problems(MeshSpec, {"mtls": {"ca": {"provided": {}, "builtin": {}}}})
    assert ("mtls.ca", "only one authority can be set, not builtin and provided") in found


def backends(*items: dict[str, Any], default: str = "") -> Problems:
    return problems(MeshSpec, {"logging": {"backends": list(items), "defaultBackend": default}})


def test_good_backends() -> None:
    found = backends(
        {"name": "none"},
        {"name": "file", "file": {"path": "/tmp/log"}, "format": "anything %%"},
        {"name": "tcp", "tcp": {"address": "127.0.0.1:9000"}},
        {"name": "six", "tcp": {"address": "[::1]:9000"}},
        {"name": "named", "tcp": {"address": "logs.example:syslog"}},
        default="tcp",
    )
    assert found == []


@pytest.mark.parametrize(
    ("backend", "field", "message"),
    [
        ({}, "name", "cannot be empty"),
        ({"name": "x", "file": {}}, "file.path", "cannot be empty"),
        ({"name": "x", "tcp": {}}, "tcp.address", "cannot be empty"),
        *(
            ({"name": "x", "tcp": {"address": text}}, "tcp.address", "has to be in format of HOST:PORT")
            for text in ("host", "host:", ":9000", "::1:9000", "a:b:c", "[]:9000", "[::1]", "host:9]")
        ),
        *(
            (
                {"name": "x", "tcp": {"address": text}},
                "tcp.address",
                "its port has to be in range of [1, 65535]",
            )
            for text in ("host:0", "host:65536", "[::1]:99999", "host:" + "9" * 5000)
        ),
    ],
)
def test_bad_backends(backend: dict[str, Any], field: str, message: str) -> None:
    assert backends({"name": "ok"}, backend) == [(f"logging.backends[1].{field}", message)]


@pytest.mark.parametrize(
    ("path", "said"), [("/var/log/", "names a folder"), ("/" + "x" * 5000, "is longer than the 4095 bytes")]
)
def test_a_path_that_no_file_can_have_is_warned_of(path: str, said: str) -> None:
    spec, _ = parse_spec(MeshSpec, {"logging": {"backends": [{"name": "a", "file": {"path": path}}]}})
    [warning] = spec.violations()
    assert (warning.field, warning.severity) == ("logging.backends[0].file.path", Severity.WARNING)
    assert warning.message.startswith(said)


@pytest.mark.parametrize("key", ["mTLS", "MTLS", "m_tls", "mtsl", "mtl", "mutualTLS", "mtls2"])
def test_a_misspelt_mtls_is_refused(key: str) -> None:
    [found] = MeshSpec.misread({key: {"enabled": True}})
    assert (found.field, found.severity) == (key, Severity.ERROR)
    assert found.message.startswith(
        'unknown field (did you mean "mtls"?); as it says nothing here, mTLS would be off'
    )
    assert list(MeshSpec.misread({key: {"enabled": True}, "mtls": {"enabled": False}})) == []


@pytest.mark.parametrize("key", ["metrics", "meta", "labels", "tls-ish", "routing", "constraints"])
def test_other_unknown_fields_are_not(key: str) -> None:
    assert list(MeshSpec.misread({key: {}})) == []


@pytest.mark.parametrize("path", ["access.log", "~/access.log", "${HOME}/access.log", "./x", " /x"])
def test_a_path_that_is_not_absolute_is_warned_of(path: str) -> None:
    spec, _ = parse_spec(MeshSpec, {"logging": {"backends": [{"name": "a", "file": {"path": path}}]}})
    [warning] = spec.violations()
    assert (warning.field, warning.severity) == ("logging.backends[0].file.path", Severity.WARNING)
    assert warning.message.startswith(
        "is no absolute path: every kuma-dp begins it in the folder that it was started in"
    )


def test_a_backend_is_one_of_both() -> None:
    both = {"name": "x", "file": {"path": "/x"}, "tcp": {"address": "h:1"}}
    assert backends(both) == [("logging.backends[0]", "only one of file and tcp can be set")]


def test_a_name_of_a_backend_that_was_used_before() -> None:
    found = backends({"name": "a"}, {"name": "b"}, {"name": "a"}, {"name": "a"})
    message = '"a" name is already used for another backend'
    assert found == [("logging.backends[2].name", message), ("logging.backends[3].name", message)]


def test_a_default_that_is_no_backend() -> None:
    expected = ("logging.defaultBackend", "has to be set to one of the logging backend in mesh")
    assert backends({"name": "a"}, default="b") == [expected]
    assert backends(default="b") == [expected]
    assert backends({"name": "a"}, default="a") == []


def test_all_problems_come_in_the_order_of_the_table() -> None:
    found = backends({"name": "a"}, {"file": {}}, {"name": "a", "tcp": {"address": "x"}}, default="c")
    assert [field for field, _ in found] == [
        "logging.backends[1].name",
        "logging.backends[1].file.path",
        "logging.backends[2].tcp.address",
        "logging.backends[2].name",
        "logging.defaultBackend",
    ]


# -- DataplaneInsight


@pytest.mark.parametrize(
    ("subscriptions", "online"),
    [
        ([], False),
        ([{}], False),
        ([{"connectTime": "2020-01-15T08:00:00Z"}], True),
        ([{"connectTime": "2020-01-15T08:00:00Z", "disconnectTime": "2020-01-15T09:00:00Z"}], False),
        ([{"connectTime": "2020-01-15T08:00:00Z"}, {"disconnectTime": "2020-01-15T09:00:00Z"}], True),
    ],
)
def test_who_is_online(subscriptions: list[dict[str, str]], online: bool) -> None:
    spec, _ = parse_spec(InsightSpec, {"subscriptions": subscriptions})
    assert isinstance(spec, InsightSpec)
    assert spec.is_online() is online


def test_counters_are_text_and_the_empty_status_stays() -> None:
    raw = {"subscriptions": [{"id": "1", "status": {"total": {"responsesSent": 3}, "cds": {}}}]}
    spec, _ = parse_spec(InsightSpec, raw)
    shown = {"id": "1", "status": {"total": {"responsesSent": "3"}, "cds": {}}}
    assert to_document(spec) == {"subscriptions": [shown]}
