"""A start says where it listens: all ports, which of them speak TLS, and what each asks for."""

from __future__ import annotations

import structlog

import kuma_store_memory
from kuma_core.testing.platform import PORTS, running_platform


def test_a_start_says_where_it_listens() -> None:
    with structlog.testing.capture_logs() as logs, running_platform([kuma_store_memory]) as cp:
        ports = {cp.platform.config.number(path) for path in PORTS if path != "guiServer.port"}
    told = {entry["server"]: entry for entry in logs if entry["event"] == "listening"}
    assert told.pop("admin-socket")["address"] == f"unix:{cp.admin_socket}"
    assert {int(entry["address"].rpartition(":")[2]) for entry in told.values()} == ports
    for server in ("xds-server", "sds-server"):
        assert told[server]["protocol"] == "grpc over TLS"
        assert told[server]["asks_for"] == "a credential of the kind dataplane-token"
    assert told["api-server"]["address"].startswith("127.0.0.1:")
    assert told["bootstrap-server"]["address"].startswith("all addresses:")
    assert (told["api-server"]["protocol"], told["api-server"]["asks_for"]) == (
        "http",
        "a user's token, from other machines",
    )


def test_what_is_switched_off_is_told_as_it_is() -> None:
    settings = {
        "KUMA_XDS_SERVER_TLS_ENABLED": "false",
        "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false",
    }
    with structlog.testing.capture_logs() as logs, running_platform([kuma_store_memory], settings):
        pass
    told = {entry["server"]: entry for entry in logs if entry["event"] == "listening"}
    assert (told["xds-server"]["protocol"], told["xds-server"]["asks_for"]) == ("grpc", "nothing")
