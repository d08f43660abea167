"""Secrets leave over a Unix socket for its user alone, or to a client certificate; not to everybody of the machine."""

from __future__ import annotations

import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

import kuma_store_memory
from kuma_core.builtin.configuration.socket_path import default_path
from kuma_core.errors import ConfigError
from kuma_core.kumactl import unix_socket
from kuma_core.plugin.contract import UnixSocket
from kuma_core.runtime.unix_socket import listening
from kuma_core.testing.platform import RunningPlatform, running_platform

from ..end_to_end.support import BIN

PASSPHRASE = "correct horse battery"
PATHS = ("/secrets/export", "/secrets/import")
NOBODY = 65534


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder of ours with a short path: a socket's has to fit into 107 bytes."""
    with TemporaryDirectory(prefix="kuma-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def cp(folder: Path) -> Iterator[RunningPlatform]:
    settings = {"KUMA_ADMIN_SERVER_SOCKET_PATH": str(folder / "own" / "admin.sock")}
    with running_platform([kuma_store_memory], settings) as platform:
        yield platform


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def export(cp: RunningPlatform, port: int | str) -> Any:
    return cp.request("POST", "/secrets/export", {"passphrase": PASSPHRASE}, port)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "PATCH"])
def test_no_secret_leaves_or_comes_over_loopback(cp: RunningPlatform, path: str, method: str) -> None:
    answer = cp.request(method, path, {"passphrase": PASSPHRASE}, cp.admin)
    assert answer.status == 403
    for way in (cp.admin_socket, "kumactl", "client certificate (adminServer.public)"):
        assert way in answer.body["details"]


def test_they_leave_over_the_socket_of_its_user(cp: RunningPlatform) -> None:
    answer = export(cp, cp.admin_socket)
    assert (answer.status, bool(answer.body["secrets"])) == (200, True)
    assert (mode(cp.admin_socket), mode(Path(cp.admin_socket).parent)) == (0o600, 0o700)


