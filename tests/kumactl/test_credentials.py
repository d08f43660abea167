"""How a context proves who we are: where a token is sent, and where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kuma_core.errors import KumaError
from kuma_core.kumactl import credentials
from kuma_core.kumactl.config import TOKEN, NamedContext

from .conftest import Call, FakeServer

ADD = ("config", "control-planes", "add", "--name=cp")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("a.b.c\n")
    return file


def sent(server: FakeServer) -> list[str | None]:
    """The header of each request, by its path."""
    return [headers.get("Authorization") for _, _, headers, _ in server.requests]


def test_a_token_goes_with_every_request_but_the_one_that_asks_who_is_there(
    kumactl: Call, server: FakeServer, token: Path, home: Path
) -> None:
    added = kumactl(*ADD, f"--address={server.url}", "--auth-type=token", f"--auth-token-file={token}")
    assert added.code == 0, added.err
    assert sent(server) == [None]
    assert kumactl("get", "meshes").code == 0
    assert set(sent(server)[1:]) == {"Bearer a.b.c"}
    (kept,) = [
        c for c in yaml.safe_load((home / ".kumactl/config").read_text())["contexts"] if c["name"] == "cp"
    ]
    assert kept["credentials"]["api"] == {"type": "token", "tokenFile": str(token)}
    assert "a.b.c" not in kumactl("config", "view").out


def test_without_a_type_nothing_is_sent(kumactl: Call, server: FakeServer) -> None:
    assert kumactl(*ADD, f"--address={server.url}").code == 0
    kumactl("get", "meshes")
    assert set(sent(server)) == {None}


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://cp.example.com:5686", True),
        ("http://localhost:5681", True),
        ("http://127.0.0.1:5681", True),
        ("http://[::1]:5681", True),
        ("http://cp.example.com:5681", False),
        ("http://10.0.0.1:5681", False),
        ("http://127.0.0.1.example.com", False),
    ],
)
def test_a_token_is_not_sent_in_the_clear(url: str, private: bool, token: Path) -> None:
    context = NamedContext("cp", "cp", auth_type=TOKEN, token_file=str(token))
    if private:
        assert credentials.headers(context, url) == {"Authorization": "Bearer a.b.c"}
        return
    with pytest.raises(KumaError, match=r"the token is not sent to .* --allow-plain"):
        credentials.headers(context, url)
    allowed = NamedContext("cp", "cp", auth_type=TOKEN, token_file=str(token), allow_plain=True)
    assert credentials.headers(allowed, url)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--address=http://cp.example.com", "--auth-token-file=TOKEN"), "--allow-plain"),
        (("--auth-type=magic",), '--auth-type must be token or certificate, but is "magic"'),
        (("--auth-type=token",), "--auth-type=token needs --auth-token-file"),
        (("--auth-type=certificate",), "needs --admin-client-cert FILE and --admin-client-key FILE"),
        (
            ("--auth-type=certificate", "--admin-client-cert=a", "--admin-client-key=b"),
            "needs an address with https://",
        ),
        (("--auth-type=token", "--auth-token-file=/nowhere"), "/nowhere"),
    ],
)
def test_what_cannot_be_added(
    kumactl: Call, server: FakeServer, token: Path, flags: tuple[str, ...], words: str
) -> None:
    given = [flag.replace("TOKEN", str(token)) for flag in flags]
    result = kumactl(*ADD, f"--address={server.url}", *given)
    assert result.code == 1
    assert words in result.err
    assert server.requests == []


@pytest.mark.parametrize("content", ["", " \n", "a b", "ä"])
def test_a_file_without_a_token(kumactl: Call, server: FakeServer, token: Path, content: str) -> None:
    token.write_text(content)
    result = kumactl(*ADD, f"--address={server.url}", f"--auth-token-file={token}")
    assert result.code == 1
    assert str(token) in result.err
    assert server.requests == []


def test_a_denial_is_shown_as_the_server_says_it(kumactl: Call, server: FakeServer) -> None:
    kumactl(*ADD, f"--address={server.url}")
    said = {"title": "Access denied", "details": "What helps: show a user's token"}
    server.error("DELETE", "/meshes/default/dataplanes/a", 401, said)
    result = kumactl("delete", "dataplane", "a")
    assert (result.code, "Access denied (What helps: show a user's token)" in result.err) == (1, True)


def test_the_audit(kumactl: Call, server: FakeServer) -> None:
    kumactl(*ADD, f"--address={server.url}")
    line = {"time": "2026-01-01T00:00:00Z", "result": "denied", "user": "ann", "by": "token"}
    line |= {"address": "10.0.0.1", "asked": "put Mesh 'x'", "problem": "no\x1b[31m"}
    write = {"time": "2026-01-01T00:00:01Z", "result": "created", "user": "bob", "by": "loopback"}
    write |= {
        "address": "127.0.0.1",
        "kind": "Dataplane",
        "mesh": "shop",
        "name": "web-1",
        "binding": "group x",
    }
    server.items["/audit"] = {"items": [write, line]}
    shown = kumactl("get", "audit").out.splitlines()
    assert shown[0].split() == ["TIME", "RESULT", "USER", "BY", "ADDRESS", "WHAT", "WHY"]
    assert "Dataplane shop/web-1" in shown[1]
    assert shown[1].endswith("group x")
    assert "put Mesh 'x'" in shown[2]
    assert "\x1b" not in shown[2]
    assert kumactl("get", "audit", "x").code == 1
