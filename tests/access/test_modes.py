"""Who may do what without a credential, in each mode; what is of this machine, and what is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.auth.contract import ADMINS, READERS
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import ELSEWHERE, HERE, STRANGERS, Asker, mode, user_token

SHOP = mesh("shop")
PUBLIC, READ, DUMP = "/kinds", "/meshes", "/meshes/default/dataplanes/none/xds"


@pytest.fixture(scope="module")
def default() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as cp:
        yield cp


@pytest.fixture(scope="module")
def closed() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory], mode("token")) as cp:
        yield cp


@pytest.fixture(scope="module")
def opened() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory], mode("open")) as cp:
        yield cp


def statuses(ask: Asker) -> list[int]:
    """What becomes of something public, of a list, of a dump, and of a write."""
    answers = [ask("GET", path) for path in (PUBLIC, READ, DUMP)]
    return [*(answer.status for answer in answers), ask("PUT", "/meshes/shop", SHOP).status]


@pytest.mark.parametrize("address", STRANGERS)
def test_strangers_read_by_default(default: RunningPlatform, address: str) -> None:
    assert statuses(Asker(default, address)) == [200, 200, 401, 401]


@pytest.mark.parametrize("address", [HERE, "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_does_everything_by_default(default: RunningPlatform, address: str) -> None:
    assert statuses(Asker(default, address)) in ([200, 200, 404, 200], [200, 200, 404, 201])


@pytest.mark.parametrize("address", [HERE, *STRANGERS])
def test_nobody_gets_more_than_what_is_public_where_tokens_are_asked_for(
    closed: RunningPlatform, address: str
) -> None:
    assert statuses(Asker(closed, address)) == [200, 401, 401, 401]


def test_everybody_does_everything_where_it_is_open(opened: RunningPlatform) -> None:
    assert statuses(Asker(opened)) in ([200, 200, 404, 200], [200, 200, 404, 201])


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Anything", "Via", "X-Real-IP"],
)
def test_what_was_passed_on_is_not_of_this_machine(default: RunningPlatform, header: str) -> None:
    """Also over the wire: the server leaves these headers as they are."""
    assert default.request("PUT", "/meshes/shop", SHOP, **{header: HERE}).status == 401
    answer = Asker(default, HERE)("PUT", "/meshes/shop", SHOP, **{header: ""})
    assert answer.status == 401
    assert "by way of something in between" in answer.body["details"]


def test_what_was_passed_on_to_the_socket_is_nobody_who_may_use_it(
    default: RunningPlatform, closed: RunningPlatform
) -> None:
    wanted = {"name": "web-1", "mesh": "default"}
    for cp in (default, closed):
        assert (
            cp.request("POST", "/tokens", wanted, cp.admin_socket, **{"X-Forwarded-For": HERE}).status == 401
        )
        assert cp.request("POST", "/tokens", wanted, cp.admin_socket).status == 200


def test_strangers_take_no_fences_of_those_who_write(
    default: RunningPlatform, opened: RunningPlatform
) -> None:
    assert Asker(default)("POST", "/in-force").status == 401
    assert Asker(default, HERE)("POST", "/in-force").status == 201
    assert Asker(default, token=default.user_token("ann", READERS))("POST", "/in-force").status == 201
    assert Asker(opened)("POST", "/in-force").status == 201


def test_a_page_of_another_origin_reads_as_strangers_do(default: RunningPlatform) -> None:
    ask = Asker(default, HERE)
    page = {"Origin": "http://elsewhere.example"}
    assert ask("GET", READ, **page).status == 200
    assert ask("GET", DUMP, **page).status == 401
    assert ask("GET", DUMP, Referer="http://elsewhere.example/page").status == 401
    assert ask("GET", DUMP, **{"Sec-Fetch-Site": "cross-site"}).status == 401
    assert ask("GET", DUMP, Origin="http://localhost").status == 404, "its own origin"


def test_a_refusal_says_what_is_missing_and_what_helps(default: RunningPlatform) -> None:
    answer = Asker(default)("PUT", "/meshes/shop", SHOP)
    assert answer.headers["www-authenticate"] == "Bearer"
    said = answer.body["details"]
    assert answer.body["title"] == "Access denied"
    for part in (
        ELSEWHERE,
        "put Mesh 'shop'",
        "the right of an admin",
        "kumactl generate user-token",
        "--auth-type=token",
        "Unix socket",
        "apiServer.auth.mode (KUMA_API_SERVER_AUTH_MODE)",
    ):
        assert part in said


def test_a_token_counts_and_nothing_beside_it(default: RunningPlatform, closed: RunningPlatform) -> None:
    for cp in (default, closed):
        admin, reader, other = (user_token(cp, "ann", *groups) for groups in ([ADMINS], [READERS], ["x"]))
        assert statuses(Asker(cp, token=admin)) in ([200, 200, 404, 201], [200, 200, 404, 200])
        assert statuses(Asker(cp, token=reader)) == [200, 200, 403, 403]
        for address in (HERE, ELSEWHERE):
            assert statuses(Asker(cp, address, other)) == [200, 403, 403, 403]


@pytest.mark.parametrize("address", [HERE, ELSEWHERE])
def test_a_token_that_is_good_for_nothing_makes_nobody_an_admin(
    default: RunningPlatform, address: str
) -> None:
    refused = Asker(default, address, "rubbish")("GET", READ)
    assert refused.status == 401
    assert "it is no user's token" in refused.body["details"]
    dataplanes = default.token("web-1")
    assert Asker(default, address, dataplanes)("GET", READ).status == 401


def test_credentials_for_others_in_between_are_none_of_ours(default: RunningPlatform) -> None:
    assert Asker(default, HERE)("GET", READ, Authorization="Basic dXNlcjp3b3Jk").status == 200


def test_admin_routes_on_loopback_follow_the_mode(default: RunningPlatform, closed: RunningPlatform) -> None:
    wanted = {"name": "web-1", "mesh": "default"}
    assert default.request("POST", "/tokens", wanted, default.admin).status == 200
    assert default.request("POST", "/tokens", wanted, default.admin, Via="x").status == 401
    assert closed.request("POST", "/tokens", wanted, closed.admin).status == 401
    assert closed.request("POST", "/tokens", wanted, closed.admin_socket).status == 200
    admin = {"Authorization": f"Bearer {user_token(closed, 'ann', ADMINS)}"}
    assert closed.request("POST", "/tokens", wanted, closed.admin, **admin).status == 200


def test_events_and_metrics_are_for_readers(default: RunningPlatform, closed: RunningPlatform) -> None:
    assert closed.request("GET", "/events?mesh=default", port=closed.events).status == 401
    assert closed.request("GET", "/metrics", port=closed.diagnostics).status == 401
    assert default.request("GET", "/metrics", port=default.diagnostics).status == 200
    for path in ("/healthy", "/ready"):
        assert closed.request("GET", path, port=closed.diagnostics).status == 200
    reader = {"Authorization": f"Bearer {user_token(closed, 'ann', READERS)}"}
    assert closed.request("GET", "/metrics", port=closed.diagnostics, **reader).status == 200
    other = {"Authorization": f"Bearer {user_token(closed, 'ann')}"}
    assert closed.request("GET", "/events", port=closed.events, **other).status == 403
