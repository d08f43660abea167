"""The table between v2 and v3 agrees with Envoy's own descriptors, and Envoy's types with the table."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kuma_policy_traffic.proxy_template.messages import find_type, name_of, spellings, v3_type
from kuma_policy_traffic.proxy_template.v2_types import PREVIOUS, REMOVED

FILTERS = "envoy.extensions.filters"
LOGGERS = "envoy.extensions.access_loggers"
SCRIPT = Path(__file__).parents[1] / "scripts" / "generate_tables.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def descriptors(script: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = script.descriptors()
    return found


def test_the_committed_tables_are_what_the_script_writes(script: ModuleType) -> None:
    for name, text in script.render().items():
        assert (script.TARGET / name).read_text(encoding="utf-8") == text


def test_the_core_rows_of_the_specification() -> None:
    rows = {
        "envoy.api.v2.Listener": "envoy.config.listener.v3.Listener",
        "envoy.api.v2.cluster.OutlierDetection": "envoy.config.cluster.v3.OutlierDetection",
        "envoy.api.v2.ClusterLoadAssignment": "envoy.config.endpoint.v3.ClusterLoadAssignment",
        "envoy.api.v2.route.Route": "envoy.config.route.v3.Route",
        "envoy.api.v2.auth.Secret": "envoy.extensions.transport_sockets.tls.v3.Secret",
        "envoy.api.v2.core.Address": "envoy.config.core.v3.Address",
        "envoy.config.filter.network.tcp_proxy.v2.TcpProxy": f"{FILTERS}.network.tcp_proxy.v3.TcpProxy",
        "envoy.config.filter.http.ext_authz.v2.ExtAuthz": f"{FILTERS}.http.ext_authz.v3.ExtAuthz",
        "envoy.config.filter.accesslog.v2.AccessLog": "envoy.config.accesslog.v3.AccessLog",
        "envoy.config.accesslog.v2.FileAccessLog": f"{LOGGERS}.file.v3.FileAccessLog",
        "envoy.config.accesslog.v2.TcpGrpcAccessLogConfig": f"{LOGGERS}.grpc.v3.TcpGrpcAccessLogConfig",
        "envoy.config.rbac.v2.RBAC": "envoy.config.rbac.v3.RBAC",
        "envoy.type.matcher.StringMatcher": "envoy.type.matcher.v3.StringMatcher",
    }
    for old, new in rows.items():
        cls, is_old = find_type(old)
        assert (name_of(cls), is_old) == (new, True)


def test_every_type_of_the_table_exists_but_for_two(descriptors: dict[str, Any]) -> None:
    missing = set()
    for new, old in PREVIOUS.items():
        assert old in descriptors
        try:
            find_type(new)
        except ValueError:
            missing.add(new)
    assert missing == {
        "envoy.config.grpc_credential.v3.AwsIamConfig",
        "envoy.config.trace.v3.OpenCensusConfig",
    }


def test_every_field_of_v2_can_be_written_in_both_spellings(descriptors: dict[str, Any]) -> None:
    for new, old in PREVIOUS.items():
        if new.endswith((".AwsIamConfig", ".OpenCensusConfig")):
            continue
        known = spellings(new, old=True)
        for field in descriptors[old].fields:
            assert known[field.name] == known[field.json_name], (old, field.name)
            assert (known[field.name] == field.name) or field.name not in REMOVED.get(old, ())


def test_every_field_of_v3_is_where_the_descriptors_have_it(descriptors: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for new in PREVIOUS:
            if new.endswith((".AwsIamConfig", ".OpenCensusConfig")):
                continue
            names = v3_type(new)._betterproto.field_name_by_number
            for field in descriptors[new].fields:
                assert names[field.number] == field.name
                assert spellings(new, old=False)[field.json_name] == field.name
