"""Kinds, plurals and core names."""

from __future__ import annotations

import pytest

import kuma_policy_traffic
from kuma_core.sdk import ResourceType, Scope
from kuma_core.testing.platform import make_catalog
from kuma_store_k8s.names import (
    KUMA_0_3,
    KubeKind,
    NotForKubernetes,
    check_name,
    check_namespace,
    core_name,
    kube_kind,
    kube_kinds,
    split,
)


def kind(name: str, path: str, scope: Scope = Scope.MESH, stored: bool = True) -> ResourceType:
    return ResourceType(name, path, spec=object, singular=name.lower(), scope=scope, stored=stored)


def test_the_table_for_a_laptop_is_what_the_plugins_register() -> None:
    assert tuple(kube_kinds(make_catalog([kuma_policy_traffic]).kinds)) == KUMA_0_3


def test_plurals_of_other_peoples_kinds() -> None:
    assert kube_kind(kind("Greeting", "greetings")) == KubeKind("Greeting", "greetings")
    assert kube_kind(kind("RateLimit", "rate-limits")).crd_name == "ratelimits.kuma.io"
    assert not kube_kind(kind("Zone", "zones", Scope.GLOBAL)).is_namespaced
    assert kube_kinds([kind("Overview", "overviews", stored=False)]) == []


@pytest.mark.parametrize(
    ("name", "path"), [("greeting", "greetings"), ("A_b", "abs"), ("G", "--"), ("G", "9s")]
)
def test_what_no_kind_can_be(name: str, path: str) -> None:
    with pytest.raises(NotForKubernetes, match="Kubernetes takes"):
        kube_kind(kind(name, path))


def test_two_kinds_of_one_plural() -> None:
    with pytest.raises(NotForKubernetes, match="A and B would both be ratelimits"):
        kube_kinds([kind("A", "rate-limits"), kind("B", "ratelimits")])


def test_a_core_name_ends_with_the_namespace() -> None:
    assert split("web-96d5d-7x8ct.demo") == ("web-96d5d-7x8ct", "demo")
    assert split("a.b.demo") == ("a.b", "demo")
    assert core_name("a.b", "demo") == "a.b.demo"
    with pytest.raises(NotForKubernetes, match="must include namespace after the dot"):
        split("web")
    with pytest.raises(NotForKubernetes, match="namespace must be non-empty"):
        split("web.")


@pytest.mark.parametrize("name", ["web", "web.v1", "0", "a-b", "a" * 253])
def test_names_of_objects(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "Web", "a_b", "-a", "a-", "a..b", ".a", "ä", "a" * 254, "a/b", "a\n"])
def test_no_names_of_objects(name: str) -> None:
    with pytest.raises(NotForKubernetes, match="cannot be the name"):
        check_name(name)


@pytest.mark.parametrize("name", ["", "a.b", "A", "a" * 64, "a\n"])
def test_no_namespaces(name: str) -> None:
    with pytest.raises(NotForKubernetes, match="cannot be a namespace"):
        check_namespace(name)
