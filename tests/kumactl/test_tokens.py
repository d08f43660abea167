"""kumactl revoke, rotate and retire, with answers of a fake admin server and with a real control plane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog

import kuma_store_memory
from kuma_core.kumactl.token_client import REVOCATIONS, SIGNING_KEYS
from kuma_core.runtime import logs
from kuma_core.testing.platform import RunningPlatform, running_platform

from .conftest import Call, FakeAdmin, FakeServer, Reply, catalog, configure

REVOKE = ("revoke", "dataplane-token")
COMMANDS: list[tuple[tuple[str, ...], str, str]] = [
    ((*REVOKE, "--id=a"), "POST", REVOCATIONS),
    (("rotate", "signing-key"), "POST", SIGNING_KEYS),
    (("retire", "signing-key", "--id=a"), "DELETE", SIGNING_KEYS + "/a"),
    (("inspect", "signing-keys"), "GET", SIGNING_KEYS),
    (("inspect", "revoked-tokens"), "GET", REVOCATIONS),
]


def answer(admin: FakeAdmin, method: str, path: str, value: Any, status: int = 200) -> None:
    admin.replies[method, path] = Reply(status, json.dumps(value).encode())


@pytest.fixture
def known(server: FakeServer, admin: FakeAdmin) -> FakeAdmin:
    catalog(server, local=admin.url)
    return admin


def test_a_token_goes_from_its_file_to_the_server(connected: Call, known: FakeAdmin, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a.b.c\n")
    said = {"id": "1", "name": "web-1", "mesh": "shop", "result": "revoked"}
    answer(known, "POST", REVOCATIONS, said)
    result = connected(*REVOKE, "--token-file", str(tmp_path / "token"))
    assert (result.code, result.err) == (0, "")
    assert result.out == 'revoked dataplane token "1" of "web-1" in mesh "shop"\n'
    assert known.requests == [("POST", REVOCATIONS, {"token": "a.b.c"})]
    answer(known, "POST", REVOCATIONS, said | {"result": "unchanged"})
    result = connected(*REVOKE, "--token-file=-", stdin="a.b.c")
    assert result.out == 'dataplane token "1" of "web-1" in mesh "shop" was revoked already\n'
    assert known.requests[1] == known.requests[0]


def test_an_id_is_enough(connected: Call, known: FakeAdmin) -> None:
    answer(known, "POST", REVOCATIONS, {"id": "1", "result": "revoked"})
    assert connected(*REVOKE, "--id", "1").out == 'revoked dataplane token "1"\n'
    assert known.requests == [("POST", REVOCATIONS, {"id": "1"})]


@pytest.mark.parametrize("flags", [(), ("--token-file=x", "--id=y"), ("--token-file=", "--id=")])
def test_one_of_both_is_given(connected: Call, known: FakeAdmin, flags: tuple[str, ...]) -> None:
    result = connected(*REVOKE, *flags)
    assert (result.code, result.err) == (1, "Error: give either --token-file or --id\n")
    assert known.requests == []


def test_the_token_itself_is_no_argument(connected: Call, known: FakeAdmin) -> None:
    result = connected(*REVOKE, "a.b.c")
    assert (result.code, known.requests) == (1, [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        ("tökén".encode(), "holds no token"),
        (b"x" * 65_537, "is larger than 65536 bytes"),
    ],
)
def test_a_file_without_a_token(
    connected: Call, known: FakeAdmin, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    result = connected(*REVOKE, f"--token-file={file}")
    assert (result.code, known.requests) == (1, [])
    assert result.err.startswith("Error: could not read the token file: ")
    assert words in result.err
    assert str(file) in result.err


def test_keys(connected: Call, known: FakeAdmin) -> None:
    answer(known, "POST", SIGNING_KEYS, {"id": "k2", "serial": 2, "signs": True})
    result = connected("rotate", "signing-key")
    assert result.out == 'signing key "k2", number 2, signs new tokens from now on\n'
    answer(known, "DELETE", SIGNING_KEYS + "/k1", {"id": "k1", "serial": 1, "signs": False})
    result = connected("retire", "signing-key", "--id", "k1")
    assert result.out == 'retired signing key "k1"; its tokens are refused from now on\n'
    items = [{"id": "k2", "serial": 2, "signs": True}, {"id": "k1", "serial": 1, "signs": False}]
    answer(known, "GET", SIGNING_KEYS, {"items": items})
    lines = connected("inspect", "signing-keys").out.splitlines()
    assert [line.split() for line in lines] == [
        ["ID", "NUMBER", "SIGNS"],
        ["k2", "2", "Yes"],
        ["k1", "1", "No"],
    ]
    assert json.loads(connected("inspect", "signing-keys", "-o", "json").out) == {"items": items}


def test_revoked_tokens(connected: Call, known: FakeAdmin) -> None:
    items = [{"id": "a", "expires": "2030-01-01T00:00:00Z"}, {"id": "b\x1b[2J"}]
    answer(known, "GET", REVOCATIONS, {"items": items})
    lines = connected("inspect", "revoked-tokens").out.splitlines()
    assert [line.split() for line in lines] == [
        ["ID", "EXPIRES"],
        ["a", "2030-01-01T00:00:00Z"],
        ["b\ufffd[2J", "-"],
    ]


@pytest.mark.parametrize("id", ["a/b", "..", "."])
def test_an_id_is_no_path(connected: Call, known: FakeAdmin, id: str) -> None:
    result = connected("retire", "signing-key", f"--id={id}")
    assert (result.code, known.requests) == (1, [])
    assert "cannot be a name" in result.err


def test_the_id_of_a_key_is_required(connected: Call) -> None:
    result = connected("retire", "signing-key")
    assert (result.code, result.err) == (1, 'Error: required flag(s) "id" not set\n')


@pytest.mark.parametrize(("argv", "method", "path"), COMMANDS)
def test_tokens_that_are_switched_off(
    connected: Call, server: FakeServer, admin: FakeAdmin, argv: tuple[str, ...], method: str, path: str
) -> None:
    catalog(server, local=admin.url, tokens=False)
    result = connected(*argv)
    assert (result.code, admin.requests) == (1, [])
    assert "adminServer.apis.dataplaneToken.enabled" in result.err


@pytest.mark.parametrize(("argv", "method", "path"), COMMANDS)
def test_a_refusal_is_told(
    connected: Call, known: FakeAdmin, argv: tuple[str, ...], method: str, path: str
) -> None:
    answer(known, method, path, {"title": "No", "details": "because"}, 400)
    result = connected(*argv)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Error: failed to ")
    assert result.err.endswith(": unexpected status code 400. Expected 200: No (because)\n")


@pytest.mark.parametrize(("argv", "method", "path"), COMMANDS)
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"items": 3, "id": 3, "result": 3}'])
def test_an_answer_of_another_shape(
    connected: Call, known: FakeAdmin, argv: tuple[str, ...], method: str, path: str, body: bytes
) -> None:
    known.replies[method, path] = Reply(200, body)
    result = connected(*argv)
    assert "Traceback" not in result.err
    assert result.code == (0 if "retire" in argv and body.startswith(b"{") else result.code)


# -- with a real control plane


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    logs.configure("off")  # in one process, what is logged would stand among what kumactl prints
    with running_platform([kuma_store_memory]) as platform:
        yield platform
    structlog.reset_defaults()


def test_a_leaked_token_and_its_key(kumactl: Call, home: Path, cp: RunningPlatform, tmp_path: Path) -> None:
    configure(home, cp.api_url)
    token = kumactl("generate", "dataplane-token", "--dataplane=web-1").out
    id = jwt.decode(token, options={"verify_signature": False})["jti"]
    (tmp_path / "token").write_text(token)
    for words in ("revoked dataplane token", "was revoked already"):
        result = kumactl(*REVOKE, f"--token-file={tmp_path / 'token'}")
        assert (result.code, result.err) == (0, "")
        assert words in result.out
        assert f'"{id}" of "web-1" in mesh "default"' in result.out
    assert kumactl("inspect", "revoked-tokens").out.splitlines()[1].split() == [id, "-"]
    assert kumactl(*REVOKE, "--id=x").out == 'revoked dataplane token "x"\n'
    (tmp_path / "token").write_text("garbage")
    refused = kumactl(*REVOKE, f"--token-file={tmp_path / 'token'}")
    assert refused.code == 1
    assert (
        "* token: is none of ours, so that nobody believes it anyway: it is no dataplane token" in refused.err
    )

    old = kumactl("inspect", "signing-keys").out.splitlines()[1].split()[0]
    refused = kumactl("retire", "signing-key", f"--id={old}")
    assert (refused.code, "make another one first" in refused.err) == (1, True)
    assert kumactl("rotate", "signing-key").code == 0
    assert [line.split()[1:] for line in kumactl("inspect", "signing-keys").out.splitlines()[1:]] == [
        ["2", "Yes"],
        ["1", "No"],
    ]
    assert kumactl("retire", "signing-key", f"--id={old}").code == 0
    assert kumactl("retire", "signing-key", f"--id={old}").code == 1
    assert len(kumactl("inspect", "signing-keys").out.splitlines()) == 2
