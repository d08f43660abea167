"""``kuma-dp run`` as the user's document has it: its redis and its backend, on real Envoys."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from kuma_core.testing.waiting import eventually

from ..support import DATA, Shell, dataplane_token

RUN = "kuma-dp run --name={name} --mesh=default --cp-address=http://127.0.0.1:5681 {more}"


def run_dataplane(machine: Shell, name: str, more: str = "") -> Path:
    """Register a dataplane of the document and run it, with a token file as soon as tokens are asked for."""
    machine.good("kumactl apply -f -", (DATA / f"seed/{name}.yaml").read_text())
    token = dataplane_token(machine, name)
    return machine.start(RUN.format(name=name, more=f"{token} {more}"))[1]


def online(machine: Shell, name: str, log: Path) -> bool:
    """Whether it is; else a failure that shows what kuma-dp and Envoy wrote."""
    rows = [line.split() for line in machine.good("kumactl inspect dataplanes").splitlines()]
    shown = any(row[:2] == ["default", name] and "Online" in row for row in rows)
    assert shown, (rows, log.read_text()[-4000:])
    return shown


def answers(machine: Shell, port: int) -> bool:
    """Whether a service that repeats what it is told is behind that port."""
    return machine.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}; echo PING >&3; head -n 1 <&3").stdout == "PING\n"


def test_backend_consumes_redis_through_both_proxies(machine: Shell) -> None:
    """On 127.0.0.1:10000; and whoever calls redis directly does it at its proxy's port 9000."""
    machine.start("kuma-tcp-echo -port 6379")
    for name in ("redis-1", "backend-1"):
        log = run_dataplane(machine, name)
        eventually(partial(online, machine, name, log), 60, f"{name} online")
    for port in (9000, 10000):
        eventually(partial(answers, machine, port), 60, f"an answer at port {port}")


@pytest.mark.parametrize("how", ["KUMA_DATAPLANE_ADMIN_PORT=9901", "--admin-port=9901"])
def test_the_admin_api_of_envoy_is_where_it_was_asked_for(machine: Shell, how: str) -> None:
    """Envoy, in both spellings; the second one comes after the first has ended."""
    machine.good("kumactl apply -f -", (DATA / "seed/web-01.yaml").read_text())
    more = dataplane_token(machine, "web-01")
    environ, flag = ("", how) if how.startswith("--") else (how, "")
    process, log = machine.start(f"{environ} {RUN.format(name='web-01', more=f'{more} {flag}')}")
    try:
        info = "curl -s http://127.0.0.1:9901/server_info"
        eventually(lambda: '"state": "LIVE"' in machine.run(info).stdout, 60, f"Envoy's admin API: {log}")
        assert "web-01" in machine.good(info)
    finally:
        process.terminate()
        process.wait(timeout=20)
