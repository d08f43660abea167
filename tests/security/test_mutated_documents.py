"""Documents that are nearly right, by the hundred: each HTTP port answers every one, and none with a 5xx.

500 in every run, 20 000 in ``make chaos``. What is made up follows from a seed, which a failure tells.
"""

from __future__ import annotations

import copy
import http.client
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform

PLUGINS = [kuma_store_memory, kuma_ca_builtin, kuma_ca_provided, kuma_policy_traffic]
JSON = {"Content-Type": "application/json"}
EVERYBODY = [{"match": {"service": "*"}}]
WEB = dataplane("web-1", inbound("127.0.0.1:8080:80", "web"), outbounds=[outbound("127.0.0.1:9000", "echo")])
PROXY_TEMPLATE = {
    "conf": {
        "imports": ["default-proxy"],
        "modifications": [{"cluster": {"operation": "add", "value": "name: a\nconnectTimeout: 5s\n"}}],
    },
    "selectors": EVERYBODY,
}
POLICIES = {
    "traffic-permissions": ("TrafficPermission", {}),
    "traffic-routes": (
        "TrafficRoute",
        {"conf": {"split": [{"weight": 90, "destination": {"service": "echo"}}]}},
    ),
    "traffic-logs": ("TrafficLog", {"conf": {"backend": "file"}}),
    "health-checks": (
        "HealthCheck",
        {"conf": {"interval": "10s", "timeout": "2s", "unhealthyThreshold": 3, "healthyThreshold": 1}},
    ),
    "circuit-breakers": ("CircuitBreaker", {"conf": {"interval": "1s", "detectors": {"totalErrors": {}}}}),
    "fault-injections": (
        "FaultInjection",
        {
            "conf": {
                "delay": {"percentage": 50.5, "value": "5s"},
                "abort": {"httpStatus": 500, "percentage": 50},
            }
        },
    ),
}
Document = dict[str, Any]
Target = tuple[str, str, str, Document]
"""The setting of a port, a method, a path, and a body that is right."""


def targets() -> list[Target]:
    """What is written to, on every HTTP port that takes a body."""
    api, admin, boot = "apiServer.port", "adminServer.local.port", "bootstrapServer.port"
    whole = mesh(
        "shop",
        mtls={"enabled": True, "ca": {"builtin": {}}},
        metrics={"prometheus": {"port": 5670, "path": "/metrics"}},
        tracing={
            "defaultBackend": "z",
            "backends": [{"name": "z", "zipkin": {"url": "http://10.0.0.1:9411/api"}}],
        },
        logging={
            "defaultBackend": "f",
            "backends": [{"name": "f", "format": "%START_TIME%", "file": {"path": "/x"}}],
        },
    )
    found: list[Target] = [
        (api, "PUT", "/meshes/shop", whole),
        (api, "PUT", "/meshes/default/dataplanes/web-1", WEB),
        (
            api,
            "PUT",
            "/meshes/default/proxytemplates/t",
            {"type": "ProxyTemplate", "mesh": "default", "name": "t", **PROXY_TEMPLATE},
        ),
        (admin, "POST", "/tokens", {"name": "web-1", "mesh": "default", "validFor": "1h"}),
        (admin, "POST", "/tokens/revocations", {"token": "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"}),
        (admin, "POST", "/secrets/import", {"passphrase": "x" * 12, "archive": {}, "dryRun": True}),
        (boot, "POST", "/bootstrap", {"mesh": "default", "name": "web-1", "adminPorts": [9901]}),
    ]
    for path, (kind, conf) in POLICIES.items():
        document = {
            "type": kind,
            "mesh": "default",
            "name": "p",
            "sources": EVERYBODY,
            "destinations": EVERYBODY,
        }
        found.append((api, "PUT", f"/meshes/default/{path}/p", document | conf))
    return found