@pytest.mark.parametrize("headers", [{"Origin": "http://evil"}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_page_gets_in_by_way_of_a_proxy(cp: RunningPlatform, headers: dict[str, str]) -> None:
    asked = {"passphrase": PASSPHRASE}
    assert cp.request("POST", "/secrets/export", asked, cp.admin_socket, **headers).status == 403


def test_loopback_goes_on_issuing_tokens_as_the_document_has_it(cp: RunningPlatform) -> None:
    assert cp.token("web")
    assert cp.request("GET", "/tokens/signing-keys", port=cp.admin).status == 200


def test_one_setting_closes_loopback_and_leaves_the_socket(folder: Path) -> None:
    settings = {
        "KUMA_ADMIN_SERVER_LOCAL_ANY_USER": "false",
        "KUMA_ADMIN_SERVER_SOCKET_PATH": str(folder / "closed.sock"),
    }
    with running_platform([kuma_store_memory], settings) as cp:
        asked = {"name": "web", "mesh": "default"}
        for method, path in (("POST", "/tokens"), ("GET", "/control-plane-ca"), ("POST", "/secrets/export")):
            answer = cp.request(method, path, asked, cp.admin)
            assert answer.status == 403
            assert "adminServer.local.anyUser is false" in answer.body["details"]
        assert cp.request("POST", "/tokens", asked, cp.admin_socket).status == 200
        assert kumactl(cp, folder, "generate", "dataplane-token", "--name=web").returncode == 0


def test_none_is_no_socket() -> None:
    with running_platform([kuma_store_memory], {"KUMA_ADMIN_SERVER_SOCKET_PATH": "none"}) as cp:
        assert cp.get("/catalog").body["apis"]["admin"]["localSocket"] == ""
        answer = export(cp, cp.admin)
        assert (answer.status, "adminServer.socket.path" in answer.body["details"]) == (403, True)


# -- kumactl


AS_NOBODY = f"""
import encodings.idna, encodings.latin_1, encodings.utf_8_sig, getpass, importlib, os, pkgutil, pwd, sys
import http.client, yaml
import kuma_core.kumactl
for found in pkgutil.walk_packages(kuma_core.kumactl.__path__, "kuma_core.kumactl."):
    importlib.import_module(found.name)  # now, since Python itself may lie where nobody reads
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
sys.argv[0] = "kumactl"
kuma_core.kumactl.main.main()
"""


def kumactl(
    cp: RunningPlatform, folder: Path, *words: str, nobody: bool = False
) -> subprocess.CompletedProcess[str]:
    """Call it as a program; as the user nobody, who reads neither our files nor, perhaps, Python's."""
    config = folder / "config"
    config.write_text(
        f"currentContext: c\ncontexts: [{{name: c, controlPlane: c}}]\ncontrolPlanes: [{{name: c, coordinates: "
        f"{{apiServer: {{url: '{cp.api_url}'}}}}}}]\n"
    )
    config.chmod(0o644)
    program = ["-c", AS_NOBODY] if nobody else [str(BIN / "kumactl")]
    command = [sys.executable, *program, *words, f"--config-file={config}"]
    environ = {**os.environ, "HOME": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)


@pytest.fixture
def passphrase(folder: Path) -> Iterator[str]:
    file = folder / "passphrase"
    file.write_text(PASSPHRASE)
    file.chmod(0o644)
    folder.chmod(0o711)
    yield f"--passphrase-file={file}"
    folder.chmod(0o700)


def test_kumactl_of_the_same_user_finds_the_socket_by_itself(
    cp: RunningPlatform, folder: Path, passphrase: str
) -> None:
    done = kumactl(cp, folder, "export", "--with-secrets", passphrase)
    assert (done.returncode, "SecretsArchive" in done.stdout) == (0, True), done.stderr


def test_another_user_gets_no_secret_and_is_told_why(
    cp: RunningPlatform, folder: Path, passphrase: str
) -> None:
    """As root we become somebody else; without that right we take our own away from the folder, which is the same."""
    if os.geteuid() == 0:
        done = kumactl(cp, folder, "export", "--with-secrets", passphrase, nobody=True)
        own = subprocess.run(["/bin/cat", cp.admin_socket], capture_output=True, text=True, user=NOBODY)
        assert "Permission denied" in own.stderr
    else:
        place = Path(cp.admin_socket).parent
        place.chmod(0)
        done = kumactl(cp, folder, "export", "--with-secrets", passphrase)
        place.chmod(0o700)
    assert done.returncode == 1
    assert (
        f"secrets leave the control plane over its Unix socket {cp.admin_socket}, and you may not"
        in done.stderr
    )
    assert "adminServer.socket.group" in done.stderr
    assert "SecretsArchive" not in done.stdout


STRANGE = f"""
import os, socket, sys
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
listener.listen()
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    print("told", len(connection.recv(4096)), flush=True)
    connection.close()
"""
"""Whoever took the place of a control plane."""


@contextmanager
def another_catalog(cp: RunningPlatform, place: str) -> Iterator[Any]:
    """An API server as this one, whose catalog names another socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = cp.get(self.path).body
            if self.path == "/catalog":
                body["apis"]["admin"]["localSocket"] = place
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield SimpleNamespace(api_url=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_nobody_else_is_told_a_passphrase(cp: RunningPlatform, folder: Path, passphrase: str) -> None:
    theirs = folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    place = str(theirs / "admin.sock")
    command = [sys.executable, "-c", STRANGE, place]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stranger,
        another_catalog(cp, place) as taken,
    ):
        try:
            assert stranger.stdout is not None
            assert stranger.stdout.readline() == "ready\n"
            done = kumactl(taken, folder, "export", "--with-secrets", passphrase)
            token = kumactl(taken, folder, "generate", "dataplane-token", "--name=web")
        finally:
            stranger.terminate()
        told = stranger.stdout.read().splitlines()
    owner = pwd.getpwuid(NOBODY).pw_name
    assert done.returncode == 1
    assert f"the Unix socket {place} is listened on by {owner}, and you are root" in done.stderr
    assert "Traceback" not in done.stderr
    assert token.returncode == 0, "what is no secret goes over loopback, as without a socket"
    assert set(told) == {"told 0"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder for somebody else")
def test_the_user_for_whom_root_made_the_folder_is_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folder / "run"
    for name, user in (("kuma-cp", NOBODY), ("other", NOBODY), ("kuma-cp-own", 0)):
        (run / name).mkdir(parents=True)
        os.chown(run / name, user, -1)
    monkeypatch.setattr(unix_socket, "SERVICES", str(run))
    believed = unix_socket.is_service
    assert believed(str(run / "kuma-cp" / "x.sock"), NOBODY)
    assert not believed(str(run / "kuma-cp" / "x.sock"), NOBODY - 1)
    assert not believed(str(run / "other" / "x.sock"), NOBODY)
    assert not believed(str(run / "kuma-cp-own" / "x.sock"), NOBODY)
    assert not believed(str(run / "kuma-cp" / "below" / "x.sock"), NOBODY)
    (run / "kuma-cp").chmod(0o777)
    assert not believed(str(run / "kuma-cp" / "x.sock"), NOBODY)
    (run / "kuma-cp").chmod(0o700)
    run.chmod(0o1777)
    assert not believed(str(run / "kuma-cp" / "x.sock"), NOBODY)


# -- the socket itself


def place(path: Path | str, **more: Any) -> UnixSocket:
    return UnixSocket("adminServer.socket.path", "KUMA_ADMIN_SERVER_SOCKET_PATH", str(path), **more)


def refusal(wanted: UnixSocket) -> str:
    with pytest.raises(ConfigError) as caught, listening(wanted):
        pass
    text = str(caught.value)
    assert wanted.path in text
    assert "(adminServer.socket.path, KUMA_ADMIN_SERVER_SOCKET_PATH)" in text
    return text


def test_it_is_made_for_its_user_and_removed_at_the_end(folder: Path) -> None:
    wanted = place(folder / "made" / "x.sock")
    before = os.umask(0)
    try:
        with listening(wanted):
            assert (mode(wanted.path), mode(folder / "made")) == (0o600, 0o700)
    finally:
        os.umask(before)
    assert list((folder / "made").iterdir()) == []


def test_what_fails_while_it_listens_is_told_as_it_is(folder: Path) -> None:
    with pytest.raises(OSError, match="of another part"), listening(place(folder / "other.sock")):
        raise OSError("of another part")
    assert not (folder / "other.sock").exists()


def test_it_may_be_its_groups_too(folder: Path) -> None:
    group = os.getegid()
    with listening(place(folder / "grouped" / "x.sock", mode=0o660, group=str(group))):
        found = os.lstat(folder / "grouped" / "x.sock")
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, group)
        assert mode(folder / "grouped") == 0o710


def test_what_a_killed_control_plane_left_behind_is_replaced(folder: Path) -> None:
    wanted = place(folder / "stale.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(wanted.path)
    left.close()
    Path(f"{wanted.path}.lock").touch()
    with listening(wanted), socket.socket(socket.AF_UNIX) as client:
        client.connect(wanted.path)


def test_two_control_planes_do_not_take_each_others(folder: Path) -> None:
    wanted = place(folder / "shared.sock")
    with listening(wanted):
        assert "another kuma-cp listens there" in refusal(wanted)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(wanted.path)
    with listening(wanted):
        pass


def test_who_was_replaced_by_hand_removes_nothing_of_others(folder: Path) -> None:
    wanted = place(folder / "replaced.sock")
    with listening(wanted):
        os.unlink(wanted.path)
        Path(wanted.path).write_text("somebody else's")
    assert Path(wanted.path).read_text() == "somebody else's"


def test_a_place_that_cannot_be_had_is_named(folder: Path) -> None:
    (folder / "file").write_text("mine")
    assert "a file that is no socket" in refusal(place(folder / "file"))
    assert (folder / "file").read_text() == "mine"
    assert "more than 107 bytes" in refusal(place(folder / ("x" * 120)))
    assert "not absolute" in refusal(place("admin.sock"))
    assert "No such file or directory" in refusal(place(folder / "a" / "b" / "c.sock"))
    assert 'there is no group "no-such-group"' in refusal(place(folder / "g.sock", group="no-such-group"))
    assert not (folder / "g.sock").exists()


@pytest.mark.parametrize("bits", [0o777, 0o770, 0o772])
def test_a_folder_in_which_others_may_replace_it_is_refused(folder: Path, bits: int) -> None:
    open_to_others = folder / f"open-{bits:o}"
    open_to_others.mkdir()
    open_to_others.chmod(bits)
    assert "others may replace it" in refusal(place(open_to_others / "x.sock"))


def test_a_link_in_place_of_the_lock_is_not_followed(folder: Path) -> None:
    target = folder / "target"
    (folder / "linked.sock.lock").symlink_to(target)
    refusal(place(folder / "linked.sock"))
    assert not target.exists()


def test_a_default_place_that_cannot_be_had_is_told_and_stops_no_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder / "not" / "there"))
    with structlog.testing.capture_logs() as logged, running_platform([kuma_store_memory]) as cp:
        assert export(cp, cp.admin).status == 403
    [told] = [line for line in logged if line["event"] == "a server is left out"]
    assert "KUMA_ADMIN_SERVER_SOCKET_PATH" in told["problem"]


@pytest.mark.parametrize("wrong", ["0666", "0777", "0606", "7", "rw", "0o600"])
def test_a_mode_that_lets_everybody_in_is_refused(wrong: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"must be 0600.*adminServer.socket.mode"),
        running_platform([kuma_store_memory], {"KUMA_ADMIN_SERVER_SOCKET_MODE": wrong}),
    ):
        pass


def test_the_default_is_where_its_user_alone_can_write(folder: Path) -> None:
    assert default_path(5679, {"RUNTIME_DIRECTORY": "/run/x:/run/y"}, 1000) == "/run/x/admin-5679.sock"
    assert default_path(5679, {}, 0) == "/run/kuma-cp/admin-5679.sock"
    own = {"XDG_RUNTIME_DIR": str(folder)}
    assert default_path(1, own, 1000) == f"{folder}/kuma-cp/admin-1.sock"
    for missing in ({}, {"XDG_RUNTIME_DIR": "/no/such/folder"}, {"XDG_RUNTIME_DIR": "relative"}):
        assert default_path(1, missing, 1000) == "/tmp/kuma-cp-1000/admin-1.sock"


def test_another_users_folder_is_refused(folder: Path) -> None:
    foreign = folder / "foreign"
    foreign.mkdir(mode=0o700)
    wanted = place(foreign / "x.sock")
    if os.geteuid() == 0:
        os.chown(foreign, NOBODY, -1)
    else:
        foreign, wanted = Path("/"), replace(wanted, path="/x.sock")
    assert ("others may replace it" if os.geteuid() == 0 else "ermission") in refusal(wanted)
