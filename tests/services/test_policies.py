"""What one policy resource does in a mesh, and what ``/meshes/{mesh}/policies`` tells of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.builtin.services.influence import Influences
from kuma_core.builtin.services.lag import MOST_AT_ONCE, UNKNOWN, Lags
from kuma_core.builtin.services.picture import OFFLINE
from kuma_core.builtin.services.policy_picture import detail, summary
from kuma_core.errors import Busy, KumaError
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import Behind

from .support import CATALOG, ENCRYPTED, PLAIN, mapped, online
from .test_map import LEDGER, WEB, policy, shares

POLICIES = {item.kind: item for item in CATALOG.policies}
CALL = {"source": "web", "destination": "ledger"}


def told(kind, name, *documents, lag=None, **statuses):
    """The detail of one resource; proxies are online unless another status is given."""
    mesh = mapped(*documents)
    known = {**online(mesh), **{key.replace("_", "-"): word for key, word in statuses.items()}}
    return detail(Influences(mesh), POLICIES[kind], name, known, lambda one: (lag or {}).get(one, ""))


def test_a_route_names_the_connection_that_it_leads_and_the_proxy_that_does():
    found = told("TrafficRoute", "r", PLAIN, WEB, *LEDGER, policy("TrafficRoute", "r", conf=shares((1, {}))))
    assert found["connections"] == {"total": 1, "items": [{**CALL, "clients": 1}]}
    assert found["sources"] == [{"service": "web"}]
    assert found["state"] == "applies"
    proxy = {"dataplane": "web-1", "status": "Online", "taken": True, "reason": ""}
    assert found["proxies"] == {"taken": 1, "total": 1, "items": [proxy]}


def test_the_loser_names_the_winner_and_why():
    both = [
        policy("TrafficRoute", name, source, conf=shares((1, {})))
        for name, source in (("a", "*"), ("b", "web"))
    ]
    found = told("TrafficRoute", "a", PLAIN, WEB, *LEDGER, *both)
    assert (found["state"], found["connections"]["total"], found["proxies"]["total"]) == ("neverWins", 0, 0)
    why = '"b" ranks higher: 2 tags, 2 of them exact against 2 tags, 1 of them exact'
    assert found["losesAt"]["items"] == [{**CALL, "clients": 1, "against": "b", "reason": why}]
    assert told("TrafficRoute", "b", PLAIN, WEB, *LEDGER, *both)["losesAt"]["total"] == 0


def test_where_ranks_are_equal_the_name_decides():
    logs = [policy("TrafficLog", name) for name in "ab"]
    (lost,) = told("TrafficLog", "b", PLAIN, WEB, *LEDGER, *logs)["losesAt"]["items"]
    assert lost["reason"] == '"a" has the same rank, and its name comes first'


def test_a_permission_names_the_connections_that_it_lets_in_and_the_inbounds():
    found = told("TrafficPermission", "p", ENCRYPTED, WEB, *LEDGER, policy("TrafficPermission", "p"))
    assert found["connections"]["items"] == [CALL]
    assert found["inbounds"] == {"total": 1, "items": [{"service": "ledger", "dataplanes": 2}]}
    assert [item["dataplane"] for item in found["proxies"]["items"]] == ["ledger-1", "ledger-2"]


def test_a_permission_lets_nobody_in_where_mtls_is_off():
    found = told("TrafficPermission", "p", PLAIN, WEB, *LEDGER, policy("TrafficPermission", "p"))
    assert (found["connections"]["total"], found["inbounds"]["total"]) == (0, 1)


def test_a_health_check_follows_where_the_route_leads():
    led = dataplane("vault-1", inbound("127.0.0.5:9000:1", "vault"))
    route = policy("TrafficRoute", "r", conf=[{"weight": 1, "destination": {"service": "vault"}}])
    documents = (PLAIN, WEB, *LEDGER, led, route)
    checks = [policy("HealthCheck", "vault", destination="vault"), policy("HealthCheck", "ledger")]
    assert told("HealthCheck", "vault", *documents, *checks)["connections"]["items"] == [
        {**CALL, "clients": 1}
    ]
    assert told("HealthCheck", "ledger", *documents, *checks)["state"] == "matchesNothing"


def test_a_template_names_the_proxies_that_it_is_for():
    templates = [
        {
            "type": "ProxyTemplate",
            "mesh": "default",
            "name": name,
            "selectors": [{"match": {"service": service}}],
        }
        for name, service in (("all", "*"), ("web", "web"))
    ]
    found = told("ProxyTemplate", "all", PLAIN, WEB, *LEDGER, *templates)
    assert [item["dataplane"] for item in found["proxies"]["items"]] == ["ledger-1", "ledger-2"]
    assert [(item["source"], item["against"]) for item in found["losesAt"]["items"]] == [("web", "web")]


def test_proxies_that_have_not_taken_it_come_first_and_say_why():
    documents = (ENCRYPTED, WEB, *LEDGER, policy("TrafficPermission", "p"))
    found = told("TrafficPermission", "p", *documents, ledger_2=OFFLINE)
    assert found["proxies"]["taken"] == 1
    assert found["proxies"]["items"][0]["dataplane"] == "ledger-2"
    assert found["proxies"]["items"][0]["reason"] == "it takes it when it connects"
    held = told("TrafficPermission", "p", *documents, lag={"ledger-1": "it refuses"})
    assert held["proxies"]["items"][0]["reason"] == "it refuses"


def test_one_that_matches_nothing_says_so_in_a_list():
    mesh = mapped(PLAIN, WEB, *LEDGER, policy("TrafficLog", "idle", source="nobody"))
    found = summary(Influences(mesh), POLICIES["TrafficLog"], "idle")
    assert (found["state"], found["connections"], found["proxies"]) == ("matchesNothing", 0, 0)


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin]) as found:
        found.apply(ENCRYPTED, WEB, *LEDGER, policy("TrafficPermission", "p"), policy("TrafficLog", "log"))
        eventually(lambda: found.get("/meshes/default/policies/traffic-logs").body["items"])
        yield found


def test_kinds_of_policies_are_counted(cp: RunningPlatform) -> None:
    items = {item["kind"]: item for item in cp.get("/meshes/default/policies").body["items"]}
    assert items["TrafficPermission"] == {
        "kind": "TrafficPermission",
        "path": "traffic-permissions",
        "plugin": "kuma_policy_traffic",
        "scope": "inbound",
        "letsIn": True,
        "total": 1,
    }
    assert items["TrafficRoute"]["total"] == 0


def test_kinds_say_which_of_them_are_policies(cp: RunningPlatform) -> None:
    found = {item["name"]: item.get("policy") for item in cp.get("/kinds").body["kinds"]}
    assert (found["TrafficRoute"], found["TrafficPermission"], found["Dataplane"]) == (
        "route",
        "inbound",
        None,
    )


def test_a_list_is_searched_and_cut_as_any(cp: RunningPlatform) -> None:
    cp.apply(policy("TrafficLog", "other", source="nobody"))
    path = "/meshes/default/policies/traffic-logs"
    eventually(lambda: len(cp.get(path).body["items"]) == 2)
    page = cp.get(f"{path}?size=1&sort=-name").body
    assert [(item["name"], item["state"]) for item in page["items"]] == [("other", "matchesNothing")]
    assert page["total"] == 2
    assert cp.get(f"{path}?q=lo").body["total"] == 1


def test_a_proxy_that_connects_takes_it(cp: RunningPlatform) -> None:
    path = "/meshes/default/policies/traffic-logs/log"
    assert cp.get(path).body["proxies"]["taken"] == 0
    with fleet(cp) as envoys:
        envoys.connect(DeltaClient("default.web-1"))
        eventually(lambda: cp.get(path).body["proxies"]["taken"] == 1)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere/policies", 'no Mesh "nowhere"'),
        ("default/policies/nonsense", 'the path "nonsense"; there are: health-checks'),
        ("default/policies/traffic-logs/nobody", 'no TrafficLog "nobody"'),
    ],
)
def test_what_is_not_there_is_told(cp: RunningPlatform, path: str, words: str) -> None:
    answer = cp.get(f"/meshes/{path}")
    assert answer.status == 404
    assert words in answer.body["details"]


class Streams:
    """Streams that answer when they may, or not at all."""

    def __init__(self, error: KumaError | None = None) -> None:
        self.error, self.asked, self.may_answer = error, threading.Semaphore(0), threading.Event()

    def behind_newest(self, meshes):
        self.asked.release()
        self.may_answer.wait(60)
        if self.error:
            raise self.error
        return {("default", "web-1"): Behind("it refuses", 1)}

    def mark(self):
        return 0

    def newest(self, meshes):
        return 0


def test_readers_wait_for_no_more_than_a_few_answers():
    streams = Streams()
    lags = Lags(streams)
    found = []
    waiting = [threading.Thread(target=lambda: found.append(lags.of("default"))) for _ in range(MOST_AT_ONCE)]
    for thread in waiting:
        thread.start()
        assert streams.asked.acquire(timeout=60)
    assert lags.of("default")("web-1") == UNKNOWN
    streams.may_answer.set()
    for thread in waiting:
        thread.join(60)
    assert [lag("web-1") for lag in found] == ["it refuses"] * MOST_AT_ONCE
    assert lags.of("default")("ledger-1") == ""


def test_streams_that_do_not_answer_are_no_error_of_a_reader():
    streams = Streams(Busy("the streams did not answer"))
    streams.may_answer.set()
    assert Lags(streams).of("default")("web-1") == UNKNOWN
