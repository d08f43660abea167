"""The names in certificates: any service has one, and no two share it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.specs.spiffe import LONGEST, id_problem, spiffe_id, trust_domain_id

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("web", "web"),
        ("web_a.b-c~1", "web_a.b-c~1"),
        ("web.shop.svc:80", "web.shop.svc:80"),
        ("a/b@c!$&'()*+,;=", "a/b@c!$&'()*+,;="),
        ("caf\u00e9", "caf%C3%A9"),
        ("cafe\u0301", "cafe%CC%81"),
        ("o\u2019clock", "o%E2%80%99clock"),
        ("\U0001f600", "%F0%9F%98%80"),
        ("a\u00a0b", "a%C2%A0b"),
        ("a\u200bb", "a%E2%80%8Bb"),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("caf%C3%A9", "caf%25C3%25A9"),
        ("a?b#c", "a%3Fb%23c"),
        ('<"{|}\\^`>', "%3C%22%7B%7C%7D%5C%5E%60%3E"),
        ("a\r\n\x7f", "a%0D%0A%7F"),
    ],
)
def test_what_a_uri_cannot_hold_is_encoded(service: str, path: str) -> None:
    assert spiffe_id("shop", service) == f"spiffe://shop/{path}"
    assert id_problem("shop", service) == ""


@given(st.text(min_size=1, max_size=40))
def test_every_service_has_an_id_of_its_own(service: str) -> None:
    found = spiffe_id("shop", service)
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert unquote(found.removeprefix("spiffe://shop/"), errors="surrogatepass") == service


def test_what_is_no_utf_8_or_too_long_fits_no_certificate() -> None:
    room = LONGEST - len("spiffe://shop/")
    assert id_problem("shop", "x" * room) == ""
    assert "has 2049 bytes of 2048" in id_problem("shop", "x" * (room + 1))
    assert "is too long for a certificate" in id_problem("shop", "\U0001f600" * (room // 12 + 1))
    assert id_problem("shop", "\ud800") == "is no UTF-8, so that no certificate can hold it"


def test_the_id_is_written_in_one_place() -> None:
    sources = [*(ROOT / "kuma_core").rglob("*.py"), *(ROOT / "plugins").glob("*/kuma_*/**/*.py")]
    writers = [path.name for path in sources if re.search(r"""f["']spiffe://""", path.read_text("utf-8"))]
    assert writers == ["spiffe.py"]
    assert trust_domain_id("shop") == "spiffe://shop"
