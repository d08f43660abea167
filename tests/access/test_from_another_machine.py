"""From another machine, over a real network: strangers read by default, and users work over HTTPS with a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.waiting import eventually

from ..conformance.support import Shell
from ..namespaces import FAR, two_machines

HOST = "cp.example.com"
WEB = dataplane("web-1", inbound(f"{FAR}:10001:9001", "web"))
PERMISSION = {
    "type": "TrafficPermission",
    "mesh": "default",
    "name": "all",
    "sources": [{"match": {"service": "*"}}],
    "destinations": [{"match": {"service": "*"}}],
}


class Two:
    """The machine of a control plane, and that of an operator."""

    def __init__(self, cp: Shell, op: Shell) -> None:
        self.cp, self.op = cp, op

    def start(self, mode: str) -> None:
        settings = {
            "general": {"advertisedHostname": HOST},
            "apiServer": {"auth": {"mode": mode}},
        }
        (self.cp.home / "kuma-cp.yaml").write_text(yaml.safe_dump(settings))
        self.cp.control_plane("kuma-cp run -c kuma-cp.yaml")

    def curl(self, path: str, method: str = "GET", body: object = None, *more: str) -> tuple[int, str]:
        """What a stranger gets at the operator's machine."""
        data = [] if body is None else ["-d", f"'{json.dumps(body)}'"]
        words = ["curl", "-s", "-w", "'\\n%{http_code}'", "-X", method, *data, *more]
        said = self.op.good(" ".join([*words, f"http://{HOST}:{path}"]))
        text, _, status = said.rpartition("\n")
        return int(status), text


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    for name in ("cp", "op"):
        (tmp_path / name).mkdir()
    with two_machines(tmp_path, HOST) as (near, far), ExitStack() as stack:
        yield Two(Shell(tmp_path / "cp", stack, near), Shell(tmp_path / "op", stack, far))


def test_strangers_read_by_default_and_each_measured_attack_is_refused(two: Two) -> None:
    two.start("localhostIsAdmin")
    two.cp.good("kumactl apply -f -", yaml.safe_dump(WEB))
    assert two.curl("5681/meshes/default/dataplanes/web-1")[0] == 200
    thief = {**WEB, "networking": {"inbound": [{"interface": f"{FAR}:1:2", "tags": {"service": "echo"}}]}}
    log = {"type": "TrafficLog", "mesh": "default", "name": "x", "sources": [], "destinations": []}
    template = {"type": "ProxyTemplate", "mesh": "default", "name": "x"}
    for path, body in (
        ("dataplanes/web-1", thief),
        ("traffic-logs/x", log),
        ("proxytemplates/x", template),
    ):
        status, text = two.curl(f"5681/meshes/default/{path}", "PUT", body)
        assert status == 401
        assert "Access denied" in text
        assert FAR in text
    assert two.curl("5681/meshes/default", "PUT", mesh("default"))[0] == 401
    assert (
        two.curl("5681/meshes/default", "PUT", mesh("default"), "-H", "'X-Forwarded-For: 127.0.0.1'")[0]
        == 401
    )
    assert two.curl("5681/meshes/default", "DELETE")[0] == 401
    assert two.curl("5681/meshes/default/dataplanes/web-1/xds")[0] == 401
    assert two.curl("5681/audit")[0] == 401
    assert "Access denied" in two.op.good(
        f"curl -sk -X PUT -d '{json.dumps(mesh('default'))}' https://{HOST}:5686/meshes/default"
    )
    two.op.good(f"kumactl config control-planes add --name=cp --address=http://{HOST}:5681")
    assert "web-1" in two.op.good("kumactl get dataplanes")
    refused = two.op.run("kumactl delete dataplane web-1")
    assert refused.returncode == 1
    assert "kumactl generate user-token" in refused.stderr
    told = two.cp.good("kumactl get audit -o json")
    denied = [item for item in json.loads(told)["items"] if item["result"] == "denied"]
    assert {item["address"].removeprefix("::ffff:") for item in denied} == {FAR}


def test_the_document_over_https_with_a_token(two: Two) -> None:
    cp, op = two.cp, two.op
    two.start("token")
    assert two.curl("5681/meshes")[0] == 401
    assert cp.run("curl -sf http://localhost:5681/meshes").returncode != 0, "not even on its own machine"
    cp.good("kumactl generate user-token --name=ann --group=kuma:admin --valid-for=1h > ann-token")
    cp.good("kumactl inspect control-plane-ca > ca.pem")
    for name in ("ann-token", "ca.pem"):
        (op.home / name).write_bytes((cp.home / name).read_bytes())
    add = "kumactl config control-planes add --name=cp --auth-type=token --auth-token-file=ann-token"
    plain = op.run(f"{add} --address=http://{HOST}:5681")
    assert (plain.returncode, "--allow-plain" in plain.stderr) == (1, True)
    untrusted = op.run(f"{add} --address=https://{HOST}:5686")
    assert (untrusted.returncode, "certificate verify failed" in untrusted.stderr) == (1, True)
    op.good(f"{add} --address=https://{HOST}:5686 --ca-cert=ca.pem")
    for document in (mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}), WEB, PERMISSION):
        op.good("kumactl apply -f -", yaml.safe_dump(document))
    assert op.good("kumactl get meshes").splitlines()[1].split()[:3] == ["default", "on", "builtin"]
    assert "all" in op.good("kumactl explain web web")
    op.good("kumactl generate dataplane-token --dataplane=web-1 > web-1-token")
    op.start(f"kuma-dp run --name=web-1 --cp-address=http://{HOST}:5681 --dataplane-token-file=web-1-token")
    eventually(
        lambda: "Online" in op.run("kumactl inspect dataplanes").stdout, 60, what="the proxy is connected"
    )
    assert "inbound" in op.good("kumactl inspect xds web-1")
    assert "web-1" in op.good("kumactl export")
    op.good("kumactl delete traffic-permission all")
    told = json.loads(op.good("kumactl get audit -o json"))["items"]
    (deleted,) = [item for item in told if item.get("result") == "deleted"]
    assert (deleted["user"], deleted["by"]) == ("ann", "token")
    assert (op.home / "ann-token").read_text()[-40:] not in json.dumps(told)
    op.good("kumactl revoke user-token --token-file=ann-token")
    revoked = eventually(lambda: (found := op.run("kumactl get meshes")).returncode and found)
    assert "it was revoked" in revoked.stderr
