"""``GET /events`` of a whole control plane: what is told, how a client goes on, and clients that misbehave."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.builtin.events import ring
from kuma_core.sdk import ChangeListener, Context, Event, Events, hookimpl
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.events_client import Follower, following
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

WEB = dataplane("web-1", inbound("10.0.0.5:80:80", "web"))


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as running:
        yield running


def clients(cp: RunningPlatform) -> float:
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    (line,) = [line for line in text.splitlines() if line.startswith("kuma_events_clients ")]
    return float(line.split()[1])


def named(name: str) -> dict[str, object]:
    return {**WEB, "name": name}


def test_the_catalog_says_where(cp: RunningPlatform) -> None:
    assert cp.get("/catalog").body["apis"]["events"] == {"url": f"http://localhost:{cp.events}"}


def test_writes_and_deletions_are_told_by_their_keys(cp: RunningPlatform) -> None:
    with following(cp) as client:
        cp.apply(named("told"))
        cp.delete("/meshes/default/dataplanes/told")
        deleted = client.wait_for("resource", op="delete", name="told")
        (put,) = client.of("resource", op="put", name="told")
    version = put.data.pop("version")
    assert version
    assert put.data == {"kind": "Dataplane", "mesh": "default", "op": "put", "name": "told"}
    assert deleted.data == {**put.data, "op": "delete"}
    assert client.told[0].type == "begin"


def test_a_write_that_changes_nothing_is_none(cp: RunningPlatform) -> None:
    with following(cp) as client:
        cp.apply(named("same"))
        client.wait_for("resource", name="same")
    with following(cp) as client:
        cp.apply(named("same"), named("other"))
        client.wait_for("resource", name="other")
        assert not client.of("resource", name="same")


def test_filters_by_mesh_and_kind(cp: RunningPlatform) -> None:
    with following(cp) as client:
        cp.apply(mesh("shop"))
        client.wait_for("resource", kind="Mesh", name="shop")
    with (
        following(cp, "mesh=shop&mesh=none") as shop,
        following(cp, "kind=Mesh&kind=TrafficLog") as meshes,
        following(cp, "kind=Dataplane&mesh=shop") as both,
    ):
        cp.apply(named("a"), {**named("b"), "mesh": "shop"}, mesh("shop", metrics={"prometheus": {}}))
        for client in (shop, meshes):
            client.wait_for("resource", kind="Mesh", name="shop")
        both.wait_for("resource", name="b")
        assert [item.data["name"] for item in shop.of("resource")] == ["b", "shop"]
        assert [item.data["name"] for item in meshes.of("resource")] == ["shop"]
        assert [item.data["name"] for item in both.of("resource")] == ["b"]


def test_a_mesh_that_is_deleted_while_it_is_watched_is_told_with_all_that_was_in_it(
    cp: RunningPlatform,
) -> None:
    cp.apply(mesh("gone"), {**named("in-it"), "mesh": "gone"})
    with following(cp, "mesh=gone") as client:
        assert cp.delete("/meshes/gone").status == 200
        client.wait_for("resource", op="delete", kind="Mesh", name="gone")
        client.wait_for("resource", op="delete", kind="Dataplane", name="in-it")
        cp.apply(mesh("gone"))
        client.wait_for("resource", op="put", kind="Mesh", name="gone")
        assert not client.ended.is_set()


def test_a_client_goes_on_behind_its_last_event(cp: RunningPlatform) -> None:
    with following(cp) as client:
        cp.apply(named("one"))
        last = client.wait_for("resource", name="one").id
    cp.apply(named("two"))
    with following(cp, last_id=last) as client:
        client.wait_for("resource", name="two")
        assert client.told[0].type == "begin"
        assert [item.data["name"] for item in client.of("resource")] == ["two"], "nothing twice, nothing lost"


@pytest.mark.parametrize("last", ["0123456789ab-3", "{epoch}-999999", "nonsense", "-1", "x" * 10_000])
def test_an_id_of_another_control_plane_or_the_future_has_the_client_read_anew(
    cp: RunningPlatform, last: str
) -> None:
    with following(cp) as client:
        epoch = client.told[0].id.partition("-")[0]
    with following(cp, last_id=last.format(epoch=epoch)) as client:
        assert client.told[0].type == "reset"
        assert client.told[0].data["reason"] == "this control plane does not know the event that you had last"
        cp.apply(named("after"))
        cp.delete("/meshes/default/dataplanes/after")
        client.wait_for("resource", name="after", op="delete")


def test_a_client_that_does_not_read_loses_its_place_and_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring.Ring.__init__, "__defaults__", (64,))
    with running_platform([kuma_store_memory]) as cp:
        slow = socket.create_connection(("127.0.0.1", cp.events))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: clients(cp) == 1)
        events = cp.offer("builtin.events", Events)
        with following(cp) as quick:
            for number in range(30):
                for piece in range(20):
                    text = {"name": f"{number}-{piece}", "text": "x" * 20_000}
                    events.publish(Event("filler", data=text))
                quick.wait_for("filler", name=f"{number}-19")
        slow.settimeout(30)
        found = b""
        while b'"you read slower than events come"' not in found:
            data = slow.recv(65536)
            assert data, "the server ended the stream"
            found = found[-200:] + data
        slow.close()
        eventually(lambda: clients(cp) == 0)


def test_clients_that_come_and_go_a_thousand_times_leave_nothing(cp: RunningPlatform) -> None:
    request = b"GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: x-1\r\n\r\n"
    begun = time.monotonic()
    for _ in range(1000):
        with socket.create_connection(("127.0.0.1", cp.events)) as client:
            client.sendall(request)
    print(f"1000 connections in {time.monotonic() - begun:.2f} s")
    with following(cp) as client:
        cp.apply(named("after-the-storm"))
        client.wait_for("resource", name="after-the-storm")
    eventually(lambda: clients(cp) == 0, what="no client")


@pytest.mark.parametrize(
    ("method", "path", "status", "details"),
    [
        ("GET", "/event", 404, "There is nothing but /events here"),
        ("POST", "/events", 405, "/events takes GET, OPTIONS"),
        (
            "GET",
            "/events?kind=Nonsense",
            400,
            'no events tell of a kind "Nonsense"; known are Dataplane, ',
        ),
        ("GET", "/events?kind=Secret", 400, 'no events tell of a kind "Secret"'),
        ("GET", "/events?size=1", 400, 'the query names "size"; mesh and kind are known'),
        ("GET", "/events?" + "mesh=a&" * 200, 400, "the query has more than 100 parts"),
        ("GET", "/events?mesh=%ff&x=%ff", 400, "the query names"),
    ],
)
def test_bad_requests_get_a_sentence(
    cp: RunningPlatform, method: str, path: str, status: int, details: str
) -> None:
    answer = cp.request(method, path, port=cp.events)
    assert (answer.status, answer.body["title"]) == (status, "Could not follow events")
    assert details in answer.body["details"]


class Weather:
    """A plugin that tells events of its own."""

    @hookimpl
    def kuma_register_change_listeners(self, context: Context) -> list[ChangeListener]:
        events = context.ask("builtin.events", Events)
        return [
            ChangeListener(
                lambda change: events.publish(Event("weather", mesh="default", data={"sun": True})), ("Mesh",)
            )
        ]


def test_a_plugin_tells_events_of_its_own() -> None:
    with running_platform([kuma_store_memory, Weather()]) as cp, following(cp, "mesh=default") as client:
        cp.apply(mesh("sunny"))
        assert client.wait_for("weather").data == {"mesh": "default", "sun": True}


def test_web_pages_may_follow_as_they_may_use_the_rest_api() -> None:
    pages = {"KUMA_API_SERVER_CORS_ALLOWED_DOMAINS": "http://gui.example"}
    with running_platform([kuma_store_memory], pages) as cp:
        for origin, allowed in (("http://gui.example", "http://gui.example"), ("http://evil.example", None)):
            with following(cp, Origin=origin) as client:
                assert client.headers.get("access-control-allow-origin") == allowed
                assert client.headers["vary"] == "Origin"
            asked = {"Origin": origin, "Access-Control-Request-Headers": "authorization"}
            answer = cp.request("OPTIONS", "/events", port=cp.events, **asked)
            assert answer.status == 200
            assert answer.headers.get("access-control-allow-headers") == (
                "authorization" if allowed else None
            )


def test_a_page_that_calls_us_by_a_name_of_its_own_is_refused(cp: RunningPlatform) -> None:
    """DNS rebinding: to its browser such a page is one of ours."""
    page = {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"}
    answer = cp.request("GET", "/events", port=cp.events, **page)
    assert answer.status == 403
    assert "evil.example" in answer.body["details"]
    with following(cp, Host="evil.example") as program, following(cp, **page | {"Host": "localhost"}) as ours:
        assert program.status == ours.status == 200


def test_clients_do_not_hold_up_the_end_of_a_control_plane() -> None:
    with running_platform([kuma_store_memory]) as cp:
        followers = [Follower(cp.events) for _ in range(20)]
        deaf = socket.create_connection(("127.0.0.1", cp.events))
        deaf.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: clients(cp) == 21)
        begun = time.monotonic()
    assert time.monotonic() - begun < 10, "as long as a server is given to end"
    for follower in followers:
        assert follower.ended.wait(5)
        follower.close()
    deaf.close()
