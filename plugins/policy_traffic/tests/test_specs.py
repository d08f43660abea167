"""What operators may write in the five kinds."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.sdk import MalformedResource, Severity, Spec, parse_spec, to_document
from kuma_core.testing.kinds import KindSuite
from kuma_policy_traffic.health_check.spec import HealthCheckSpec
from kuma_policy_traffic.kinds import KINDS
from kuma_policy_traffic.proxy_template.spec import ProxyTemplateSpec
from kuma_policy_traffic.traffic_log.spec import TrafficLogSpec
from kuma_policy_traffic.traffic_permission.spec import TrafficPermissionSpec
from kuma_policy_traffic.traffic_route.spec import LEFT_OUT, NOWHERE, TrafficRouteSpec


class TestKinds(KindSuite):
    kinds = KINDS


WEB = {"match": {"service": "web"}}
DB = {"match": {"service": "db"}}
ENDS = {"sources": [WEB], "destinations": [DB]}
ACTIVE = {"interval": "10s", "timeout": "2s", "unhealthyThreshold": 3, "healthyThreshold": 1}
POSITIVE = "must have a positive value"


def problems(spec: type[Spec], document: dict[str, Any]) -> list[tuple[str, str]]:
    parsed, unknown = parse_spec(spec, document)
    assert not unknown
    return [(violation.field, violation.message) for violation in parsed.violations()]


def round_trip(spec: type[Spec], document: dict[str, Any]) -> dict[str, Any]:
    return to_document(parse_spec(spec, document)[0])


CONNECTION_KINDS = [TrafficPermissionSpec, TrafficRouteSpec, TrafficLogSpec, HealthCheckSpec]


@pytest.mark.parametrize("spec", CONNECTION_KINDS)
def test_both_ends_are_asked_for(spec: type[Spec]) -> None:
    found = problems(spec, {})
    assert ("sources", "must have at least one element") in found
    assert ("destinations", "must have at least one element") in found


def test_a_permission_takes_the_service_alone() -> None:
    document = {"sources": [{"match": {"service": "till", "floor": "2"}}], "destinations": []}
    assert problems(TrafficPermissionSpec, document) == [
        ("sources[0].match", 'must consist of exactly one tag "service"'),
        ('sources[0].match["floor"]', 'tag "floor" is not allowed'),
        ("destinations", "must have at least one element"),
    ]


def test_a_route_destination_without_tags() -> None:
    document = {**ENDS, "conf": [{"weight": 1, "destination": {}}]}
    assert problems(TrafficRouteSpec, document) == [
        ("conf[0].destination", "must have at least one tag"),
        ("conf[0].destination", 'mandatory tag "service" is missing'),
    ]


@pytest.mark.parametrize("spec", CONNECTION_KINDS)
def test_every_rule_of_a_destination_is_told_in_order(spec: type[Spec]) -> None:
    document = {"sources": [WEB], "destinations": [{"match": {"a": "", "": "x"}}, {}]}
    found = [item for item in problems(spec, document) if item[0].startswith("destinations")]
    assert found == [
        ("destinations[0].match", 'must consist of exactly one tag "service"'),
        ("destinations[0].match", "tag key must be non-empty"),
        ('destinations[0].match[""]', 'tag "" is not allowed'),
        ('destinations[0].match["a"]', 'tag "a" is not allowed'),
        ('destinations[0].match["a"]', "tag value must be non-empty"),
        ("destinations[0].match", 'mandatory tag "service" is missing'),
        ("destinations[1].match", 'must consist of exactly one tag "service"'),
        ("destinations[1].match", 'mandatory tag "service" is missing'),
    ]


@pytest.mark.parametrize("spec", CONNECTION_KINDS[1:])
def test_every_rule_of_a_generic_source_is_told_in_order(spec: type[Spec]) -> None:
    sources = [
        {"match": {"service": "", "b": "1", 'q"q': ""}},
        {"match": {}},
        {"match": {"": "x", "service": "*"}},
    ]
    found = [item for item in problems(spec, {**ENDS, "sources": sources}) if item[0].startswith("sources")]
    assert found == [
        ('sources[0].match["q\\"q"]', "tag value must be non-empty"),
        ('sources[0].match["service"]', "tag value must be non-empty"),
        ("sources[1].match", "must have at least one tag"),
        ("sources[1].match", 'mandatory tag "service" is missing'),
        ("sources[2].match", "tag key must be non-empty"),
    ]


def test_a_route_needs_a_destination_and_any_weight_will_do() -> None:
    assert problems(TrafficRouteSpec, ENDS) == [("conf", "must have at least one element")]
    conf = [{"weight": weight, "destination": {"service": "db", "version": "1"}} for weight in (0, 2**32 - 1)]
    assert problems(TrafficRouteSpec, {**ENDS, "conf": conf}) == []


@pytest.mark.parametrize(
    ("weights", "warned"),
    [
        ([{}], [("conf", NOWHERE)]),
        ([{"weight": None}], [("conf", NOWHERE)]),
        ([{"weight": 0}, {}], [("conf", NOWHERE)]),
        ([{"weigth": 100}], [("conf", NOWHERE)]),
        (
            [{"weight": 100}, {}, {"weight": None}],
            [("conf[1].weight", LEFT_OUT), ("conf[2].weight", LEFT_OUT)],
        ),
        ([{"weight": 100}, {"weight": 0}], []),
        ([{"weight": "1"}], []),
    ],
)
def test_a_weight_that_takes_a_service_off_the_air_is_warned_of(weights: Any, warned: Any) -> None:
    conf = [{**share, "destination": {"service": "db", "version": "1"}} for share in weights]
    raw = {**ENDS, "conf": conf}
    found = [*TrafficRouteSpec.misread(raw), *parse_spec(TrafficRouteSpec, raw)[0].violations()]
    assert [(item.field, item.message) for item in found] == warned
    assert all(item.severity is Severity.WARNING for item in found)


@pytest.mark.parametrize("weight", [-1, 2**32, 1.5, "x", True])
def test_a_weight_of_32_bits_or_none(weight: Any) -> None:
    with pytest.raises(MalformedResource, match=r"conf\[0\].weight: "):
        parse_spec(TrafficRouteSpec, {"conf": [{"weight": weight}]})


def test_quoted_numbers_are_numbers_and_zero_is_not_shown() -> None:
    conf = [{"weight": "90"}, {"weight": 0}]
    assert round_trip(TrafficRouteSpec, {"conf": conf}) == {"conf": [{"weight": 90}, {}]}


@pytest.mark.parametrize("conf", [None, {}, {"backend": ""}, {"backend": "nobody-knows-it"}])
def test_the_conf_of_a_log_is_not_checked(conf: Any) -> None:
    assert problems(TrafficLogSpec, {**ENDS, "conf": conf}) == []


def test_an_empty_conf_of_a_log_survives() -> None:
    assert round_trip(TrafficLogSpec, {**ENDS, "conf": {}}) == {**ENDS, "conf": {}}


def test_numbers_and_durations_are_normalised() -> None:
    checks = {"interval": "1m", "timeout": "1500ms", "unhealthyThreshold": "3", "healthyThreshold": 1}
    assert round_trip(HealthCheckSpec, {"conf": {"active_checks": checks}}) == {
        "conf": {
            "activeChecks": {
                "interval": "60s",
                "timeout": "1.500s",
                "unhealthyThreshold": 3,
                "healthyThreshold": 1,
            }
        }
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [("10s", "10s"), ("250us", "0.000250s"), ("7ns", "0.000000007s"), ("1h30m", "5400s"), ("-5s", "-5s")],
)
def test_a_duration_has_0_3_6_or_9_digits(given: str, shown: str) -> None:
    conf = {"passiveChecks": {"penaltyInterval": given}}
    assert round_trip(HealthCheckSpec, {"conf": conf})["conf"]["passiveChecks"]["penaltyInterval"] == shown


@pytest.mark.parametrize("value", [60, 1.5, "60", "soon", True, ["1s"]])
def test_a_duration_needs_a_unit(value: Any) -> None:
    with pytest.raises(MalformedResource, match=r"conf\.activeChecks\.interval: .*duration"):
        parse_spec(HealthCheckSpec, {"conf": {"activeChecks": {"interval": value}}})


@pytest.mark.parametrize(
    "conf", [None, {}, {"activeChecks": {}}, {"passiveChecks": {}}, {"activeChecks": {"interval": "0s"}}]
)
def test_a_health_check_without_any_check(conf: Any) -> None:
    assert problems(HealthCheckSpec, {**ENDS, "conf": conf}) == [
        ("conf", "must have either active or passive checks configured")
    ]


def test_an_empty_check_survives_and_counts_as_absent() -> None:
    document = {
        **ENDS,
        "conf": {"activeChecks": {}, "passiveChecks": {"unhealthyThreshold": 1, "penaltyInterval": "5s"}},
    }
    assert problems(HealthCheckSpec, document) == []
    assert round_trip(HealthCheckSpec, document) == document


def test_every_amount_of_a_check_must_be_positive_in_order() -> None:
    conf = {
        "activeChecks": {"timeout": "-1s", "healthyThreshold": 0},
        "passiveChecks": {"penaltyInterval": "-5s"},
    }
    assert problems(HealthCheckSpec, {**ENDS, "conf": conf}) == [
        ("conf.activeChecks.interval", POSITIVE),
        ("conf.activeChecks.timeout", POSITIVE),
        ("conf.activeChecks.unhealthyThreshold", POSITIVE),
        ("conf.activeChecks.healthyThreshold", POSITIVE),
        ("conf.passiveChecks.unhealthyThreshold", POSITIVE),
        ("conf.passiveChecks.penaltyInterval", POSITIVE),
    ]
    assert problems(HealthCheckSpec, {**ENDS, "conf": {"activeChecks": ACTIVE}}) == []


def checks_of(field: str, value: str) -> dict[str, Any]:
    passive = {"unhealthyThreshold": 3, "penaltyInterval": "5s"}
    conf = {"activeChecks": ACTIVE, "passiveChecks": passive}
    changed = "activeChecks" if field in ACTIVE else "passiveChecks"
    return {**ENDS, "conf": {**conf, changed: {**conf[changed], field: value}}}


@pytest.mark.parametrize("value", ["1ns", "999us", "8760h0m1s", "9223372036s"])
@pytest.mark.parametrize("field", ["interval", "timeout", "penaltyInterval"])
def test_a_duration_that_envoy_would_refuse_or_never_rest_of(field: str, value: str) -> None:
    ((path, message),) = problems(HealthCheckSpec, checks_of(field, value))
    assert path.endswith(f".{field}")
    assert message == "has to be in range of [1ms, 8760h]"


@pytest.mark.parametrize(
    ("field", "warned"), [("interval", True), ("penaltyInterval", True), ("timeout", False)]
)
def test_what_keeps_a_proxy_busy_is_accepted_with_a_warning(field: str, warned: bool) -> None:
    spec, _ = parse_spec(HealthCheckSpec, checks_of(field, "99ms"))
    found = list(spec.violations())
    assert [item.severity for item in found] == [Severity.WARNING] * warned
    assert all("99ms keeps every proxy busy" in item.message for item in found)
    assert problems(HealthCheckSpec, checks_of(field, "100ms")) == []


@pytest.mark.parametrize("conf", [None, {}, {"imports": []}, {"imports": ["default-proxy"], "resources": []}])
def test_a_template_may_have_neither_selectors_nor_conf(conf: Any) -> None:
    assert problems(ProxyTemplateSpec, {"conf": conf}) == []


def test_what_a_template_must_say() -> None:
    document = {
        "selectors": [{"match": {"region": "eu"}}],
        "conf": {
            "imports": ["", "fancy"],
            "resources": [{}, {"name": "a", "version": "1", "resource": "[]"}],
        },
    }
    assert problems(ProxyTemplateSpec, document) == [
        ("selectors[0].match", 'mandatory tag "service" is missing'),
        ("conf.imports[0]", "cannot be empty"),
        ("conf.imports[1]", "profile not found. Available profiles: default-proxy"),
        ("conf.resources[0].name", "cannot be empty"),
        ("conf.resources[0].version", "cannot be empty"),
        ("conf.resources[0].resource", "cannot be empty"),
        (
            "conf.resources[1].resource",
            'native Envoy resource is not valid: expected a mapping with an "@type", got a list',
        ),
    ]


def test_a_reason_is_short_however_long_the_keys_are() -> None:
    deep = '{"metadata": {"filter_metadata": {"' + "k" * 10_000 + '": 1}}, "@type": "envoy.api.v2.Cluster"}'
    raw = {"name": "a", "version": "1", "resource": deep.replace("filter_metadata", "x" * 10_000)}
    [(field, message)] = problems(ProxyTemplateSpec, {"conf": {"resources": [raw]}})
    assert field == "conf.resources[0].resource"
    assert len(message) < 1100


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=8)
TAGS = st.dictionaries(WORDS, WORDS, max_size=3)
SELECTORS = st.lists(st.fixed_dictionaries({}, optional={"match": TAGS}), max_size=3)
UINT32 = st.integers(0, 2**32 - 1).flatmap(lambda number: st.sampled_from([number, str(number)]))
DURATIONS = st.builds(
    "{}{}".format, st.integers(-(10**6), 10**6), st.sampled_from(["ns", "us", "ms", "s", "m", "h"])
)


def documents(spec: type[Spec]) -> st.SearchStrategy[dict[str, Any]]:
    fields: dict[str, st.SearchStrategy[Any]] = {"sources": SELECTORS, "destinations": SELECTORS}
    checks = {
        "activeChecks": {
            "interval": DURATIONS,
            "timeout": DURATIONS,
            "unhealthy_threshold": UINT32,
            "healthyThreshold": UINT32,
        },
        "passive_checks": {"unhealthyThreshold": UINT32, "penalty_interval": DURATIONS},
    }
    conf: dict[type[Spec], st.SearchStrategy[Any]] = {
        TrafficRouteSpec: st.lists(
            st.fixed_dictionaries({}, optional={"weight": UINT32, "destination": TAGS}), max_size=3
        ),
        TrafficLogSpec: st.fixed_dictionaries({}, optional={"backend": WORDS}),
        HealthCheckSpec: st.fixed_dictionaries(
            {}, optional={name: st.fixed_dictionaries({}, optional=fields) for name, fields in checks.items()}
        ),
    }
    return st.fixed_dictionaries({}, optional=fields | ({"conf": conf[spec]} if spec in conf else {}))


@pytest.mark.parametrize("spec", CONNECTION_KINDS)
def test_what_is_read_is_written_and_read_again(spec: type[Spec]) -> None:
    @given(documents(spec))
    def check(document: dict[str, Any]) -> None:
        parsed, unknown = parse_spec(spec, document)
        written = to_document(parsed)
        again, _ = parse_spec(spec, written)
        assert not unknown
        assert to_document(again) == written
        assert list(again.violations()) == list(parsed.violations())

    check()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["match", "conf", "service", "weight", "interval", "activeChecks"]), inner
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_arbitrary_documents_are_read_or_refused(kind: Any) -> None:
    keys = st.sampled_from(["sources", "destinations", "selectors", "conf", "x"])

    @given(st.dictionaries(keys, JSON))
    def check(document: dict[str, Any]) -> None:
        try:
            spec, _ = parse_spec(kind.spec, document)
        except MalformedResource:
            return
        for violation in spec.violations():
            assert violation.message

    check()


def test_importing_the_plugin_and_its_specs_loads_no_envoy_type() -> None:
    code = (
        "import sys, kuma_policy_traffic, kuma_policy_traffic.kinds\n"
        "from kuma_core.sdk import parse_spec\n"
        "from kuma_policy_traffic.proxy_template.spec import ProxyTemplateSpec as spec\n"
        "assert not list(parse_spec(spec, {'conf': {'imports': ['default-proxy']}})[0].violations())\n"
        "print([m for m in sys.modules if m.startswith(('envoy', 'betterproto', 'grpc'))])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# -- the value that stands for any, where something is named


@pytest.mark.parametrize("more", [{}, {"version": "*"}, {"version": "1"}])
@pytest.mark.parametrize("others", [[], [{"weight": 9, "destination": {"service": "backend"}}]])
def test_a_share_goes_to_a_service_that_is_named(more: dict[str, str], others: list[Any]) -> None:
    ends = {"sources": [{"match": {"service": "*"}}], "destinations": [{"match": {"service": "*"}}]}
    share = {"weight": 1, "destination": {"service": "*", **more}}
    place = f'conf[{len(others)}].destination["service"]'
    [(field, message)] = problems(TrafficRouteSpec, {**ends, "conf": [*others, share]})
    assert field == place
    assert message.startswith('"*" stands for any value, which selectors alone can ask for')
    share["destination"] = {"service": "backend", **more}
    assert problems(TrafficRouteSpec, {**ends, "conf": [*others, share]}) == []


CLUSTER = '"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: {}\n'
EDS = CLUSTER + "type: EDS\neds_cluster_config: {{service_name: {}, eds_config: {{ads: {{}}}}}}\n"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (CLUSTER.format('"*"'), "name"),
        (EDS.format("fine", '"*"'), "eds_cluster_config.service_name"),
        (
            '"@type": type.googleapis.com/envoy.api.v2.ClusterLoadAssignment\ncluster_name: "*"\n',
            "cluster_name",
        ),
        ('"@type": type.googleapis.com/envoy.api.v2.RouteConfiguration\nname: "*"\n', "name"),
    ],
)
def test_a_raw_resource_is_not_called_as_the_protocol_calls_all(text: str, field: str) -> None:
    conf = {"resources": [{"name": "raw", "version": "1", "resource": text}]}
    assert problems(ProxyTemplateSpec, {"conf": conf}) == [
        (
            "conf.resources[0].resource",
            f'native Envoy resource is not valid: {field}: "*" is no name, for to Envoy it means all resources',
        )
    ]
