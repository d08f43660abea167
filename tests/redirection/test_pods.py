"""What the rules do, between two Pods with real Envoys: with each back-end, by IPv4 and by IPv6."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kuma_core.redirection.choosing import NAMES

from .pods import (
    APPLICATION,
    CLOSED,
    DB,
    ENVOY,
    SERVED,
    SSH,
    UNKNOWN,
    WEB,
    Pod,
    has_ipv6,
    two_pods,
    usable,
)

LOOPBACK = {4: "127.0.0.1", 6: "::1"}


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pod, Pod]]:
    if not has_ipv6():
        pytest.skip("this kernel has no IPv6")
    with two_pods(tmp_path_factory.mktemp("pods")) as found:
        yield found


@pytest.mark.parametrize("back_end", NAMES)
def test_a_connection_takes_the_way_through_the_proxies_and_ends(
    pods: tuple[Pod, Pod], back_end: str
) -> None:
    web, db = pods
    usable(web, back_end)
    said = db.redirect(back_end)
    assert f"(IPv4 and IPv6) are redirected to port 15001 by {back_end}: inbound to all ports but 22" in said
    for version in (4, 6):
        own, other = WEB.own[version], DB.own[version]
        before = web.passed()
        calls = {
            (DB.service[version], 80): "db 127.0.0.1",
            (WEB.service[version], 80): "web 127.0.0.1",  # Envoy's call to its own Pod comes to the inbound
            (own, SERVED): "web 127.0.0.1",
            (own, UNKNOWN): f"web {own}",  # no listener: it passes, once
            (own, CLOSED): "",
            (other, UNKNOWN): f"db {other}",
            (LOOPBACK[version], UNKNOWN): f"web {LOOPBACK[version]}",
        }
        assert dict(zip(calls, web.call(APPLICATION, *calls), strict=True)) == calls
        from_outside = {
            (own, SERVED): "web 127.0.0.1",
            (own, UNKNOWN): f"web {own}",
            (own, CLOSED): "",
            (own, SSH): f"web {other}",  # past the proxy
        }
        assert dict(zip(from_outside, db.call(ENVOY, *from_outside), strict=True)) == from_outside
        assert web.passed() - before == 5, "each that has no listener passes once: none comes back"


def test_an_exempt_user_is_left_alone_and_others_are_not(pods: tuple[Pod, Pod]) -> None:
    web, db = pods
    db.init("--remove")
    web.init("-u", f"{ENVOY},1", "-g", "2")
    before = web.passed()
    assert [web.call(user, (DB.own[4], UNKNOWN)) for user in (1, 2, ENVOY)] == [[f"db {WEB.own[4]}"]] * 3
    assert web.passed() == before
    assert web.call(3, (DB.own[4], UNKNOWN)) == [f"db {WEB.own[4]}"]
    assert web.passed() == before + 1


def test_where_no_proxy_listens_nothing_gets_past_it(pods: tuple[Pod, Pod]) -> None:
    web, db = pods
    db.init("--remove")
    assert web.init("-u", str(ENVOY), "-p", "15009")
    for ips in (WEB.own, DB.own):
        caller = db if ips is WEB.own else web
        assert caller.call(APPLICATION, *((ip, UNKNOWN) for ip in ips.values())) == ["", ""]
    assert web.init("--remove").startswith("The rules of kuma-init are taken away.")
    assert db.call(APPLICATION, *((ip, UNKNOWN) for ip in WEB.own.values())) == [
        f"web {ip}" for ip in DB.own.values()
    ]
    assert web.init("--remove") == "There are no rules of kuma-init.\n"


def test_lists_of_ports_and_ranges(pods: tuple[Pod, Pod]) -> None:
    web, db = pods
    db.init("--remove")
    web.init("-u", str(ENVOY), "-b", str(SERVED), "-i", f"{DB.own[4]}/32", "-x", DB.own[4])
    before = web.passed()
    assert db.call(APPLICATION, *((ip, UNKNOWN) for ip in WEB.own.values())) == [
        f"web {ip}" for ip in DB.own.values()
    ]
    assert web.call(APPLICATION, *((ip, UNKNOWN) for ip in DB.own.values())) == [
        f"db {ip}" for ip in WEB.own.values()
    ]
    assert db.call(APPLICATION, (WEB.own[4], SERVED)) == ["web 127.0.0.1"]
    assert web.passed() == before


def test_what_an_earlier_run_set_up_by_another_back_end_goes(pods: tuple[Pod, Pod]) -> None:
    web, _ = pods
    for back_end in NAMES:
        usable(web, back_end)
        assert len(web.init("--remove", "--dry-run").split("<<'END'")) - 1 == 2, "one step for each family"
        assert ("nft -f -" in web.init("--remove", "--dry-run")) is (back_end == "nft")
    web.init("--remove")


def test_an_inbound_is_not_passed_by_at_an_address_that_it_does_not_have(tmp_path: Path) -> None:
    """With mTLS the port has to be closed to those who know the other address of its Pod."""
    if not has_ipv6():
        pytest.skip("this kernel has no IPv6")
    with two_pods(tmp_path, versions=[4]) as (web, db):
        web.init("-u", str(ENVOY))
        from_outside = {
            (WEB.own[4], SERVED): "web 127.0.0.1",
            (WEB.own[6], SERVED): "",
            (WEB.own[6], UNKNOWN): "",
            (WEB.own[6], SSH): f"web {DB.own[6]}",
        }
        assert dict(zip(from_outside, db.call(APPLICATION, *from_outside), strict=True)) == from_outside
        assert web.call(APPLICATION, (DB.own[6], UNKNOWN)) == [f"db {WEB.own[6]}"]
        assert web.passed() == 1, "on its way out it passes the proxy"