# -- how a document becomes another one

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 1e308, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**40,
    "", " ", "*", "0", "-1", "5s", "-5s", "9" * 60 + "s", "1h1h", "nan", "a\nb", "a\u202eb", "\x7f\x9b31m", "ä" * 300,
    "\ud800", "\x00", "%s%n", "../..", "${x}", "127.0.0.1:8080:80", ":0", "[::1]:80:80", "999.1.1.1:1:1", "a:b:c",
    "http://[", "name: [", "!!python/object:os.system x", "&a [*a, *a]", [], [[]], [None], {}, {"": {}},
    {"a": {"b": {}}},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def mutated(document: Document, chance: random.Random) -> Document:
    """A copy with a few values, keys or levels that are others."""
    changed = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        paths = list(places(changed))
        if paths:
            *above, last = chance.choice(paths)
            holder: Any = changed
            for key in above:
                holder = holder[key]
            chance.choice(CHANGES)(holder, last, chance)
    return changed


def other_value(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = copy.deepcopy(chance.choice(VALUES))


def gone(holder: Any, key: Any, chance: random.Random) -> None:
    del holder[key]


def other_key(holder: Any, key: Any, chance: random.Random) -> None:
    if isinstance(holder, dict):
        name = chance.choice(["", str(key).upper(), f"{key} ", "x" * 5000, "__proto__", "a.b[0]", "\x1b[31m"])
        holder[name] = holder.pop(key)


def many(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = [copy.deepcopy(holder[key]) for _ in range(chance.choice((2, 40)))]


def deep(holder: Any, key: Any, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 30, 70))):
        holder[key] = {"a": holder[key]}


def longer(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = f"{holder[key]}" * chance.choice((2, 100))


CHANGES: list[Callable[[Any, Any, random.Random], None]] = [
    other_value, other_value, other_value, gone, other_key, many, deep, longer,
]  # fmt: skip


def damaged(body: bytes, chance: random.Random) -> bytes:
    """In one of ten the text itself is broken."""
    if chance.random() > 0.1 or not body:
        return body
    place = chance.randrange(len(body))
    return chance.choice(
        (body[:place], body[:place] + chance.randbytes(3) + body[place:], body + body, b"\xff" + body)
    )


# -- the test


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS) as platform:
        platform.apply(mesh("default"), WEB)
        yield platform


class Client:
    """One connection for each port, as long as it lasts."""

    def __init__(self, cp: RunningPlatform) -> None:
        self._cp = cp
        self._open: dict[str, http.client.HTTPConnection] = {}

    def ask(self, setting: str, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        port = self._cp.platform.config.number(setting)
        connection = self._open.setdefault(setting, http.client.HTTPConnection("127.0.0.1", port, timeout=30))
        connection.request(method, path, body, JSON)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()


def tried(cp: RunningPlatform, count: int, seed: int) -> Counter[int]:
    """The statuses of so many documents; fails at the first that is a 5xx, with what was sent."""
    chance, wanted, client = random.Random(seed), targets(), Client(cp)
    statuses: Counter[int] = Counter()
    try:
        for number in range(count):
            setting, method, path, document = wanted[number % len(wanted)]
            body = damaged(json.dumps(mutated(document, chance)).encode(), chance)
            dry = setting == "apiServer.port" and chance.random() < 0.3
            target = f"{path}?dry-run=validate" if dry else path
            status, answer = client.ask(setting, method, target, body)
            statuses[status] += 1
            assert status < 500, (seed, number, method, target, body[:2000], answer[:2000])
    finally:
        client.close()
    return statuses


def is_well(cp: RunningPlatform, statuses: Counter[int], logged: list[logging.LogRecord]) -> None:
    """Afterwards it is ready, takes what is right, and has told of no traceback."""
    for _, method, path, document in targets()[:2]:
        assert cp.request(method, path, document).status in (200, 201)
    cp.catch_up()
    assert cp.request("GET", "/ready", port=cp.diagnostics).status == 200
    assert statuses[400] > statuses.total() / 4
    assert statuses[200] + statuses[201] > statuses.total() / 20
    assert [record for record in logged if record.exc_info] == []


def test_500_mutated_documents(cp: RunningPlatform, caplog: pytest.LogCaptureFixture) -> None:
    is_well(cp, tried(cp, 500, seed=12), caplog.records)


@pytest.mark.chaos
def test_20000_mutated_documents(cp: RunningPlatform, caplog: pytest.LogCaptureFixture) -> None:
    seed = random.randrange(2**32)
    statuses = tried(cp, 20_000, seed)
    print(f"\nseed {seed}: {dict(sorted(statuses.items()))}")
    is_well(cp, statuses, caplog.records)
