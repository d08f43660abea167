"""Hosts as operators write them, and what is wrong with those that are none."""

from __future__ import annotations

import pytest

from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
from kuma_core.config import Config, build_config
from kuma_core.errors import ConfigError
from kuma_core.hosts import host_problem, in_url, parse_hosts
from kuma_core.testing.platform import make_catalog


def configured(**environ: str) -> Config:
    return autoconfigured(build_config(make_catalog([]).settings, {}, "the file", environ))


@pytest.mark.parametrize(
    "text", ["localhost", "cp.example.com", "cp.example.com.", "10.0.0.1", "::1", "[::1]", "a_b"]
)
def test_hosts(text: str) -> None:
    assert host_problem(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("http://x", "has a scheme"),
        ("127.0.0.1:5678", "has a port"),
        ("127.0.0.1/", "has a slash"),
        ("a,b", "names several hosts"),
        ("a b", "is no host name"),
        (" a", "is no host name"),
        ("-a", "is no host name"),
        ("a..b", "is no host name"),
        ("x" * 300, "is no host name"),
        ("[::1", "is no host name"),
        ("fe80::1%eth0", None),
    ],
)
def test_what_is_no_host(text: str, problem: str | None) -> None:
    found = host_problem(text)
    assert found is None if problem is None else found and found.startswith(problem)


@pytest.mark.parametrize("value", ["http://x", "127.0.0.1:5678", "127.0.0.1/", "a b", "a,b", " x"])
def test_the_setting_that_is_broken_is_the_one_that_is_named(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(KUMA_GENERAL_ADVERTISED_HOSTNAME=value)
    assert "general.advertisedHostname" in str(caught.value)
    assert f'AdvertisedHostname "{value}"' in str(caught.value)
    assert "xdsHost" not in str(caught.value)


@pytest.mark.parametrize("value", ["a:b", "http://x", "a,,b", "a:0", "a:70000", "[x]:1", "a b"])
def test_the_hosts_of_proxies_are_checked_before_a_start(value: str) -> None:
    with pytest.raises(ConfigError, match=r"XdsHost .*bootstrapServer\.params\.xdsHost"):
        configured(KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST=value)


def test_several_hosts() -> None:
    found = parse_hosts("a, 10.0.0.1:7,[::1]:8,[::2]", 5)
    assert found == (("a", 5), ("10.0.0.1", 7), ("::1", 8), ("::2", 5))


def test_an_ipv6_address_stands_in_brackets_in_a_url() -> None:
    assert [in_url(host) for host in ("::1", "10.0.0.1", "cp")] == ["[::1]", "10.0.0.1", "cp"]
    from kuma_core.api.index import catalog

    apis = catalog(configured(KUMA_GENERAL_ADVERTISED_HOSTNAME="::1"), issues_tokens=True)["apis"]
    assert apis["bootstrap"]["url"] == "http://[::1]:5682"
