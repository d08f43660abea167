"""``/whoami`` and ``/can-i`` by the kernel's two groups alone, whatever the mode and the place."""

from __future__ import annotations

import pytest

import kuma_store_memory
from kuma_core.auth.contract import ADMINS, READERS
from kuma_core.testing.platform import running_platform

from .support import ELSEWHERE, HERE, Asker, mode

PUT = "/can-i?verb=put&kind=Dataplane&mesh=default&name=x&tag=service=web"
LIST = "/can-i?verb=list&kind=Dataplane"


@pytest.mark.parametrize(
    ("where", "name", "by", "rights"),
    [
        (("localhostIsAdmin", HERE), "localhost", "loopback", 3),
        (("localhostIsAdmin", ELSEWHERE), "nobody", "nobody", 2),
        (("token", HERE), "nobody", "nobody", 1),
        (("open", ELSEWHERE), "nobody", "nobody", 3),
    ],
)
def test_without_a_credential(where: tuple[str, str], name: str, by: str, rights: int) -> None:
    with running_platform([kuma_store_memory], mode(where[0])) as cp:
        ask = Asker(cp, where[1])
        found = ask("GET", "/whoami").body
        assert (found["name"], found["by"]) == (name, by)
        assert found["rights"] == ["public", "reader", "admin"][:rights]
        assert ask("GET", LIST).body["allowed"] is (rights >= 2)
        put = ask("GET", PUT).body
        assert put["allowed"] is (rights == 3)
        assert put["allowed"] or ADMINS in put["why"]


def test_with_a_token() -> None:
    with running_platform([kuma_store_memory], mode("token")) as cp:
        reader, team = Asker(cp, token=cp.user_token("ann", READERS)), Asker(cp, token=cp.user_token("bob"))
        assert reader("GET", "/whoami").body["groups"] == [READERS]
        assert [who("GET", LIST).body["allowed"] for who in (reader, team)] == [True, False]
        assert not reader("GET", PUT).body["allowed"]
        assert Asker(cp, token="no.token.atall")("GET", PUT).status == 401
        unknown = reader("GET", "/can-i?verb=get&kind=Secret")
        assert unknown.status == 400, "a kind that no API shows is no kind"
