"""What all commands have in common: whole lines, and a sentence where the output goes nowhere."""

from __future__ import annotations

import json
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, run
from typing import IO

import click
import pytest

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.kumactl.main import build
from kuma_core.testing.authorities import root_without_key_id
from kuma_core.testing.platform import RunningPlatform, running_platform

from .conftest import Call, configure

KUMACTL = "from kuma_core.kumactl.main import main; main()"
FULL = Path("/dev/full")
MESH = "type: Mesh\nname: {name}\nmtls: {{ca: {{{ca}: {{}}}}}}\n"
DATAPLANE = "type: Dataplane\nmesh: default\nname: dp\n"
DATAPLANE += "networking: {inbound: [{interface: 127.0.0.1:1:2, tags: {service: a}}]}\n"


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    ctx = click.Context(command)
    for name in command.list_commands(ctx):
        child = command.get_command(ctx, name)
        assert child is not None
        yield from leaves(child, (*path, name))


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    plugins = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided]
    with running_platform(plugins) as platform:
        yield platform


@pytest.fixture
def at(kumactl: Call, home: Path, cp: RunningPlatform) -> Call:
    configure(home, cp.api_url)
    return kumactl


def said(at: Call, command: str, *arguments: str, stdin: str = "") -> str:
    """What a command prints, which must be whole lines and nothing else."""
    result = at(*command.split(), *arguments, stdin=stdin)
    assert result.code == 0, (command, result)
    assert result.out.endswith("\n"), command
    assert not result.out.endswith("\n\n") or command in ("config view", "completion bash"), command
    assert result.err.endswith("\n") or not result.err
    return result.out


def test_every_command_prints_whole_lines(at: Call, cp: RunningPlatform, tmp_path: Path) -> None:
    key, cert, token, file = (str(tmp_path / name) for name in ("key.pem", "cert.pem", "token", "export"))
    done: set[str] = set()

    def note(command: str, *arguments: str, stdin: str = "") -> str:
        done.add(command)
        return said(at, command, *arguments, stdin=stdin)

    note("apply", stdin=DATAPLANE + "---\n" + MESH.format(name="own", ca="provided"))
    for shell in ("bash", "fish", "zsh"):
        note(f"completion {shell}")
    note("config control-planes add", "--name", "second", "--address", cp.api_url)
    for command in ("config control-planes switch", "config control-planes remove"):
        note(command, "--name", "second")
    for command in ("config control-planes list", "config view", "version", "help", "export"):
        note(command)
    note("inspect dataplanes")
    note("inspect service", "a")
    note("wait dataplane", "nobody", "--for=gone")
    findings = at("analyze")
    assert (findings.code, findings.out.endswith("\n")) == (3, True)
    done |= {"analyze"}
    for arguments in (("dataplanes",), ("dataplanes", "-o", "yaml"), ("dataplane", "dp", "-o", "json")):
        note("get", *arguments)
    note("explain", "service:a", "service:a")
    note("inspect xds", "dp")
    note("export", "-o", file)
    note("import", "-f", file)
    note("generate tls-certificate", "--type=client", "--key-file", key, "--cert-file", cert)
    note("install database-schema")
    bare = at("generate", "dataplane-token", "--name", "dp")
    assert (bare.code, bare.out.endswith("\n")) == (0, False)  # for Envoy a newline is no part of a header
    done |= {"generate dataplane-token"}
    Path(token).write_text(bare.out.splitlines()[-1])  # behind what the control plane logs in this process
    note("revoke dataplane-token", "--token-file", token)
    user = at("generate", "user-token", "--name=ann", "--valid-for=1h")
    assert (user.code, user.out.endswith("\n")) == (0, False)
    done |= {"generate user-token"}
    Path(token).write_text(user.out.splitlines()[-1])
    note("revoke user-token", "--token-file", token)
    note("get", "audit")
    note("auth whoami")
    note("auth can-i", "put", "Dataplane")
    old = json.loads(note("inspect signing-keys", "-o", "json"))["items"][0]["id"]
    note("rotate signing-key")
    note("retire signing-key", "--id", old)
    for command in ("revoked-tokens", "control-plane-ca"):
        note(f"inspect {command}")
    note("manage ca builtin rotate")
    note("manage ca builtin status")
    for path, pem in zip((cert, key), root_without_key_id("own"), strict=True):
        Path(path).unlink()
        Path(path).write_bytes(b"\xef\xbb\xbf" + pem)  # as editors on Windows begin a file
    certificates = "manage ca provided certificates"
    entry = note(f"{certificates} add", "--key-file", key, "--cert-file", cert, "--mesh=own").split('"')[1]
    note(f"{certificates} list", "--mesh=own")
    note(f"{certificates} delete", "--id", entry, "--mesh=own")
    note("delete", "dataplane", "dp")
    assert set(leaves(build())) - done == set()


Stream = IO[str] | int


