"""The audit line: who wrote what, and what became of it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.api import audit
from kuma_core.log_levels import IN_FORCE, parse_levels
from kuma_core.testing.logged import logged
from kuma_core.testing.platform import RunningPlatform, running_platform

MESH = {"type": "Mesh", "name": "shop"}
LOCAL = {
    "address": "127.0.0.1",
    "user": "localhost",
    "by": "loopback",
    "binding": "group kuma:admin",
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    for line in (audit._refused, audit._unchanged):
        line.forget()
    with logged() as written:
        yield written


@pytest.fixture
def cp(log: io.StringIO, tmp_path: Path) -> Iterator[RunningPlatform]:
    settings = {"KUMA_ADMIN_SERVER_SOCKET_PATH": str(tmp_path / "admin.sock")}
    with running_platform([kuma_store_memory, kuma_ca_builtin], settings) as platform:
        yield platform


def lines(log: io.StringIO, logger: str = "audit") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    dull = ("time", "level", "logger", "agent")
    return [{k: v for k, v in it.items() if k not in dull} for it in found if it["logger"] == logger]


def test_each_accepted_write_is_told_and_what_changes_nothing_once(
    cp: RunningPlatform, log: io.StringIO
) -> None:
    shop = {"kind": "Mesh", "name": "shop", **LOCAL}
    web = {"kind": "Dataplane", "mesh": "shop", "name": "web-1", **LOCAL}
    dataplane = {"type": "Dataplane", "mesh": "shop", "name": "web-1"}
    inbound = {"interface": "127.0.0.1:80:8080", "tags": {"service": "web"}}
    cp.apply(MESH, MESH, MESH, {**dataplane, "networking": {"inbound": [inbound]}})
    inbound["tags"] = {"service": "web", "version": "2"}
    cp.apply({**dataplane, "networking": {"inbound": [inbound]}})
    assert cp.delete("/meshes/shop/dataplanes/web-1").status == 200
    assert lines(log) == [
        {"msg": "a write is accepted", "result": "created", **shop},
        {"msg": "a write changes nothing", **shop},
        {"msg": "a write is accepted", "result": "created", **web},
        {"msg": "a write is accepted", "result": "updated", **web},
        {"msg": "a write is accepted", "result": "deleted", **web},
    ]


def test_a_refused_write_is_told_with_its_reason_and_counted_when_it_repeats(
    cp: RunningPlatform, log: io.StringIO
) -> None:
    for _ in range(3):
        assert cp.put("/meshes/shop/dataplanes/web-1", {"type": "Dataplane", "name": "web-2"}).status == 400
    assert cp.delete("/meshes/nobody").status == 404
    assert cp.put("/meshes/shop", b"[}").status == 400
    assert cp.request("POST", "/nowhere", {}).status == 404
    assert cp.request("PUT", "/meshes/shop", MESH, Origin="http://evil.example").status == 403
    refused = lines(log)
    assert {it["msg"] for it in refused} == {"a write is refused"}
    told = [(it["status"], it.get("name", it.get("path"))) for it in refused]
    assert told == [(400, "web-1"), (404, "nobody"), (400, "shop"), (404, "/nowhere"), (403, "/meshes/shop")]
    assert "name: name from the URL has to be the same as in body" in refused[0]["problem"]
    assert "evil.example" in refused[-1]["problem"]
    assert "address" in refused[-1]


def test_what_only_asks_is_no_write(cp: RunningPlatform, log: io.StringIO) -> None:
    assert cp.get("/meshes").status == 200
    assert cp.put("/meshes/shop?dry-run=validate", MESH).status == 200
    assert cp.put("/meshes/default?dry-run=xds", {**MESH, "name": "default"}).status == 200
    assert cp.request("POST", "/in-force?mesh=default").status == 201
    assert lines(log) == []


def test_admin_writes_tell_what_and_by_whom_and_never_the_content(
    cp: RunningPlatform, log: io.StringIO
) -> None:
    token = str(cp.request("POST", "/tokens", {"name": "web-1", "mesh": "default"}, cp.admin).body)
    assert cp.request("POST", "/tokens/revocations", {"token": token}, cp.admin).status == 200
    passphrase = "a passphrase that nobody logs"
    archive = cp.request("POST", "/secrets/export", {"passphrase": passphrase}, cp.admin_socket).body[
        "archive"
    ]
    given = {"passphrase": passphrase, "archive": archive}
    assert cp.request("POST", "/secrets/import", given, cp.admin_socket).status == 200
    assert cp.request("POST", "/secrets/export", {"passphrase": passphrase}, cp.admin).status == 403
    issued, revoked, exported, imported, refused = lines(log)
    local, by_socket = "127.0.0.1", f"unix:uid={os.getuid()}"
    assert issued == {
        **{"msg": "a write is accepted", "result": "issued", "kind": "dataplane token"},
        **{"mesh": "default", "name": "web-1", **LOCAL},
    }
    assert (revoked["result"], revoked["name"], revoked["address"]) == ("revoked", "web-1", local)
    assert (exported["result"], exported["kind"], exported["address"]) == ("exported", "secrets", by_socket)
    assert (imported["result"], imported["created"], imported["address"]) == ("imported", 0, by_socket)
    assert (refused["status"], refused["path"]) == (403, "/secrets/export")
    assert not any(secret in log.getvalue() for secret in (token, token.split(".")[2], passphrase))


def test_debug_tells_every_request(cp: RunningPlatform, log: io.StringIO) -> None:
    IN_FORCE.change(parse_levels("info,api-server=debug"))
    assert cp.get("/meshes?size=1").status == 200
    (told,) = lines(log, "api-server")
    assert (told["method"], told["path"], told["status"]) == ("GET", "/meshes", 200)
    assert told["ms"] > 0


def test_a_secret_where_none_belongs_is_cut_short(cp: RunningPlatform, log: io.StringIO) -> None:
    token = str(cp.request("POST", "/tokens", {"name": "web-1", "mesh": "default"}, cp.admin).body)
    IN_FORCE.change(parse_levels("debug"))
    cp.request("DELETE", f"/tokens/signing-keys/{token}", port=cp.admin)
    cp.request("POST", "/tokens", {"name": "a", "mesh": "b", "validFor": token}, cp.admin)
    cp.request("POST", f"/nowhere/{token}", {}, cp.admin)
    cp.put(f"/meshes/{token}", MESH)
    refused = [line for line in lines(log) if line["msg"] == "a write is refused"]
    assert [line["status"] for line in refused] == [404, 400, 404, 400]
    assert refused[0]["path"] == f"/tokens/signing-keys/{token[:6]}…"
    parts = [token[start : start + 32] for start in range(0, len(token) - 32, 16)]
    assert [part for part in parts if part in log.getvalue()] == []


def test_a_hostile_name_stays_in_its_line(cp: RunningPlatform, log: io.StringIO) -> None:
    cp.request("DELETE", "/meshes/%0A2026%09INFO%1b%5B31m%E2%80%AE" + "x" * 2000)
    (line,) = [text for text in log.getvalue().splitlines() if '"audit"' in text]
    assert line.isprintable()
    assert len(line) < 1500
