"""``kuma-dp run`` with the real Envoy: traffic flows through it, and it never outlives kuma-dp."""

from __future__ import annotations

import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import (
    KUMA_DP,
    KUMA_TCP_ECHO,
    REAL_ENVOY,
    SERVICE,
    WITHOUT_ENVOY,
    FakeControlPlane,
    Program,
    free_port,
    is_alive,
    wait_for,
)

Start = Callable[..., Program]
pytestmark = [
    pytest.mark.skipif(not Path(REAL_ENVOY).exists(), reason=WITHOUT_ENVOY),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

BOOTSTRAP = """
node: {{id: default.web-1, cluster: web}}
admin:
  address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}
static_resources:
  listeners:
  - name: inbound
    address: {{socket_address: {{address: 127.0.0.1, port_value: {inbound}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: inbound
          cluster: service
"""
BOOTSTRAP += SERVICE


class Running:
    """A kuma-dp whose real Envoy is live."""

    def __init__(self, program: Program, admin: int, inbound: int) -> None:
        self.program, self.admin, self.inbound = program, admin, inbound
        wait_for(self.live, "Envoy to be live")
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        [self.envoy] = map(int, children)

    def live(self) -> bool:
        assert self.program.process.poll() is None, self.program.err
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/ready", timeout=2) as answer:
                return answer.read().strip() == b"LIVE"
        except OSError:
            return False


@pytest.fixture
def running(start: Start, control_plane: FakeControlPlane, tmp_path: Path) -> Iterator[Running]:
    admin, inbound, service = free_port(), free_port(), free_port()
    start(KUMA_TCP_ECHO, f"-port={service}", "-interface=127.0.0.1", "-name=web-1")
    text = BOOTSTRAP.format(admin=admin, inbound=inbound, service=service)
    control_plane.bootstrap = (200, text.encode())
    flags = [f"--cp-address={control_plane.url}", f"--binary-path={REAL_ENVOY}", f"--admin-port={admin}"]
    (tmp_path / "token").write_text("abc.def.ghi")
    flags += ["--dataplane-token-file=token", "--log-level=info"]
    dp = Running(start(KUMA_DP, "run", "--name=web-1", *flags), admin, inbound)
    yield dp
    if is_alive(dp.envoy):
        dp.program.process.kill()
        wait_for(lambda: not is_alive(dp.envoy), "the end of Envoy")


def test_traffic_flows_and_scenario_64_sigterm_ends_all(running: Running, tmp_path: Path) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.inbound}/path", timeout=5) as answer:
        assert answer.headers["X-Instance"] == "web-1"
        assert answer.read().startswith(b"GET /path HTTP/1.1\r\n")
    running.program.signal(signal.SIGTERM)
    assert running.program.end(5) == 0
    assert "] exiting\n" in running.program.err, "Envoy should have had the time to end by itself"
    assert not is_alive(running.envoy)
    assert list((tmp_path / "tmp").glob("kuma-dp-*")) == []
    socket.create_server(("127.0.0.1", running.inbound)).close()


def test_an_envoy_that_somebody_tells_to_end_is_a_failure(running: Running) -> None:
    """A supervisor starts both again only after a failure."""
    request = urllib.request.Request(f"http://127.0.0.1:{running.admin}/quitquitquit", method="POST")
    urllib.request.urlopen(request, timeout=5).close()
    assert running.program.end(10) == 1
    assert "ended although kuma-dp did not ask it to" in running.program.err.splitlines()[-1]


def test_the_real_envoy_dies_with_a_kuma_dp_that_was_killed(running: Running) -> None:
    os.kill(running.program.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(running.envoy), "the end of Envoy", 5)


def test_kuma_dp_stays_below_19_mb_and_gives_back_what_preparing_took(
    running: Running, record_property: Callable[[str, object], None]
) -> None:
    threads = Path(f"/proc/{running.program.pid}/task")
    wait_for(
        lambda: len(list(threads.iterdir())) == 2,
        "two threads: one that waits for signals and follows the token, one that reads logs",
    )
    rollup = Path(f"/proc/{running.program.pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup[1:]}
    print(f"kuma-dp beside a live Envoy: RSS {sizes['Rss']} kB, PSS {sizes['Pss']} kB")
    for name in ("Rss", "Pss"):
        record_property(name, sizes[name])
    assert sizes["Rss"] < 19_000
    assert "libssl" not in Path(f"/proc/{running.program.pid}/maps").read_text()


@pytest.mark.parametrize(
    ("bootstrap", "words"),
    [
        (b"no_such_field: 1\n", "no_such_field"),
        (b"when: 2020-99-99\n", "when"),
        (b"? [a]\n: b\n", "yaml-cpp"),
    ],
)
def test_a_bootstrap_that_envoy_refuses_ends_with_its_words(
    bootstrap: bytes, words: str, start: Start, control_plane: FakeControlPlane
) -> None:
    control_plane.bootstrap = (200, bootstrap)
    flags = [f"--cp-address={control_plane.url}", f"--binary-path={REAL_ENVOY}"]
    dp = start(KUMA_DP, "run", "--name=web-1", *flags)
    assert dp.end() == 1
    assert words in dp.err
    assert dp.err.splitlines()[-1] == (
        f"Error: envoy ({REAL_ENVOY}) ended with exit status 1; what it printed above says why"
    )