def kumactl_with(
    home: Path, *argv: str, stdout: Stream = PIPE, stderr: Stream = PIPE, **environ: str
) -> CompletedProcess[str]:
    """kumactl in a process of its own, whose output goes where the test says."""
    command = [sys.executable, "-c", KUMACTL, *argv]
    env = {**os.environ, "HOME": str(home), **environ}
    return run(command, stdout=stdout, stderr=stderr, stdin=DEVNULL, text=True, env=env, timeout=60)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "argv", [("get", "meshes"), ("version",), ("--help",), ("completion", "zsh"), ("export",)]
)
def test_output_that_goes_nowhere_is_a_sentence(
    home: Path, cp: RunningPlatform, argv: tuple[str, ...]
) -> None:
    configure(home, cp.api_url)
    with FULL.open("w") as full:
        done = kumactl_with(home, *argv, stdout=full)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Warning: This file")]
    assert done.returncode == 1
    assert errors[-1] == "Error: cannot write to standard output: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_disk_that_is_full_is_a_sentence(home: Path, cp: RunningPlatform, tmp_path: Path) -> None:
    """Python keeps what it could not write to a file, and would try again at its end."""
    configure(home, cp.api_url)
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); {KUMACTL}"
    with (tmp_path / "out").open("w") as out:
        command = [sys.executable, "-c", limited, "get", "meshes"]
        env = {**os.environ, "HOME": str(home)}
        done = run(command, stdout=out, stderr=PIPE, stdin=DEVNULL, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (1, "Error: cannot write to standard output: File too large\n")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_warnings_that_go_nowhere_stop_nothing(home: Path, cp: RunningPlatform, tmp_path: Path) -> None:
    configure(home, cp.api_url)
    file = tmp_path / "two.yaml"
    file.write_text("type: Mesh\nname: b{{gone}}\n---\ntype: Mesh\nname: UPPER\n---\ntype: Mesh\nname: c\n")
    with FULL.open("w") as full:
        done = kumactl_with(home, "apply", "-f", str(file), stderr=full)
        assert (done.returncode, done.stdout) == (1, 'created Mesh "b"\ncreated Mesh "c"\n')
        done = kumactl_with(home, "get", "meshes", "--log-level=info", stderr=full)
        assert (done.returncode, done.stdout.startswith("NAME")) == (0, True)
        assert kumactl_with(home, "get", "nonsense", stderr=full).returncode == 1
    for name in "bc":
        cp.delete(f"/meshes/{name}")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_a_device_is_written_to_and_stays_one(at: Call, tmp_path: Path) -> None:
    full = at("export", "-o", str(FULL))
    assert (full.code, full.out) == (1, "")
    assert full.err.endswith('Error: cannot write "/dev/full": No space left on device\n')
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert at("export", "-o", str(pipe)).code == 0
        assert os.read(reader, 65536).startswith(b"# kumactl export")
    finally:
        os.close(reader)
    places = ("--key-file", str(tmp_path / "k"), "--cert-file", str(pipe))
    refused = at("generate", "tls-certificate", "--type=client", *places)
    assert (refused.code, pipe.is_fifo(), (tmp_path / "k").exists()) == (1, True, False)
    assert f'could not write the cert file: "{pipe}": it is not a regular file' in refused.err


def test_an_encoding_without_the_character_is_a_sentence(home: Path) -> None:
    configure(home, "http://localhost/\N{RIGHTWARDS ARROW}")
    done = kumactl_with(home, "config", "view", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == r"Error: the encoding latin-1 of the output has no '\u2192'; set PYTHONIOENCODING=utf-8" + "\n"
    )


def test_a_byte_that_is_no_text_is_a_sentence(home: Path, cp: RunningPlatform) -> None:
    configure(home, cp.api_url)
    done = kumactl_with(home, "get", "dataplanes", "--mesh", os.fsdecode(b"a\xff"), PYTHONUTF8="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == r"Error: what was typed holds a byte that is not text of utf-8: '\udcff'" + "\n"


def test_on_a_terminal_a_token_ends_its_line(home: Path, cp: RunningPlatform) -> None:
    configure(home, cp.api_url)
    ours, its = pty.openpty()
    try:
        done = kumactl_with(home, "generate", "dataplane-token", "--name=x", stdout=its)
        assert (done.returncode, os.read(ours, 65536)[-2:]) == (0, b"\r\n")
    finally:
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize(
    "argv", [("apply",), ("revoke", "dataplane-token", "--token-file=-"), ("import", "-f", "-")]
)
@pytest.mark.parametrize(
    ("given", "reason"), [("<&-", "it is closed"), ("0>/dev/null", "Bad file descriptor")]
)
def test_input_that_cannot_be_read_is_a_sentence(
    home: Path, argv: tuple[str, ...], given: str, reason: str
) -> None:
    command = f'exec "$0" -c "$1" {" ".join(argv)} {given}'
    env = {**os.environ, "HOME": str(home)}
    done = run(
        ["bash", "-c", command, sys.executable, KUMACTL], capture_output=True, text=True, env=env, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.endswith(f": {reason}\n")


def test_a_token_for_nobody_is_no_traceback(home: Path, cp: RunningPlatform) -> None:
    configure(home, cp.api_url)
    command = 'exec "$0" -c "$1" generate dataplane-token --name=x >&-'
    env = {**os.environ, "HOME": str(home)}
    done = run(["bash", "-c", command, sys.executable, KUMACTL], stderr=PIPE, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
